"""Decoders' configs: every published tensor, both spellings of RoPE, and what we cannot build."""

import json
import math
from dataclasses import replace

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

import jaxrm
from jaxrm.models import Decoder
from jaxrm.models.rope import Rope
from jaxrm.weights import decoder_gpt2, decoder_llama, decoder_mpt, decoder_neox, files
from jaxrm.weights.decoder_rope import format_part, format_rope, parse_rope
from jaxrm.weights.table import names_and_shapes
from tests.weights import mpt_reference

# config.json as published, without what has no influence, and the number of parameters (of MPT by hand).
PUBLISHED = {
    "mpt-1b-redpajama-200b": (
        decoder_mpt,
        {
            "model_type": "mosaic_gpt",
            "d_model": 2048,
            "n_heads": 16,
            "n_layers": 24,
            "vocab_size": 50432,
            "max_seq_len": 2048,
            "mlp_ratio": 4,
            "alibi": True,
            "attn_qk_ln": True,
            "no_bias": True,
        },
        1_311_442_944,
        {
            "transformer.wte.weight": (50432, 2048),
            "transformer.blocks.23.ln_1.weight": (2048,),
            "transformer.blocks.23.ln_2.weight": (2048,),
            "transformer.blocks.23.attn.Wqkv.weight": (6144, 2048),
            "transformer.blocks.23.attn.q_ln.weight": (2048,),
            "transformer.blocks.23.attn.k_ln.weight": (2048,),
            "transformer.blocks.23.attn.out_proj.weight": (2048, 2048),
            "transformer.blocks.23.mlp.mlp_up.weight": (8192, 2048),
            "transformer.blocks.23.mlp.mlp_down.weight": (2048, 8192),
            "transformer.ln_f.weight": (2048,),
        },
    ),
    "Llama-3.2-1B": (
        decoder_llama,
        {
            "model_type": "llama",
            "hidden_size": 2048,
            "intermediate_size": 8192,
            "num_hidden_layers": 16,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 64,
            "vocab_size": 128256,
            "max_position_embeddings": 131072,
            "rms_norm_eps": 1e-5,
            "rope_theta": 500000.0,
            "rope_scaling": {
                "factor": 32.0,
                "high_freq_factor": 4.0,
                "low_freq_factor": 1.0,
                "original_max_position_embeddings": 8192,
                "rope_type": "llama3",
            },
            "tie_word_embeddings": True,
        },
        1_235_814_400,
        {
            "model.embed_tokens.weight": (128256, 2048),
            "model.layers.15.input_layernorm.weight": (2048,),
            "model.layers.15.self_attn.q_proj.weight": (2048, 2048),
            "model.layers.15.self_attn.k_proj.weight": (512, 2048),
            "model.layers.15.self_attn.v_proj.weight": (512, 2048),
            "model.layers.15.self_attn.o_proj.weight": (2048, 2048),
            "model.layers.15.post_attention_layernorm.weight": (2048,),
            "model.layers.15.mlp.gate_proj.weight": (8192, 2048),
            "model.layers.15.mlp.up_proj.weight": (8192, 2048),
            "model.layers.15.mlp.down_proj.weight": (2048, 8192),
            "model.norm.weight": (2048,),
        },
    ),
    "Qwen3-0.6B": (
        decoder_llama,
        {
            "model_type": "qwen3",
            "hidden_size": 1024,
            "intermediate_size": 3072,
            "num_hidden_layers": 28,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "vocab_size": 151936,
            "max_position_embeddings": 40960,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1000000,
            "rope_scaling": None,
            "use_sliding_window": False,
            "sliding_window": None,
            "tie_word_embeddings": True,
        },
        596_049_920,
        {
            "model.embed_tokens.weight": (151936, 1024),
            "model.layers.27.input_layernorm.weight": (1024,),
            "model.layers.27.self_attn.q_proj.weight": (2048, 1024),
            "model.layers.27.self_attn.k_proj.weight": (1024, 1024),
            "model.layers.27.self_attn.v_proj.weight": (1024, 1024),
            "model.layers.27.self_attn.o_proj.weight": (1024, 2048),
            "model.layers.27.self_attn.q_norm.weight": (128,),
            "model.layers.27.self_attn.k_norm.weight": (128,),
            "model.layers.27.post_attention_layernorm.weight": (1024,),
            "model.layers.27.mlp.gate_proj.weight": (3072, 1024),
            "model.layers.27.mlp.up_proj.weight": (3072, 1024),
            "model.layers.27.mlp.down_proj.weight": (1024, 3072),
            "model.norm.weight": (1024,),
        },
    ),
    "SmolLM2-1.7B": (
        decoder_llama,
        {
            "model_type": "llama",
            "hidden_size": 2048,
            "intermediate_size": 8192,
            "num_hidden_layers": 24,
            "num_attention_heads": 32,
            "num_key_value_heads": 32,
            "vocab_size": 49152,
            "max_position_embeddings": 8192,
            "rms_norm_eps": 1e-5,
            "rope_theta": 130000,
            "tie_word_embeddings": True,
        },
        1_711_376_384,
        {
            "model.embed_tokens.weight": (49152, 2048),
            "model.layers.23.input_layernorm.weight": (2048,),
            **{f"model.layers.23.self_attn.{p}_proj.weight": (2048, 2048) for p in "qkvo"},
            "model.layers.23.post_attention_layernorm.weight": (2048,),
            "model.layers.23.mlp.gate_proj.weight": (8192, 2048),
            "model.layers.23.mlp.up_proj.weight": (8192, 2048),
            "model.layers.23.mlp.down_proj.weight": (2048, 8192),
            "model.norm.weight": (2048,),
        },
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_tensor_is_accounted_for(name):
    module, given, parameters, some = PUBLISHED[name]
    config = module.parse_config(given)
    model = Decoder.abstract(config)
    shapes = names_and_shapes(module.table(config), model)
    assert {key: shape for key, shape in shapes.items() if key in some} == some
    last = next(key for key in some if f".{config.blocks.layers - 1}." in key)
    stem = last[: last.index(f"{config.blocks.layers - 1}.")]
    per_layer = sum(key.startswith(f"{stem}{config.blocks.layers - 1}.") for key in some)
    assert len(shapes) == len(some) + (config.blocks.layers - 1) * per_layer
    assert sum(leaf.size for leaf in jax.tree.leaves(model)) == parameters
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == parameters
    tokens = jax.ShapeDtypeStruct((2, 9), np.int32)
    assert jax.eval_shape(lambda m, x: m.logits(x), model, tokens).shape == (2, 9, config.vocabulary)
    assert module.parse_config(json.loads(json.dumps(module.format_config(config)))) == config


def test_both_spellings_of_rope_are_one():
    scaling = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    scaling |= {"original_max_position_embeddings": 8192}
    old = {"rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3"} | scaling}
    older = {"rope_theta": 5e5, "rope_scaling": {"type": "llama3"} | scaling}
    new = {"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5} | scaling}
    ropes = [parse_rope(fields, 64, 1e4) for fields in (old, older, new)]
    assert ropes[0] == ropes[1] == ropes[2]
    assert (ropes[0].kind, ropes[0].theta, ropes[0].factor, ropes[0].original) == ("llama3", 5e5, 8.0, 8192)
    neox_old = {"rotary_pct": 0.25, "rotary_emb_base": 20000}
    neox_new = {
        "rope_parameters": {"rope_type": "default", "rope_theta": 20000, "partial_rotary_factor": 0.25}
    }
    assert parse_rope(neox_old, 64, 1e4, 1.0) == parse_rope(neox_new, 64, 1e4, 1.0)
    assert parse_rope(neox_old, 64, 1e4, 1.0).width == 16
    assert parse_rope({"rope_scaling": {"type": "linear", "factor": 2}}, 64, 1e4).factor == 2


def test_rotary_pct_is_read_back_as_it_was_saved():
    """Readers, transformers among them, cut off decimals."""
    config = decoder_neox.parse_config({})
    for head in range(2, 257):
        for width in (w for w in range(1, head + 1) if w + w % 2 <= head):
            blocks = replace(config.blocks, head_width=head, rope=Rope(width))
            part = decoder_neox.format_config(replace(config, blocks=blocks))["rotary_pct"]
            assert int(head * part) == parse_rope({"rotary_pct": part}, head, 1e4).width == width
            assert part == width / head or int(head * (width / head)) != width
    assert math.nextafter(30 / 44, 1) == format_part(Rope(30), 44)


@pytest.mark.parametrize(("hidden", "heads"), [(48, 4), (56, 4), (80, 4), (24, 2)])
def test_neox_turns_an_odd_part_of_a_head(hidden, heads):
    """As transformers' own default asks."""
    config = decoder_neox.parse_config({"hidden_size": hidden, "num_attention_heads": heads})
    assert config.blocks.rope == Rope(int(hidden / heads / 4)) and config.blocks.rope.width % 2
    assert decoder_neox.parse_config(decoder_neox.format_config(config)) == config


YARN = {"factor": 4.0, "original_max_position_embeddings": 32768}


@pytest.mark.parametrize(
    ("more", "attention"),
    [
        ({}, 0.1 * math.log(4) + 1),
        ({"attention_factor": 1.5, "mscale": 2.0, "mscale_all_dim": 1.0}, 1.5),
        ({"mscale": 2.0, "mscale_all_dim": 1.0}, (0.2 * math.log(4) + 1) / (0.1 * math.log(4) + 1)),
        ({"mscale": 2.0, "mscale_all_dim": 0}, 0.1 * math.log(4) + 1),
        ({"factor": 0.5}, 1),
    ],
)
def test_yarn_in_both_spellings_and_there_and_back(more, attention):
    """As the cards of Qwen2.5 and Qwen3 tell people to write it."""
    old = {"rope_theta": 1e6, "rope_scaling": {"type": "yarn"} | YARN | more}
    new = {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6} | YARN | more}
    rope = parse_rope(old, 64, 1e4)
    assert rope == parse_rope(new, 64, 1e4) == parse_rope(format_rope(rope), 64, 1e4)
    assert (rope.kind, rope.theta, rope.original, rope.low, rope.high) == ("yarn", 1e6, 32768, 1, 32)
    assert rope.truncate and rope.attention == pytest.approx(attention, rel=1e-15)


def test_the_context_before_it_was_stretched_is_looked_for_as_transformers_does():
    fields = {"max_position_embeddings": 64, "rope_scaling": {"type": "yarn", "factor": 2}}
    assert parse_rope(fields, 64, 1e4).original == 64
    fields["rope_scaling"]["original_max_position_embeddings"] = 32
    assert parse_rope(fields, 64, 1e4).original == 32
    assert parse_rope(fields | {"original_max_position_embeddings": 16}, 64, 1e4).original == 16


@pytest.mark.parametrize("kind", ["qwen2", "qwen3"])
def test_qwens_null_is_not_its_default(kind):
    given = {"model_type": kind, "num_attention_heads": 64, "hidden_size": 8192}
    assert decoder_llama.parse_config(given).blocks.kv_heads == 32
    assert decoder_llama.parse_config(given | {"num_key_value_heads": None}).blocks.kv_heads == 64


@pytest.mark.parametrize(
    "windows", [{"max_window_layers": 4}, {"sliding_window": None}, {"layer_types": ["full_attention"] * 4}]
)
def test_windows_that_no_layer_has_are_accepted(windows):
    given = {
        "model_type": "qwen2",
        "num_hidden_layers": 4,
        "max_window_layers": 3,
        "use_sliding_window": True,
    }
    assert decoder_llama.parse_config(given | windows).blocks.layers == 4


@pytest.mark.parametrize(
    ("module", "bos", "ends"),
    [
        (decoder_llama, 1, (2,)),
        (decoder_neox, 0, (2,)),
        (decoder_gpt2, 50256, (50256,)),
        (decoder_mpt, None, ()),
    ],
)
def test_ends_that_are_left_out_are_transformers(module, bos, ends):
    config = module.parse_config({})
    assert (config.bos_token_id, config.eos_token_ids) == (bos, ends)
    none = module.parse_config({"bos_token_id": None, "eos_token_id": None})
    assert (none.bos_token_id, none.eos_token_ids) == (None, ())


NARROW = {"hidden_size": 20, "num_attention_heads": 4}
MPT = {"d_model": 12, "n_heads": 3, "n_layers": 2, "vocab_size": 20, "max_seq_len": 16}
NEWER = {"ln_": "norm_", "mlp.mlp_up": "ffn.up_proj", "mlp.mlp_down": "ffn.down_proj"}


@pytest.mark.parametrize("kind", ["mosaic_gpt", "mpt"])
def test_mpts_alibi_bias_max_equals_a_float64_reference(kind, tmp_path):
    """transformers takes 8 whatever the file says."""
    said = {"alibi": True, "alibi_bias_max": 5, "clip_qkv": 1.5, "qk_ln": True}
    said = {f"attn_{name}": value for name, value in said.items()} if kind != "mpt" else {"attn_config": said}
    files.write_json(tmp_path / "config.json", {"model_type": kind} | MPT | said)
    tensors = mpt_reference.random_tensors(20, 12, 2)
    named = tensors
    for old, new in NEWER.items() if kind == "mpt" else ():
        named = {name.replace(old, new): named[name] for name in named}
    save_file(named, tmp_path / files.SINGLE)
    tokens = np.random.default_rng(1).integers(0, 20, (1, 9))
    with jax.enable_x64(True):
        got = np.asarray(jaxrm.load_decoder(tmp_path, dtype="float64").logits(tokens)[0])
    want, at_8 = (mpt_reference.logits(tensors, tokens[0], 3, 1.5, alibi_bias_max=most) for most in (5, 8))
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-9)
    assert abs(got - at_8).max() > 1e-2


def test_mpts_clip_of_0_is_none():
    assert decoder_mpt.parse_config({"attn_config": {"clip_qkv": 0}}).blocks.clip is None


@pytest.mark.parametrize(
    ("module", "given", "message"),
    [
        (decoder_llama, {"rope_scaling": {"type": "dynamic", "factor": 2}}, "'dynamic' .* length of a text"),
        (decoder_llama, {"rope_parameters": {"full_attention": {"rope_theta": 1e6}}}, "into full_attention"),
        (decoder_llama, {"rope_scaling": {"rope_type": "linear"}}, "needs factor"),
        (decoder_llama, {"model_type": "qwen2", "use_sliding_window": True}, "use_sliding_window"),
        (decoder_llama, {"model_type": "qwen3", "layer_types": ["sliding_attention"]}, "layer_types"),
        (decoder_llama, {"hidden_act": "mish"}, "unknown activation 'mish'"),
        (decoder_llama, {"num_key_value_heads": 3}, "cannot share"),
        (decoder_gpt2, {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
        (decoder_mpt, {"no_bias": False}, "no_bias"),
        (decoder_mpt, {"attn_config": {"alibi": False}}, "alibi"),
        (decoder_mpt, {"model_type": "mosaic_gpt"}, "alibi"),
        (decoder_neox, {"hidden_act": "mish"}, "unknown activation 'mish'"),
        (decoder_neox, NARROW | {"rotary_pct": 1}, r"5 numbers of a head of 5 .*\(rotary_pct\) is 1$"),
        (
            decoder_neox,
            NARROW | {"rope_scaling": {"type": "yarn"} | YARN},
            r"1 numbers of a head of 5 .* rope_type 'yarn': .*\(rotary_pct\) is 0.25",
        ),
        (decoder_neox, NARROW | {"rotary_pct": 0.1}, "0 numbers of a head of 5"),
        (decoder_llama, {"head_dim": 5}, "5 numbers of a head of 5"),
        (decoder_llama, {"head_dim": 10, "partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5"),
        (decoder_llama, {"head_dim": 10, "partial_rotary_factor": 0.9}, "partial_rotary_factor is 0.9"),
    ],
)
def test_options_that_we_cannot_build_are_refused(module, given, message):
    with pytest.raises(ValueError, match=message):
        module.parse_config(given)
