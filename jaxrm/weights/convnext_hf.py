"""ConvNeXt as Hugging Face publishes it: config.json and the names of its tensors."""

from collections.abc import Mapping
from typing import Any

from jaxrm.models import ConvNextConfig
from jaxrm.weights.fields import CONVOLUTION, LINEAR, check_rgb, present, square
from jaxrm.weights.rows import norm
from jaxrm.weights.table import Row

# What transformers' ConvNextConfig takes for fields that a config.json omits.
_DEFAULTS = {
    "hidden_sizes": (96, 192, 384, 768),
    "depths": (3, 3, 9, 3),
    "patch_size": 4,
    "image_size": 224,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "layer_scale_init_value": 1e-6,
}
_BLOCK = {
    "kernel": ("dwconv.weight", CONVOLUTION),
    "bias": ("dwconv.bias", None),
    "norm.scale": ("layernorm.weight", None),
    "norm.bias": ("layernorm.bias", None),
    "up.kernel": ("pwconv1.weight", LINEAR),
    "up.bias": ("pwconv1.bias", None),
    "down.kernel": ("pwconv2.weight", LINEAR),
    "down.bias": ("pwconv2.bias", None),
    "scale": ("layer_scale_parameter", None),
}


def table(config: ConvNextConfig) -> tuple[Row, ...]:
    """Every array of a `ConvNext` and the tensors of transformers' `ConvNextModel` that it holds."""
    rows = []
    for stage, layers in enumerate(config.layers):
        ours, theirs = f"stages.{stage}", f"encoder.stages.{stage}"
        if stage:
            rows += norm(f"{ours}.norm", f"{theirs}.downsampling_layer.0")
            rows += _patches(f"{ours}.merge", f"{theirs}.downsampling_layer.1")
        for inside, (name, axes) in _BLOCK.items():
            if inside != "scale" or config.layer_scale is not None:
                name = f"{theirs}.layers.{{layer}}.{name}"
                rows.append(Row(f"{ours}.blocks.{inside}", name, axes, layers=layers))
    return (
        *_patches("patches", "embeddings.patch_embeddings"),
        *norm("patch_norm", "embeddings.layernorm"),
        *rows,
        *norm("post_norm", "layernorm"),
    )


def _patches(ours: str, theirs: str) -> tuple[Row, Row]:
    return Row(f"{ours}.kernel", f"{theirs}.weight", CONVOLUTION), Row(f"{ours}.bias", f"{theirs}.bias")


def parse_config(given: Mapping[str, Any], dtype: str = "float32") -> ConvNextConfig:
    """config.json -> our config; a missing field takes transformers' default.

    Raises:
      ValueError: an unknown activation, widths and depths that do not match, or images that are not RGB.
    """
    fields = _DEFAULTS | present(given)
    check_rgb(fields)
    start = fields["layer_scale_init_value"]
    return ConvNextConfig(
        tuple(fields["hidden_sizes"]),
        tuple(fields["depths"]),
        square(fields, "patch_size"),
        square(fields, "image_size"),
        fields["hidden_act"],
        fields["layer_norm_eps"],
        start if start > 0 else None,
        dtype,
    )


def format_config(config: ConvNextConfig, weights_dtype: str = "float32") -> dict[str, Any]:
    """Our config -> the config.json that transformers' `ConvNextModel` reads."""
    return {
        "model_type": "convnext",
        "architectures": ["ConvNextModel"],
        "dtype": weights_dtype,
        "num_channels": 3,
        "num_stages": len(config.widths),
        "hidden_sizes": list(config.widths),
        "depths": list(config.layers),
        "patch_size": config.patch_size,
        "image_size": config.image_size,
        "hidden_act": config.activation,
        "layer_norm_eps": config.norm_eps,
        "layer_scale_init_value": config.layer_scale or 0.0,
    }
