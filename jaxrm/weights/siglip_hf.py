"""SigLIP and SigLIP 2 of one resolution as Hugging Face publishes them; both are `model_type` "siglip"."""

from collections.abc import Mapping
from typing import Any

from jaxrm.models import ClipConfig, TextConfig, VisionConfig
from jaxrm.weights.fields import (
    CONVOLUTION,
    LINEAR,
    check_rgb,
    format_transformer,
    present,
    square,
    transformer,
)
from jaxrm.weights.rows import blocks, linear, norm
from jaxrm.weights.table import Row

# What transformers' SiglipTextConfig and SiglipVisionConfig take for fields that a config.json omits.
_SHARED = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
}
_TEXT = _SHARED | {"vocab_size": 32000, "max_position_embeddings": 64}
_VISION = _SHARED | {"num_channels": 3, "image_size": 224, "patch_size": 16, "vision_use_head": True}
# Where training starts (arXiv 2303.15343, section 3.2); checkpoints bring their own.
_LOGIT_SCALE, _LOGIT_BIAS = 2.302585, -10.0
# Every text ends with its last position, so no id has a part in pooling.
_NO_ID = -1


def table(config: ClipConfig) -> tuple[Row, ...]:
    """Every array of a `Clip` and the tensors of transformers' `SiglipModel` that it holds."""
    head = "vision_model.head"
    layers = "encoder.layers.{layer}"
    return (
        Row("logit_scale", "logit_scale", ones=1),
        Row("logit_bias", "logit_bias", ones=1),
        Row("vision.patches.kernel", "vision_model.embeddings.patch_embedding.weight", CONVOLUTION),
        Row("vision.patches.bias", "vision_model.embeddings.patch_embedding.bias"),
        Row("vision.positions", "vision_model.embeddings.position_embedding.weight"),
        *blocks("vision", f"vision_model.{layers}", config.vision.transformer.layers),
        *norm("vision.post_norm", "vision_model.post_layernorm"),
        Row("vision.head.query", f"{head}.probe", ones=2),
        Row("vision.head.qkv.kernel", f"{head}.attention.in_proj_weight", LINEAR, fused=3),
        Row("vision.head.qkv.bias", f"{head}.attention.in_proj_bias", fused=3),
        *linear("vision.head.out", f"{head}.attention.out_proj"),
        *norm("vision.head.norm", f"{head}.layernorm"),
        *linear("vision.head.mlp.up", f"{head}.mlp.fc1"),
        *linear("vision.head.mlp.down", f"{head}.mlp.fc2"),
        Row("text.embedding", "text_model.embeddings.token_embedding.weight"),
        Row("text.positions", "text_model.embeddings.position_embedding.weight"),
        *blocks("text", f"text_model.{layers}", config.text.transformer.layers),
        *norm("text.final_norm", "text_model.final_layer_norm"),
        *linear("text_projection", "text_model.head"),
    )


def parse_config(given: Mapping[str, Any], dtype: str = "float32") -> ClipConfig:
    """config.json -> our config; a missing field takes transformers' default.

    Raises:
      ValueError: an unknown activation, a tower without its attention head, or a size that is not square.
    """
    text = _TEXT | present(given.get("text_config"))
    vision = _VISION | present(given.get("vision_config"))
    check_rgb(vision)
    if not vision["vision_use_head"]:
        raise ValueError("vision_use_head is false: such a tower has no place in the space of the texts")
    return ClipConfig(
        VisionConfig(
            transformer(vision, dtype),
            square(vision, "image_size"),
            square(vision, "patch_size"),
            pool="query",
            pre_norm=False,
            patch_bias=True,
        ),
        TextConfig(
            transformer(text, dtype), text["vocab_size"], text["max_position_embeddings"], _NO_ID, "last"
        ),
        projection=text.get("projection_size", text["hidden_size"]),
        logit_scale=_LOGIT_SCALE,
        logit_bias=_LOGIT_BIAS,
        project_image=False,
        text_bias=True,
    )


def format_config(config: ClipConfig, weights_dtype: str = "float32") -> dict[str, Any]:
    """Our config -> the config.json that transformers' `SiglipModel` reads."""
    vision, text = config.vision, config.text
    return {
        "model_type": "siglip",
        "architectures": ["SiglipModel"],
        "dtype": weights_dtype,
        "vision_config": {
            "model_type": "siglip_vision_model",
            "image_size": vision.image_size,
            "patch_size": vision.patch_size,
            "num_channels": 3,
            **format_transformer(vision.transformer),
        },
        "text_config": {
            "model_type": "siglip_text_model",
            "vocab_size": text.vocabulary,
            "max_position_embeddings": text.context,
            "projection_size": config.projection,
            "bos_token_id": None,  # the tokeniser's business; transformers' defaults would lie outside
            "eos_token_id": None,  # a small vocabulary
            "pad_token_id": None,
            **format_transformer(text.transformer),
        },
    }
