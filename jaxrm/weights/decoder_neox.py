"""GPT-NeoX (Black et al. 2022, arXiv 2204.06745) and Pythia as Hugging Face publishes them."""

from collections.abc import Mapping
from typing import Any

from jaxrm.models.blocks import BlocksConfig
from jaxrm.models.decoder import DecoderConfig
from jaxrm.weights.decoder_fields import format_ends, head_width, parse_ends, read_fields
from jaxrm.weights.decoder_rope import format_part, format_rope, parse_rope
from jaxrm.weights.decoder_rows import QkvRow, block_rows
from jaxrm.weights.fields import LINEAR
from jaxrm.weights.rows import norm
from jaxrm.weights.table import Row

# What transformers' GPTNeoXConfig takes for fields that a config.json omits.
_DEFAULTS = {
    "vocab_size": 50432,
    "hidden_size": 6144,
    "num_hidden_layers": 44,
    "num_attention_heads": 64,
    "intermediate_size": 24576,
    "hidden_act": "gelu",
    "max_position_embeddings": 2048,
    "layer_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "use_parallel_residual": True,
    "attention_bias": True,
}
_LAYER = "gpt_neox.layers.{layer}"
_BLOCK = {
    "attention_norm.scale": ("input_layernorm.weight", None, ()),
    "attention_norm.bias": ("input_layernorm.bias", None, ()),
    "attention.out.kernel": ("attention.dense.weight", LINEAR, ()),
    "mlp_norm.scale": ("post_attention_layernorm.weight", None, ()),
    "mlp_norm.bias": ("post_attention_layernorm.bias", None, ()),
    "mlp.up.kernel": ("mlp.dense_h_to_4h.weight", LINEAR, ()),
    "mlp.up.bias": ("mlp.dense_h_to_4h.bias", None, ()),
    "mlp.down.kernel": ("mlp.dense_4h_to_h.weight", LINEAR, ()),
    "mlp.down.bias": ("mlp.dense_4h_to_h.bias", None, ()),
}
_OUT_BIAS = {"attention.out.bias": ("attention.dense.bias", None, ())}
# Masks and frequencies, which old checkpoints carry along.
DROPPED = r"\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$"


def rename(name: str) -> str:
    """transformers 5 calls the head `lm_head` in memory and `embed_out` in files; we take either."""
    return name.replace("lm_head.", "embed_out.") if name.startswith("lm_head.") else name


def table(config: DecoderConfig) -> tuple[Row, ...]:
    """Every array of a `Decoder` and the tensors of transformers' `GPTNeoXForCausalLM` that it holds."""
    blocks = config.blocks
    ours, theirs = "stack.blocks.attention.qkv_heads", f"{_LAYER}.attention.query_key_value"
    biased = [QkvRow.of(f"{ours}.bias", f"{theirs}.bias", blocks, "heads")] if blocks.qkv_bias else []
    return (
        Row("embedding", "gpt_neox.embed_in.weight"),
        QkvRow.of(f"{ours}.kernel", f"{theirs}.weight", blocks, "heads"),
        *biased,
        *block_rows(_LAYER, blocks.layers, _BLOCK | (_OUT_BIAS if blocks.out_bias else {})),
        *norm("final_norm", "gpt_neox.final_layer_norm"),
        *([] if config.tied else [Row("unembedding", "embed_out.weight")]),
    )


def parse_config(given: Mapping[str, Any], dtype: str = "float32") -> DecoderConfig:
    """config.json -> our config; a missing field takes transformers' default.

    Raises:
      ValueError: an unknown activation, a RoPE scaling that we do not have, or heads too narrow to turn.
    """
    fields = read_fields(given, _DEFAULTS)
    heads, head = fields["num_attention_heads"], head_width(fields, "hidden_size", "num_attention_heads")
    blocks = BlocksConfig(
        width=fields["hidden_size"],
        layers=fields["num_hidden_layers"],
        heads=heads,
        kv_heads=heads,
        head_width=head,
        mlp_width=fields["intermediate_size"],
        activation=fields["hidden_act"],
        gated=False,
        norm="layer",
        norm_bias=True,
        norm_eps=fields["layer_norm_eps"],
        qkv_bias=fields["attention_bias"],
        out_bias=fields["attention_bias"],
        mlp_bias=True,
        parallel=fields["use_parallel_residual"],
        rope=parse_rope(fields, head, 10_000.0, 0.25),
        dtype=dtype,
    )
    size, context, tied = (
        fields[n] for n in ("vocab_size", "max_position_embeddings", "tie_word_embeddings")
    )
    return DecoderConfig(blocks, size, context, "gpt_neox", tied, **parse_ends(given, size, 0, 2))


def format_config(config: DecoderConfig, weights_dtype: str = "float32") -> dict[str, Any]:
    """Our config -> the config.json that transformers reads."""
    blocks = config.blocks
    assert blocks.rope is not None
    return {
        "model_type": "gpt_neox",
        "architectures": ["GPTNeoXForCausalLM"],
        "dtype": weights_dtype,
        "vocab_size": config.vocabulary,
        "max_position_embeddings": config.context,
        "hidden_size": blocks.width,
        "num_hidden_layers": blocks.layers,
        "num_attention_heads": blocks.heads,
        "intermediate_size": blocks.mlp_width,
        "hidden_act": blocks.activation,
        "layer_norm_eps": blocks.norm_eps,
        "tie_word_embeddings": config.tied,
        "use_parallel_residual": blocks.parallel,
        "attention_bias": blocks.qkv_bias,
        "rotary_pct": format_part(blocks.rope, blocks.head_width),
        "rotary_emb_base": blocks.rope.theta,
        "rope_scaling": format_rope(blocks.rope)["rope_scaling"],
        **format_ends(config),
    }
