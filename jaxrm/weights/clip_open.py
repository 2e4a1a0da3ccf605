"""CLIP as open_clip publishes it: open_clip_config.json and the names of its tensors.

The only format that CLIP's ResNets have; vision transformers in it are read as well.
"""

from collections.abc import Mapping
from typing import Any

from jaxrm.models import ClipConfig, ResNetConfig, TextConfig, TransformerConfig, VisionConfig
from jaxrm.models.text import LEGACY_EOS
from jaxrm.weights.fields import CONVOLUTION, LINEAR, present
from jaxrm.weights.preprocess import CLIP_MEAN, CLIP_STD, ImageSettings, ResizeMode
from jaxrm.weights.resize import FILTERS
from jaxrm.weights.rows import norm
from jaxrm.weights.table import Row

# open_clip's blocks keep query, key and value in one matrix: the last entry says so.
_BLOCK = {
    "attention_norm.scale": ("ln_1.weight", None, 0),
    "attention_norm.bias": ("ln_1.bias", None, 0),
    "attention.qkv.kernel": ("attn.in_proj_weight", LINEAR, 3),
    "attention.qkv.bias": ("attn.in_proj_bias", None, 3),
    "attention.out.kernel": ("attn.out_proj.weight", LINEAR, 0),
    "attention.out.bias": ("attn.out_proj.bias", None, 0),
    "mlp_norm.scale": ("ln_2.weight", None, 0),
    "mlp_norm.bias": ("ln_2.bias", None, 0),
    "mlp.up.kernel": ("mlp.c_fc.weight", LINEAR, 0),
    "mlp.up.bias": ("mlp.c_fc.bias", None, 0),
    "mlp.down.kernel": ("mlp.c_proj.weight", LINEAR, 0),
    "mlp.down.bias": ("mlp.c_proj.bias", None, 0),
}
_VISION = {
    "image_size": 224,
    "layers": 12,
    "width": 768,
    "head_width": 64,
    "mlp_ratio": 4.0,
    "patch_size": 16,
}
_TEXT = {
    "context_length": 77,
    "vocab_size": 49408,
    "width": 512,
    "heads": 8,
    "layers": 12,
    "mlp_ratio": 4.0,
    "pool_type": "argmax",
}
# Fields without influence on what the network computes.
_HARMLESS = {"patch_dropout", "hf_tokenizer_name", "tokenizer_kwargs", "pad_id", "eos_id", "init_logit_scale"}
_CONVOLUTIONS = ("reduce", "mix", "expand")  # of a block, conv1 to conv3


def table(config: ClipConfig) -> tuple[Row, ...]:
    """Every array of a `Clip` and the tensors of open_clip's `CLIP` that it holds."""
    vision = config.vision
    return (
        Row("logit_scale", "logit_scale"),
        *(_resnet(vision) if isinstance(vision, ResNetConfig) else _vit(vision)),
        Row("text.embedding", "token_embedding.weight"),
        Row("text.positions", "positional_embedding"),
        *_blocks("text", "transformer", config.text.transformer.layers),
        *norm("text.final_norm", "ln_final"),
        Row("text_projection.kernel", "text_projection"),
    )


def _blocks(ours: str, theirs: str, layers: int) -> tuple[Row, ...]:
    return tuple(
        Row(
            f"{ours}.transformer.blocks.{inside}",
            f"{theirs}.resblocks.{{layer}}.{name}",
            axes,
            layers=layers,
            fused=fused,
        )
        for inside, (name, axes, fused) in _BLOCK.items()
    )


def _vit(config: VisionConfig) -> tuple[Row, ...]:
    return (
        Row("vision.patches.kernel", "visual.conv1.weight", CONVOLUTION),
        Row("vision.class_token", "visual.class_embedding"),
        Row("vision.positions", "visual.positional_embedding"),
        *norm("vision.pre_norm", "visual.ln_pre"),
        *_blocks("vision", "visual.transformer", config.transformer.layers),
        *norm("vision.post_norm", "visual.ln_post"),
        Row("vision_projection.kernel", "visual.proj"),
    )


def _resnet(config: ResNetConfig) -> tuple[Row, ...]:
    rows = []
    for i in range(3):
        rows += _conv_norm(f"vision.stem.{i}", "visual", f"conv{i + 1}", f"bn{i + 1}")
    for stage, count in enumerate(config.layers):
        ours, theirs = f"vision.stages.{stage}", f"visual.layer{stage + 1}"
        for i, part in enumerate(_CONVOLUTIONS, start=1):
            rows += _conv_norm(f"{ours}.first.{part}", f"{theirs}.0", f"conv{i}", f"bn{i}")
            if count > 1:
                rest = f"{ours}.rest.{part}", f"{theirs}.{{layer}}", f"conv{i}", f"bn{i}"
                rows += _conv_norm(*rest, layers=count - 1, first=1)
        rows += _conv_norm(f"{ours}.first.shortcut", f"{theirs}.0.downsample", "0", "1")
    pool = "visual.attnpool"
    return (
        *rows,
        Row("vision.pool.positions", f"{pool}.positional_embedding"),
        Row("vision.pool.qkv.kernel", f"{pool}.{{part}}_proj.weight", LINEAR, ("q", "k", "v")),
        Row("vision.pool.qkv.bias", f"{pool}.{{part}}_proj.bias", None, ("q", "k", "v")),
        Row("vision.pool.out.kernel", f"{pool}.c_proj.weight", LINEAR),
        Row("vision.pool.out.bias", f"{pool}.c_proj.bias"),
    )


def _conv_norm(ours: str, theirs: str, name: str, norm: str, layers: int = 0, first: int = 0) -> list[Row]:
    """A convolution and its batch norm, whose counter of batches is no weight."""
    tensors = {
        "kernel": f"{theirs}.{name}.weight",
        "norm.scale": f"{theirs}.{norm}.weight",
        "norm.bias": f"{theirs}.{norm}.bias",
        "norm.mean": f"{theirs}.{norm}.running_mean",
        "norm.variance": f"{theirs}.{norm}.running_var",
    }
    return [
        Row(f"{ours}.{inside}", tensor, CONVOLUTION if inside == "kernel" else None, (), layers, first)
        for inside, tensor in tensors.items()
    ]


def parse_config(given: Mapping[str, Any], dtype: str = "float32") -> ClipConfig:
    """open_clip_config.json -> our config; a missing field takes open_clip's default.

    Raises:
      ValueError: a field that we do not have: towers of timm or transformers, other pools, layer scale.
    """
    model = present(given.get("model_cfg", given))
    for name in model.keys() - {"embed_dim", "quick_gelu", "vision_cfg", "text_cfg"} - _HARMLESS:
        raise ValueError(f"open_clip_config.json has {name} = {model[name]!r}, which is not supported")
    vision, text = _part(model, "vision_cfg", _VISION), _part(model, "text_cfg", _TEXT)
    activation = "quick_gelu" if model.get("quick_gelu") else "gelu"
    if text["pool_type"] != "argmax":
        raise ValueError(f"text_cfg has pool_type = {text['pool_type']!r}, which is not supported")
    text_blocks = _transformer(text, text["heads"], activation, dtype)
    return ClipConfig(
        _parse_vision(vision, model["embed_dim"], activation, dtype),
        # open_clip reads each text at its largest id, whatever that is.
        TextConfig(text_blocks, text["vocab_size"], text["context_length"], LEGACY_EOS),
        model["embed_dim"],
        project_image=not isinstance(vision["layers"], (list, tuple)),
    )


def _parse_vision(
    vision: Mapping[str, Any], output: int, activation: str, dtype: str
) -> VisionConfig | ResNetConfig:
    width, head_width = vision["width"], vision["head_width"]
    if not isinstance(vision["layers"], (list, tuple)):
        made = _transformer(vision, width // head_width, activation, dtype)
        return VisionConfig(made, vision["image_size"], vision["patch_size"])
    first, second, third, fourth = vision["layers"]
    return ResNetConfig(
        (first, second, third, fourth), width, vision["image_size"], output, head_width, dtype
    )


def _part(model: Mapping[str, Any], name: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
    part = present(model.get(name))
    # Fields that are off change nothing, whatever their name.
    strange = [key for key, value in part.items() if key not in {*defaults, *_HARMLESS} and value]
    if strange:
        raise ValueError(f"{name} has {strange[0]} = {part[strange[0]]!r}, which is not supported")
    return {**defaults, **part}


def _transformer(part: Mapping[str, Any], heads: int, activation: str, dtype: str) -> TransformerConfig:
    width = part["width"]
    mlp = int(width * part["mlp_ratio"])
    return TransformerConfig(width, part["layers"], heads, mlp, activation, dtype=dtype)


def parse_images(given: Mapping[str, Any], size: int, mode: ResizeMode) -> ImageSettings:
    """The preprocess_cfg of open_clip_config.json -> settings; what is missing is OpenAI's.

    Raises:
      ValueError: another way of resizing than "shortest" and "squash", or another filter.
    """
    fields = present(given.get("preprocess_cfg"))
    resize, filter_name = fields.get("resize_mode", "shortest"), fields.get("interpolation", "bicubic")
    if resize not in ("shortest", "squash") or filter_name not in FILTERS:
        raise ValueError(f"open_clip_config.json resizes by {resize!r}, {filter_name!r}: not supported")
    return ImageSettings(
        size=size,
        mode=mode,
        resize_to=size if resize == "shortest" else (size, size),
        crop=resize == "shortest",
        resample=filter_name,
        mean=tuple(fields.get("mean", CLIP_MEAN)),
        std=tuple(fields.get("std", CLIP_STD)),
    )


def format_images(settings: ImageSettings) -> dict[str, Any]:
    """The preprocess_cfg that open_clip reads."""
    return {
        "mean": list(settings.mean),
        "std": list(settings.std),
        "interpolation": settings.resample,
        "resize_mode": "shortest" if settings.crop else "squash",
    }


def format_config(config: ClipConfig, weights_dtype: str = "float32") -> dict[str, Any]:
    """Our config -> the model_cfg of the open_clip_config.json that open_clip reads."""
    vision, text = config.vision, config.text
    if isinstance(vision, ResNetConfig):
        tower = {"layers": list(vision.layers), "width": vision.channels, "head_width": vision.head_width}
    else:
        blocks = vision.transformer
        head_width = {"head_width": blocks.width // blocks.heads, "patch_size": vision.patch_size}
        tower = _format_transformer(blocks) | head_width
    return {
        "model_cfg": {
            "embed_dim": config.projection,
            "quick_gelu": text.transformer.activation == "quick_gelu",
            "vision_cfg": {"image_size": vision.image_size, **tower},
            "text_cfg": {
                "context_length": text.context,
                "vocab_size": text.vocabulary,
                "heads": text.transformer.heads,
                **_format_transformer(text.transformer),
            },
        },
    }


def _format_transformer(config: TransformerConfig) -> dict[str, Any]:
    ratio = config.mlp_width / config.width
    if int(config.width * ratio) != config.mlp_width:
        ratio = (config.mlp_width + 0.5) / config.width  # open_clip rounds down
    return {"width": config.width, "layers": config.layers, "mlp_ratio": ratio}
