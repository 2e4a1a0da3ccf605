"""GPT-2 (Radford et al. 2019) as Hugging Face publishes it."""

from collections.abc import Mapping
from typing import Any

from jaxrm.models.blocks import BlocksConfig
from jaxrm.models.decoder import DecoderConfig
from jaxrm.weights.decoder_fields import format_ends, head_width, parse_ends, read_fields, refuse
from jaxrm.weights.decoder_rows import QkvRow, block_rows
from jaxrm.weights.rows import norm
from jaxrm.weights.table import Row

# What transformers' GPT2Config takes for fields that a config.json omits.
_DEFAULTS = {
    "vocab_size": 50257,
    "n_positions": 1024,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "tie_word_embeddings": True,
}
# Its linear maps are Conv1D, [inputs, outputs] as ours are.
_BLOCK = {
    "attention_norm.scale": ("ln_1.weight", None, ()),
    "attention_norm.bias": ("ln_1.bias", None, ()),
    "attention.out.kernel": ("attn.c_proj.weight", None, ()),
    "attention.out.bias": ("attn.c_proj.bias", None, ()),
    "mlp_norm.scale": ("ln_2.weight", None, ()),
    "mlp_norm.bias": ("ln_2.bias", None, ()),
    "mlp.up.kernel": ("mlp.c_fc.weight", None, ()),
    "mlp.up.bias": ("mlp.c_fc.bias", None, ()),
    "mlp.down.kernel": ("mlp.c_proj.weight", None, ()),
    "mlp.down.bias": ("mlp.c_proj.bias", None, ()),
}
_LAYER = "transformer.h.{layer}"
# The causal mask, which old checkpoints carry along.
DROPPED = r"\.attn\.(masked_)?bias$"


def rename(name: str) -> str:
    """The published checkpoints leave out the prefix that transformers writes."""
    return name if name.startswith(("transformer.", "lm_head.")) else f"transformer.{name}"


def table(config: DecoderConfig) -> tuple[Row, ...]:
    """Every array of a `Decoder` and the tensors of transformers' `GPT2LMHeadModel` that it holds."""
    blocks = config.blocks
    ours, theirs = "stack.blocks.attention.qkv_heads", f"{_LAYER}.attn.c_attn"
    return (
        Row("embedding", "transformer.wte.weight"),
        Row("positions", "transformer.wpe.weight"),
        QkvRow.of(f"{ours}.kernel", f"{theirs}.weight", blocks, "thirds", transposed=False),
        QkvRow.of(f"{ours}.bias", f"{theirs}.bias", blocks, "thirds"),
        *block_rows(_LAYER, blocks.layers, _BLOCK),
        *norm("final_norm", "transformer.ln_f"),
        *([] if config.tied else [Row("unembedding", "lm_head.weight")]),
    )


def parse_config(given: Mapping[str, Any], dtype: str = "float32") -> DecoderConfig:
    """config.json -> our config; a missing field takes transformers' default.

    Raises:
      ValueError: scores that are scaled in another way, attention to an encoder, or an unknown activation.
    """
    fields = read_fields(given, _DEFAULTS, n_inner=int)
    refuse(fields, scale_attn_weights=True, scale_attn_by_inverse_layer_idx=False, add_cross_attention=False)
    width, heads = fields["n_embd"], fields["n_head"]
    blocks = BlocksConfig(
        width=width,
        layers=fields["n_layer"],
        heads=heads,
        kv_heads=heads,
        head_width=head_width(fields, "n_embd", "n_head"),
        mlp_width=fields.get("n_inner") or 4 * width,
        activation=fields["activation_function"],
        gated=False,
        norm="layer",
        norm_bias=True,
        norm_eps=fields["layer_norm_epsilon"],
        qkv_bias=True,
        out_bias=True,
        mlp_bias=True,
        dtype=dtype,
    )
    size, context, tied = (fields[n] for n in ("vocab_size", "n_positions", "tie_word_embeddings"))
    ends = parse_ends(given, size, 50256, 50256)
    return DecoderConfig(blocks, size, context, "gpt2", tied, True, **ends)


def format_config(config: DecoderConfig, weights_dtype: str = "float32") -> dict[str, Any]:
    """Our config -> the config.json that transformers reads."""
    blocks = config.blocks
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "dtype": weights_dtype,
        "vocab_size": config.vocabulary,
        "n_positions": config.context,
        "n_embd": blocks.width,
        "n_layer": blocks.layers,
        "n_head": blocks.heads,
        "n_inner": blocks.mlp_width,
        "activation_function": blocks.activation,
        "layer_norm_epsilon": blocks.norm_eps,
        "tie_word_embeddings": config.tied,
        **format_ends(config),
    }
