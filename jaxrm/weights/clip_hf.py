"""CLIP as Hugging Face publishes it: config.json and the names of its tensors."""

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
from jaxrm.weights.rows import blocks, norm
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
IGNORED = r"^(text|vision)_model\.embeddings\.position_ids$"


def table(config: ClipConfig) -> tuple[Row, ...]:
    """Every array of a `Clip` and the tensors of transformers' `CLIPModel` that it holds."""
    return (
        Row("logit_scale", "logit_scale"),
        Row("vision_projection.kernel", "visual_projection.weight", LINEAR),
        Row("text_projection.kernel", "text_projection.weight", LINEAR),
        Row("vision.patches.kernel", "vision_model.embeddings.patch_embedding.weight", CONVOLUTION),
        Row("vision.class_token", "vision_model.embeddings.class_embedding"),
        Row("vision.positions", "vision_model.embeddings.position_embedding.weight"),
        *norm("vision.pre_norm", "vision_model.pre_layrnorm"),  # their spelling
        *norm("vision.post_norm", "vision_model.post_layernorm"),
        *blocks("vision", "vision_model.encoder.layers.{layer}", config.vision.transformer.layers),
        Row("text.embedding", "text_model.embeddings.token_embedding.weight"),
        Row("text.positions", "text_model.embeddings.position_embedding.weight"),
        *norm("text.final_norm", "text_model.final_layer_norm"),
        *blocks("text", "text_model.encoder.layers.{layer}", config.text.transformer.layers),
    )


def parse_config(given: Mapping[str, Any], dtype: str = "float32") -> ClipConfig:
    """config.json -> our config; a missing field takes transformers' default.

    Raises:
      ValueError: an unknown activation, or a size that is not square or not RGB.
    """
    both = _BOTH | present(given)
    text, vision = _TEXT | _part(given, "text_config"), _VISION | _part(given, "vision_config")
    check_rgb(vision)
    return ClipConfig(
        VisionConfig(transformer(vision, dtype), square(vision, "image_size"), square(vision, "patch_size")),
        TextConfig(
            transformer(text, dtype),
            text["vocab_size"],
            text["max_position_embeddings"],
            text["eos_token_id"],
        ),
        both["projection_dim"],
        both["logit_scale_init_value"],
    )


def _part(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Old files repeat a part as `text_config_dict`; in transformers that one, with defaults, wins whole."""
    old = given.get(f"{name}_dict")
    return present(given.get(name) if old is None else old)


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
            **format_transformer(vision.transformer),
            **shared,
        },
        "text_config": {
            "model_type": "clip_text_model",
            "vocab_size": text.vocabulary,
            "max_position_embeddings": text.context,
            "eos_token_id": text.eos_token_id,
            "bos_token_id": None,  # the tokeniser's business; transformers' defaults would lie outside
            "pad_token_id": None,  # a small vocabulary
            **format_transformer(text.transformer),
            **shared,
        },
    }
