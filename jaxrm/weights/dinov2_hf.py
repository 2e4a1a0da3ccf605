"""DINOv2 (Oquab et al. 2023, arXiv 2304.07193) as Hugging Face publishes it, with and without registers."""

from collections.abc import Mapping
from typing import Any

from jaxrm.models import VisionConfig
from jaxrm.weights.fields import CONVOLUTION, LINEAR, check_rgb, present, square, transformer
from jaxrm.weights.rows import blocks, norm
from jaxrm.weights.table import Row

WITH_REGISTERS = "dinov2_with_registers"
# What transformers' Dinov2Config takes for fields that a config.json omits.
_DEFAULTS = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "mlp_ratio": 4,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
    "image_size": 224,
    "patch_size": 14,
    "qkv_bias": True,
    "layerscale_value": 1.0,
    "use_swiglu_ffn": False,
    "use_mask_token": True,
    "num_register_tokens": 4,
}
_MLP = {
    "mlp.up.kernel": ("mlp.fc1.weight", LINEAR, ()),
    "mlp.up.bias": ("mlp.fc1.bias", None, ()),
    "mlp.down.kernel": ("mlp.fc2.weight", LINEAR, ()),
    "mlp.down.bias": ("mlp.fc2.bias", None, ()),
}
_GATED = {
    "mlp.up.kernel": ("mlp.weights_in.weight", LINEAR, ()),
    "mlp.up.bias": ("mlp.weights_in.bias", None, ()),
    "mlp.down.kernel": ("mlp.weights_out.weight", LINEAR, ()),
    "mlp.down.bias": ("mlp.weights_out.bias", None, ()),
}
_BLOCK = {
    "attention_norm.scale": ("norm1.weight", None, ()),
    "attention_norm.bias": ("norm1.bias", None, ()),
    "attention.qkv.kernel": ("attention.attention.{part}.weight", LINEAR, ("query", "key", "value")),
    "attention.qkv.bias": ("attention.attention.{part}.bias", None, ("query", "key", "value")),
    "attention.out.kernel": ("attention.output.dense.weight", LINEAR, ()),
    "attention.out.bias": ("attention.output.dense.bias", None, ()),
    "attention_scale": ("layer_scale1.lambda1", None, ()),
    "mlp_norm.scale": ("norm2.weight", None, ()),
    "mlp_norm.bias": ("norm2.bias", None, ()),
    "mlp_scale": ("layer_scale2.lambda1", None, ()),
}


def table(config: VisionConfig) -> tuple[Row, ...]:
    """Every array of a `VisionTower` and the tensors of transformers' `Dinov2Model` that it holds."""
    registers = [Row("registers", "embeddings.register_tokens", ones=1)] if config.registers else []
    mask = [Row("mask_token", "embeddings.mask_token", ones=1)] if config.mask_token else []
    block = _BLOCK | (_GATED if config.transformer.gated else _MLP)
    rows = blocks("", "encoder.layer.{layer}", config.transformer.layers, block)
    return (
        Row("patches.kernel", "embeddings.patch_embeddings.projection.weight", CONVOLUTION),
        Row("patches.bias", "embeddings.patch_embeddings.projection.bias"),
        Row("class_token", "embeddings.cls_token", ones=2),
        Row("positions", "embeddings.position_embeddings", ones=1),
        *registers,
        *mask,
        *rows,
        *norm("post_norm", "layernorm"),
    )


def parse_config(given: Mapping[str, Any], dtype: str = "float32") -> VisionConfig:
    """config.json -> our config; a missing field takes transformers' default.

    Raises:
      ValueError: projections without bias, an unknown activation, or a size that is not square or not RGB.
    """
    fields = _DEFAULTS | present(given)
    check_rgb(fields)
    if not fields["qkv_bias"]:
        raise ValueError("qkv_bias is false: only projections with a bias are supported")
    registers = given.get("model_type") == WITH_REGISTERS
    gated = fields["use_swiglu_ffn"]
    fields["intermediate_size"] = _mlp_width(fields["hidden_size"], fields["mlp_ratio"], gated)
    if gated:
        fields["hidden_act"] = "silu"
    return VisionConfig(
        transformer(fields, dtype, gated=gated, layer_scale=fields["layerscale_value"]),
        square(fields, "image_size"),
        square(fields, "patch_size"),
        pre_norm=False,
        patch_bias=True,
        registers=fields["num_register_tokens"] if registers else 0,
        mask_token=True if registers else fields["use_mask_token"],
        other_sizes="bicubic-antialias" if registers else "bicubic",
    )


def _mlp_width(width: int, ratio: float, gated: bool) -> int:
    hidden = int(width * ratio)
    return (int(hidden * 2 / 3) + 7) // 8 * 8 if gated else hidden


def format_config(config: VisionConfig, weights_dtype: str = "float32") -> dict[str, Any]:
    """Our config -> the config.json that transformers' `Dinov2Model` reads.

    Raises:
      ValueError: a perceptron whose width is no whole multiple of the tower's.
    """
    block, registers = config.transformer, config.other_sizes == "bicubic-antialias"
    ratios = [r for r in range(1, 17) if _mlp_width(block.width, r, block.gated) == block.mlp_width]
    if not ratios:
        raise ValueError(f"a perceptron of width {block.mlp_width} has no mlp_ratio in DINOv2's format")
    return {
        "model_type": WITH_REGISTERS if registers else "dinov2",
        "architectures": ["Dinov2WithRegistersModel" if registers else "Dinov2Model"],
        "dtype": weights_dtype,
        "hidden_size": block.width,
        "num_hidden_layers": block.layers,
        "num_attention_heads": block.heads,
        "mlp_ratio": ratios[0],
        "hidden_act": "gelu" if block.gated else block.activation,
        "layer_norm_eps": block.norm_eps,
        "image_size": config.image_size,
        "patch_size": config.patch_size,
        "num_channels": 3,
        "qkv_bias": True,
        "layerscale_value": block.layer_scale,
        "use_swiglu_ffn": block.gated,
        **({"num_register_tokens": config.registers} if registers else {"use_mask_token": config.mask_token}),
    }
