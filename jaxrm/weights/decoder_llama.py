"""Llama, Qwen2 and Qwen3 as Hugging Face publishes them; SmolLM2 and many others are Llamas."""

from collections.abc import Mapping
from typing import Any, Literal

from jaxrm.models.blocks import BlocksConfig
from jaxrm.models.decoder import DecoderConfig
from jaxrm.weights.decoder_fields import check, format_ends, head_width, parse_ends, read_fields, refuse
from jaxrm.weights.decoder_rope import format_rope, parse_rope
from jaxrm.weights.decoder_rows import QkvRow, block_rows
from jaxrm.weights.fields import LINEAR
from jaxrm.weights.table import Row

MODEL_TYPES = ("llama", "qwen2", "qwen3")
_CLASSES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}

# What transformers' configs take for fields that a config.json omits.
_DEFAULTS: dict[str, Any] = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "mlp_bias": False,
}
_QWEN = {
    "vocab_size": 151936,
    "intermediate_size": 22016,
    "num_key_value_heads": 32,
    "max_position_embeddings": 32768,
}
_OWN: dict[str, dict[str, Any]] = {
    "llama": {"vocab_size": 32000, "intermediate_size": 11008, "max_position_embeddings": 2048},
    "qwen2": _QWEN,
    "qwen3": _QWEN | {"head_dim": 128},
}
_LAYER = "model.layers.{layer}"
_BLOCK = {
    "attention_norm.scale": ("input_layernorm.weight", None, ()),
    "attention.out.kernel": ("self_attn.o_proj.weight", LINEAR, ()),
    "mlp_norm.scale": ("post_attention_layernorm.weight", None, ()),
    "mlp.up.kernel": ("mlp.{part}_proj.weight", LINEAR, ("gate", "up")),
    "mlp.down.kernel": ("mlp.down_proj.weight", LINEAR, ()),
}
_OUT_BIAS = {"attention.out.bias": ("self_attn.o_proj.bias", None, ())}
_MLP_BIAS = {
    "mlp.up.bias": ("mlp.{part}_proj.bias", None, ("gate", "up")),
    "mlp.down.bias": ("mlp.down_proj.bias", None, ()),
}
_QK_NORM = {
    "attention.q_norm.scale": ("self_attn.q_norm.weight", None, ()),
    "attention.k_norm.scale": ("self_attn.k_norm.weight", None, ()),
}


def table(config: DecoderConfig) -> tuple[Row, ...]:
    """Every array of a `Decoder` and the tensors of transformers' `LlamaForCausalLM` (and so on) that it
    holds.
    """
    blocks = config.blocks
    block = _BLOCK | (_OUT_BIAS if blocks.out_bias else {}) | (_MLP_BIAS if blocks.mlp_bias else {})
    block |= _QK_NORM if blocks.qk_norm else {}
    projections = ("kernel", "weight"), ("bias", "bias")
    return (
        Row("embedding", "model.embed_tokens.weight"),
        *(
            QkvRow.of(
                f"stack.blocks.attention.qkv_heads.{ours}",
                f"{_LAYER}.self_attn.{{part}}_proj.{theirs}",
                blocks,
                "apart",
            )
            for ours, theirs in projections[: 1 + blocks.qkv_bias]
        ),
        *block_rows(_LAYER, blocks.layers, block),
        Row("final_norm.scale", "model.norm.weight"),
        *([] if config.tied else [Row("unembedding", "lm_head.weight")]),
    )


def parse_config(given: Mapping[str, Any], dtype: str = "float32") -> DecoderConfig:
    """config.json -> our config; a missing field takes transformers' default.

    Raises:
      ValueError: sliding windows, an unknown activation, or a RoPE scaling that we do not have.
    """
    kind: Literal["llama", "qwen2", "qwen3"] = given.get("model_type", "llama")
    optional = {"head_dim": int, "num_key_value_heads": int, "layer_types": list, "use_sliding_window": bool}
    fields = read_fields(given, _DEFAULTS | _OWN[kind], **optional)
    _refuse_windows(given, fields["num_hidden_layers"])
    width, heads = fields["hidden_size"], fields["num_attention_heads"]
    head = fields.get("head_dim") or head_width(fields, "hidden_size", "num_attention_heads")
    # Qwen's default is for what is omitted: null says as many as there are heads.
    shared = given.get("num_key_value_heads", fields.get("num_key_value_heads"))
    biased = fields["attention_bias"]
    rope = parse_rope(fields, head, 10_000.0)
    refuse({"partial_rotary_factor": rope.width / head}, partial_rotary_factor=1.0)
    blocks = BlocksConfig(
        width=width,
        layers=fields["num_hidden_layers"],
        heads=heads,
        kv_heads=shared or heads,
        head_width=head,
        mlp_width=fields["intermediate_size"],
        activation=fields["hidden_act"],
        norm_eps=fields["rms_norm_eps"],
        qkv_bias=biased or kind == "qwen2",
        out_bias=biased and kind != "qwen2",
        mlp_bias=fields["mlp_bias"] and kind == "llama",
        qk_norm="head" if kind == "qwen3" else None,
        rope=rope,
        dtype=dtype,
    )
    size, context, tied = (
        fields[n] for n in ("vocab_size", "max_position_embeddings", "tie_word_embeddings")
    )
    ends = (1, 2) if kind == "llama" else (None, None)
    return DecoderConfig(blocks, size, context, kind, tied, **parse_ends(given, size, *ends))


def _refuse_windows(given: Mapping[str, Any], layers: int) -> None:
    """Raise a ValueError where a layer attends to a window.

    `layer_types` says so or, where it is not there, Qwen's rule: windows begin with layer
    `max_window_layers`, and a window of null is none.
    """
    kinds = given.get("layer_types")
    if kinds is not None:
        if any(kind != "full_attention" for kind in kinds):
            raise ValueError(f"layer_types is {kinds}: only 'full_attention' is supported")
        return
    if not given.get("use_sliding_window") or given.get("sliding_window", 4096) is None:
        return
    first = given.get("max_window_layers")
    if first != 0:
        first = 28 if first is None else check("max_window_layers", first, int)
    if first < layers:
        raise ValueError(
            f"use_sliding_window is true, from layer max_window_layers, {first}, on: only attention to "
            "everything before is supported"
        )


def format_config(config: DecoderConfig, weights_dtype: str = "float32") -> dict[str, Any]:
    """Our config -> the config.json that transformers reads."""
    blocks, kind = config.blocks, config.format
    assert blocks.rope is not None
    biases = {} if kind == "qwen2" else {"attention_bias": blocks.out_bias}
    if kind == "llama":
        biases["mlp_bias"] = blocks.mlp_bias
    return {
        "model_type": kind,
        "architectures": [_CLASSES[kind]],
        "dtype": weights_dtype,
        "vocab_size": config.vocabulary,
        "max_position_embeddings": config.context,
        "hidden_size": blocks.width,
        "num_hidden_layers": blocks.layers,
        "num_attention_heads": blocks.heads,
        "num_key_value_heads": blocks.kv_heads,
        "head_dim": blocks.head_width,
        "intermediate_size": blocks.mlp_width,
        "hidden_act": blocks.activation,
        "rms_norm_eps": blocks.norm_eps,
        "tie_word_embeddings": config.tied,
        **biases,
        **format_rope(blocks.rope),
        **format_ends(config),
    }
