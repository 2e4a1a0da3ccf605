"""MPT (MosaicML 2023) in both of its formats: transformers' "mpt", and "mosaic_gpt", in which the 1B was
published.

What their layers compute is the same; names of tensors and fields differ. We follow three fields that
transformers passes over in silence: `qk_ln`, the norm of queries and keys, which the 1B has and transformers
lacks; `alibi_bias_max`, which is 8 there; and `expansion_ratio`, 4 there. What transformers saves of a model
with another ratio has MLPs of 4, which do not fit its own config.json: correct the field.
"""

from collections.abc import Mapping
from typing import Any, Literal

from jaxrm.models.blocks import BlocksConfig
from jaxrm.models.decoder import DecoderConfig
from jaxrm.weights.decoder_fields import check, format_ends, head_width, parse_ends, read_fields, refuse
from jaxrm.weights.decoder_rows import QkvRow, block_rows
from jaxrm.weights.fields import LINEAR, present
from jaxrm.weights.table import Row

MODEL_TYPES = ("mpt", "mosaic_gpt")
# What transformers' MptConfig takes for fields that a config.json omits; those of MosaicGPT are the same.
_DEFAULTS = {
    "d_model": 2048,
    "n_heads": 16,
    "n_layers": 24,
    "max_seq_len": 2048,
    "vocab_size": 50368,
    "layer_norm_epsilon": 1e-5,
}
_ATTENTION = {"alibi": True, "alibi_bias_max": 8.0, "prefix_lm": False, "qk_ln": False}
_NORMS = ("layernorm", "low_precision_layernorm")  # of the same numbers, up to rounding
_LAYER = "transformer.blocks.{layer}"
# Ours -> the names in "mpt" and in "mosaic_gpt".
_BLOCK = {
    "attention_norm.scale": ("norm_1", "ln_1"),
    "attention.out.kernel": ("attn.out_proj", "attn.out_proj"),
    "mlp_norm.scale": ("norm_2", "ln_2"),
    "mlp.up.kernel": ("ffn.up_proj", "mlp.mlp_up"),
    "mlp.down.kernel": ("ffn.down_proj", "mlp.mlp_down"),
}
_QK_NORM = {
    "attention.q_norm.scale": ("attn.q_ln", "attn.q_ln"),
    "attention.k_norm.scale": ("attn.k_ln", "attn.k_ln"),
}


def table(config: DecoderConfig) -> tuple[Row, ...]:
    """Every array of a `Decoder` and the tensors of `MptForCausalLM` or `MosaicGPT` that it holds."""
    blocks, old = config.blocks, config.format == "mosaic_gpt"
    named = _BLOCK | (_QK_NORM if blocks.qk_norm else {})
    rows = {
        ours: (f"{theirs[old]}.weight", LINEAR if ours.endswith("kernel") else None, ())
        for ours, theirs in named.items()
    }
    ours, theirs = "stack.blocks.attention.qkv_heads.kernel", f"{_LAYER}.attn.Wqkv.weight"
    return (
        Row("embedding", "transformer.wte.weight"),
        QkvRow.of(ours, theirs, blocks, "thirds"),
        *block_rows(_LAYER, blocks.layers, rows),
        Row("final_norm.scale", f"transformer.{'ln_f' if old else 'norm_f'}.weight"),
    )


def parse_config(given: Mapping[str, Any], dtype: str = "float32") -> DecoderConfig:
    """config.json -> our config; a missing field takes the library's default.

    Raises:
      ValueError: anything but a causal decoder with linear biases, one head of keys a query, layer norms,
        tied embeddings and no bias, which are all that was published.
    """
    kind: Literal["mpt", "mosaic_gpt"] = given.get("model_type", "mpt")
    fields = read_fields(given, _DEFAULTS, attn_config=dict)
    attention = dict(fields.get("attn_config", {}) if kind == "mpt" else _flat(fields))
    attention["clip_qkv"] = attention.get("clip_qkv") or None  # 0 does not clip either
    attention = read_fields(attention, _ATTENTION, softmax_scale=float, clip_qkv=float)
    refuse(fields, no_bias=True, logit_scale=None, tie_word_embeddings=True)
    if (norm := fields.get("norm_type", "layernorm")) not in _NORMS:
        raise ValueError(f"norm_type is {norm!r}: only {' and '.join(map(repr, _NORMS))} are supported")
    refuse(attention, alibi=True, prefix_lm=False, attn_type="multihead_attention")
    width, heads = fields["d_model"], fields["n_heads"]
    blocks = BlocksConfig(
        width=width,
        layers=fields["n_layers"],
        heads=heads,
        kv_heads=heads,
        head_width=head_width(fields, "d_model", "n_heads"),
        mlp_width=width * _ratio(fields),
        activation="gelu",
        gated=False,
        norm="layer",
        norm_eps=fields["layer_norm_epsilon"],
        qk_norm="width" if attention["qk_ln"] else None,
        alibi=float(attention["alibi_bias_max"]),
        scale=attention.get("softmax_scale"),
        clip=attention.get("clip_qkv"),
        dtype=dtype,
    )
    size = fields["vocab_size"]
    return DecoderConfig(blocks, size, fields["max_seq_len"], kind, **parse_ends(given, size))


def _ratio(fields: Mapping[str, Any]) -> int:
    """How often as wide as the network its MLPs are; files also say 4.0."""
    for name in ("expansion_ratio", "mlp_ratio"):
        if name in fields:
            return check(name, _whole(fields[name]), int)
    return 4


def _whole(number: Any) -> Any:
    """A float that is a whole number as an int; anything else as it is."""
    return int(number) if type(number) is float and number.is_integer() else number


def _flat(fields: Mapping[str, Any]) -> dict[str, Any]:
    """MosaicGPT keeps the settings of attention beside all others, some of them under `attn_`."""
    names = ("alibi", "alibi_bias_max", "prefix_lm", "qk_ln", "softmax_scale", "clip_qkv")
    given = {name: fields.get(f"attn_{name}", fields.get(name)) for name in names}
    # Its own default is positions that are learned.
    return {"alibi": False} | present(given)


def format_config(config: DecoderConfig, weights_dtype: str = "float32") -> dict[str, Any]:
    """Our config -> a config.json of the same format; transformers reads "mpt"."""
    blocks, old = config.blocks, config.format == "mosaic_gpt"
    attention = {
        "alibi": True,
        "alibi_bias_max": _whole(blocks.alibi or 8),
        "softmax_scale": blocks.scale,
        "attn_qk_ln" if old else "qk_ln": blocks.qk_norm is not None,
        "attn_clip_qkv" if old else "clip_qkv": blocks.clip,
    }
    ratio = {"mlp_ratio" if old else "expansion_ratio": blocks.mlp_width // blocks.width}
    return {
        "model_type": config.format,
        "architectures": ["MosaicGPT" if old else "MptForCausalLM"],
        "dtype": weights_dtype,
        "vocab_size": config.vocabulary,
        "max_seq_len": config.context,
        "d_model": blocks.width,
        "n_layers": blocks.layers,
        "n_heads": blocks.heads,
        "layer_norm_epsilon": blocks.norm_eps,
        "no_bias": True,
        **ratio,
        **(attention if old else {"attn_config": attention}),
        **format_ends(config),
    }
