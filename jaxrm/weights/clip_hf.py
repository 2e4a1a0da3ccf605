"""CLIP as Hugging Face publishes it: config.json and the names of its tensors."""

from collections.abc import Mapping
from typing import Any

from jaxrm.models import ClipConfig, TextConfig, TransformerConfig, VisionConfig
from jaxrm.weights.table import Row

# What transformers' CLIPConfig, CLIPTextConfig and CLIPVisionConfig take for fields that a config.json omits.
_TEXT = {
    "vocab_size": 49408,
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
    "eos_token_id": 49407,
}
_VISION = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 32,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}
_BOTH = {"projection_dim": 512, "logit_scale_init_value": 2.6592}

# Counters that old checkpoints carry along; they are not weights.
IGNORED = frozenset({"text_model.embeddings.position_ids", "vision_model.embeddings.position_ids"})

_LINEAR = (1, 0)  # torch keeps [out, in]
_CONVOLUTION = (2, 3, 1, 0)  # torch keeps [out, channel, height, width]
_BLOCK = {
    "attention_norm.scale": ("layer_norm1.weight", None, ()),
    "attention_norm.bias": ("layer_norm1.bias", None, ()),
    "attention.qkv.kernel": ("self_attn.{part}_proj.weight", _LINEAR, ("q", "k", "v")),
    "attention.qkv.bias": ("self_attn.{part}_proj.bias", None, ("q", "k", "v")),
    "attention.out.kernel": ("self_attn.out_proj.weight", _LINEAR, ()),
    "attention.out.bias": ("self_attn.out_proj.bias", None, ()),
    "mlp_norm.scale": ("layer_norm2.weight", None, ()),
    "mlp_norm.bias": ("layer_norm2.bias", None, ()),
    "mlp.up.kernel": ("mlp.fc1.weight", _LINEAR, ()),
    "mlp.up.bias": ("mlp.fc1.bias", None, ()),
    "mlp.down.kernel": ("mlp.fc2.weight", _LINEAR, ()),
    "mlp.down.bias": ("mlp.fc2.bias", None, ()),
}


def table(config: ClipConfig) -> tuple[Row, ...]:
    """Every array of a `Clip` and the tensors of transformers' `CLIPModel` that it holds."""
    return (
        Row("logit_scale", "logit_scale"),
        Row("vision_projection.kernel", "visual_projection.weight", _LINEAR),
        Row("text_projection.kernel", "text_projection.weight", _LINEAR),
        Row("vision.patch_kernel", "vision_model.embeddings.patch_embedding.weight", _CONVOLUTION),
        Row("vision.class_token", "vision_model.embeddings.class_embedding"),
        Row("vision.positions", "vision_model.embeddings.position_embedding.weight"),
        *_norm("vision.pre_norm", "vision_model.pre_layrnorm"),  # their spelling
        *_norm("vision.post_norm", "vision_model.post_layernorm"),
        *_blocks("vision", "vision_model", config.vision.transformer.layers),
        Row("text.embedding", "text_model.embeddings.token_embedding.weight"),
        Row("text.positions", "text_model.embeddings.position_embedding.weight"),
        *_norm("text.final_norm", "text_model.final_layer_norm"),
        *_blocks("text", "text_model", config.text.transformer.layers),
    )


def _norm(ours: str, theirs: str) -> tuple[Row, Row]:
    return Row(f"{ours}.scale", f"{theirs}.weight"), Row(f"{ours}.bias", f"{theirs}.bias")


def _blocks(ours: str, theirs: str, layers: int) -> tuple[Row, ...]:
    return tuple(
        Row(
            f"{ours}.transformer.blocks.{ours_in}",
            f"{theirs}.encoder.layers.{{layer}}.{theirs_in}",
            axes,
            parts,
            layers,
        )
        for ours_in, (theirs_in, axes, parts) in _BLOCK.items()
    )


def parse_config(given: Mapping[str, Any], dtype: str = "float32") -> ClipConfig:
    """config.json -> our config; a missing field takes transformers' default.

    Raises:
      ValueError: another family, an unknown activation, or a size that is not square or not RGB.
    """
    family = given.get("model_type", "clip")
    if family != "clip":
        raise ValueError(f"config.json is of a {family!r} model, wanted 'clip'")
    both = _BOTH | _present(given)
    text, vision = _TEXT | _part(given, "text_config"), _VISION | _part(given, "vision_config")
    if vision["num_channels"] != 3:
        raise ValueError(f"num_channels is {vision['num_channels']}: only images of 3 channels are supported")
    return ClipConfig(
        VisionConfig(
            _transformer(vision, dtype), _square(vision, "image_size"), _square(vision, "patch_size")
        ),
        TextConfig(
            _transformer(text, dtype),
            text["vocab_size"],
            text["max_position_embeddings"],
            text["eos_token_id"],
        ),
        both["projection_dim"],
        both["logit_scale_init_value"],
    )


def _present(fields: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (fields or {}).items() if value is not None}


def _part(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Old files repeat a part as `text_config_dict`; in transformers that one, with defaults, wins whole."""
    old = given.get(f"{name}_dict")
    return _present(given.get(name) if old is None else old)


def _square(fields: Mapping[str, Any], name: str) -> int:
    value = fields[name]
    sizes = set(value) if isinstance(value, (list, tuple)) else {value}
    if len(sizes) != 1:
        raise ValueError(f"{name} is {value}: only square images and patches are supported")
    return sizes.pop()


def _transformer(fields: Mapping[str, Any], dtype: str) -> TransformerConfig:
    return TransformerConfig(
        width=fields["hidden_size"],
        layers=fields["num_hidden_layers"],
        heads=fields["num_attention_heads"],
        mlp_width=fields["intermediate_size"],
        activation=fields["hidden_act"],
        norm_eps=fields["layer_norm_eps"],
        dtype=dtype,
    )


def format_config(config: ClipConfig, weights_dtype: str = "float32") -> dict[str, Any]:
    """Our config -> the config.json that transformers' `CLIPModel` reads."""
    vision, text = config.vision, config.text
    shared = {"projection_dim": config.projection}
    return {
        "model_type": "clip",
        "architectures": ["CLIPModel"],
        "dtype": weights_dtype,
        "logit_scale_init_value": config.logit_scale,
        **shared,
        "vision_config": {
            "model_type": "clip_vision_model",
            "image_size": vision.image_size,
            "patch_size": vision.patch_size,
            "num_channels": 3,
            **_format_transformer(vision.transformer),
            **shared,
        },
        "text_config": {
            "model_type": "clip_text_model",
            "vocab_size": text.vocabulary,
            "max_position_embeddings": text.context,
            "eos_token_id": text.eos_token_id,
            "bos_token_id": None,  # the tokeniser's business; transformers' defaults would lie outside
            "pad_token_id": None,  # a small vocabulary
            **_format_transformer(text.transformer),
            **shared,
        },
    }


def _format_transformer(config: TransformerConfig) -> dict[str, Any]:
    return {
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.mlp_width,
        "hidden_act": config.activation,
        "layer_norm_eps": config.norm_eps,
    }
