"""Decoders' directories there and back, their tokenisers, likelihoods of spans, and each fault named."""

import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import jaxrm
from jaxrm.describe import describe
from jaxrm.weights import WeightsError, files
from jaxrm.weights.family import read_family
from jaxrm.weights.table import to_tensors
from tests.weights import mpt_reference
from tests.weights.decoder_files import CONTINUATIONS, GOLDEN, LLAMA, PROMPTS, edit, edit_config

NAMES = ("llama", "qwen2", "qwen3", "gpt2", "neox", "mpt")


@pytest.mark.parametrize("name", NAMES)
def test_there_and_back_gives_the_same_bits(name, tmp_path):
    directory = GOLDEN / f"decoder-{name}"
    family, _ = read_family(directory)
    given = {family.rename(key): tensor for key, tensor in files.read_tensors(directory).items()}
    first = jaxrm.load_decoder(directory)
    jaxrm.save(first, tmp_path / "saved")
    second = jaxrm.load_decoder(tmp_path / "saved")
    assert first.model.config == second.model.config
    assert jax.tree.structure(first.model) == jax.tree.structure(second.model)
    back = to_tensors(family.table(first.model.config), first.model)
    for tensors in (back, files.read_tensors(tmp_path / "saved")):
        assert tensors.keys() == given.keys()
        for key, tensor in given.items():
            assert tensors[key].shape == tensor.shape and tensors[key].tobytes() == tensor.tobytes(), key
    tokenizer = directory / "tokenizer.json"
    if tokenizer.is_file():
        assert (tmp_path / "saved" / "tokenizer.json").read_bytes() == tokenizer.read_bytes()


def test_a_missing_an_unknown_and_a_misshapen_tensor_are_all_named(copy):
    changes = {"model.norm.weight": None, "model.extra": np.zeros(3, np.float32)}
    changes["model.layers.1.self_attn.k_proj.weight"] = np.zeros((7, 8), np.float32)
    edit(copy, **changes)
    with pytest.raises(WeightsError) as error:
        jaxrm.load_decoder(copy)
    message = str(error.value)
    assert "missing: model.norm.weight [8]" in message
    assert "unknown: model.extra [3]" in message
    assert "misshapen: model.layers.1.self_attn.k_proj.weight is [7, 8], wanted [8, 8]" in message


def test_a_tied_head_may_be_repeated_but_not_differ(copy):
    embedding = load_file(copy / files.SINGLE)["model.embed_tokens.weight"]
    edit(copy, **{"lm_head.weight": embedding})
    assert jaxrm.load_decoder(copy).model.unembedding is None
    edit(copy, **{"lm_head.weight": embedding + 1})
    with pytest.raises(WeightsError, match=r"tie_word_embeddings is true, but lm_head\.weight is not"):
        jaxrm.load_decoder(copy)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("gpt2", "transformer.", ""),  # as OpenAI's repositories have it
        ("neox", "embed_out.", "lm_head."),
    ],
)
def test_other_names_of_the_same_tensors_are_read(name, old, new, tmp_path):
    directory = Path(shutil.copytree(GOLDEN / f"decoder-{name}", tmp_path / "copy"))
    tensors = load_file(directory / files.SINGLE)
    renamed = {key.replace(old, new): tensor for key, tensor in tensors.items()}
    renamed |= {"h.0.attn.bias": np.ones((1, 1, 16, 16), np.float32)} if name == "gpt2" else {}
    save_file(renamed, directory / files.SINGLE)
    for a, b in zip(
        jax.tree.leaves(jaxrm.load_decoder(directory).model),
        jax.tree.leaves(jaxrm.load_decoder(GOLDEN / f"decoder-{name}").model),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_mpts_qk_norm_equals_a_float64_reference(tmp_path):
    """In the format and under the names of the published 1B; transformers passes the option over."""
    config = {"model_type": "mosaic_gpt", "d_model": 12, "n_heads": 3, "n_layers": 2, "vocab_size": 20}
    config |= {"alibi": True, "attn_qk_ln": True, "alibi_bias_max": 8, "max_seq_len": 16, "mlp_ratio": 4}
    config |= {"no_bias": True, "low_precision_layernorm": True, "attn_clip_qkv": 1.5}
    files.write_json(tmp_path / "config.json", config)
    tensors = mpt_reference.random_tensors(20, 12, 2)
    save_file(tensors, tmp_path / files.SINGLE)
    tokens = np.random.default_rng(1).integers(0, 20, (2, 9))
    with jax.enable_x64(True):
        got = jaxrm.load_decoder(tmp_path, dtype="float64").logits(tokens)
        for row in range(2):
            want = mpt_reference.logits(tensors, tokens[row], heads=3, clip=1.5)
            np.testing.assert_allclose(got[row], want, rtol=0, atol=1e-9)
        without = mpt_reference.logits(tensors, tokens[0], heads=3, clip=1.5, qk_ln=False)
        assert abs(got[0] - without).max() > 1e-2
    jaxrm.save(jaxrm.load_decoder(tmp_path), tmp_path / "saved")
    again = files.read_tensors(tmp_path / "saved")
    assert again.keys() == tensors.keys()
    assert all(again[name].tobytes() == tensors[name].tobytes() for name in tensors)


LINEAR, YARN = {"rope_type": "linear", "factor": 2.0}, {"type": "yarn", "factor": 2.0}
WINDOWS = {"layer_types": None, "use_sliding_window": True, "sliding_window": 4}
LLAMA3 = {"rope_type": "llama3", "factor": 2, "low_freq_factor": 4, "high_freq_factor": 4}


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("llama", {"hidden_size": "8"}, "hidden_size is '8', wanted a whole number of at least 1"),
        ("llama", {"num_attention_heads": 0}, "num_attention_heads is 0, wanted a whole"),
        ("llama", {"num_hidden_layers": -1}, "num_hidden_layers is -1, wanted a whole"),
        ("llama", {"num_key_value_heads": 0}, "num_key_value_heads is 0, wanted a whole"),
        ("llama", {"rms_norm_eps": "1e-5"}, "rms_norm_eps is '1e-5', wanted a number above 0"),
        ("llama", {"rms_norm_eps": float("nan")}, "rms_norm_eps is nan, wanted a number above 0"),
        ("llama", {"attention_bias": "no"}, "attention_bias is 'no', wanted true or false"),
        ("llama", {"hidden_act": []}, r"hidden_act is \[\], wanted a text"),
        ("llama", {"bos_token_id": "x"}, "bos_token_id is 'x', wanted a token id, or null"),
        (
            "llama",
            {"eos_token_id": [1, "x"]},
            "eos_token_id is .* a token id or a list of them, or null",
        ),
        ("llama", {"rope_scaling": [1]}, r"rope_scaling is \[1\], wanted an object"),
        ("llama", {"rope_parameters": {"rope_theta": -1.0}}, "rope_theta is -1.0, wanted a number above 0"),
        ("llama", {"rope_parameters": None, "rope_theta": 0}, "rope_theta is 0, wanted a number above 0"),
        ("llama", {"rope_scaling": LINEAR | {"factor": 0}}, "factor is 0, wanted a number above 0"),
        ("llama", {"rope_scaling": LINEAR | {"rope_type": 3}}, "rope_type is 3, wanted a text"),
        ("llama", {"rope_scaling": LLAMA3}, "low_freq_factor is 4, wanted less than high_freq_factor, 4"),
        ("llama", {"rope_scaling": YARN | {"beta_fast": 0.5}}, "beta_slow is 1, wanted less than beta_fast"),
        ("llama", {"rope_scaling": YARN | {"truncate": 1}}, "truncate is 1, wanted true or false"),
        ("llama", {"rope_scaling": YARN | {"rope_theta": 1}}, "rope_theta is 1, wanted more than 1"),
        (
            "llama",
            {"rope_scaling": YARN, "original_max_position_embeddings": 0.5},
            "original_max_position_embeddings is 0.5, wanted a whole",
        ),
        ("qwen2", {"hidden_size": 10}, "hidden_size is 10, wanted a multiple of num_attention_heads, 4"),
        ("gpt2", {"n_inner": -1}, "n_inner is -1, wanted a whole"),
        ("gpt2", {"n_head": 3}, "n_embd is 8, wanted a multiple of n_head, 3"),
        ("neox", {"rope_parameters": {"partial_rotary_factor": "0.5"}}, "partial_rotary_factor is '0.5'"),
        ("mpt", {"attn_config": [1]}, r"attn_config is \[1\], wanted an object"),
        ("mpt", {"attn_config": {"clip_qkv": -1}}, "clip_qkv is -1, wanted a number above 0"),
        ("mpt", {"norm_type": "rmsnorm"}, "norm_type is 'rmsnorm': only 'layernorm' and 'low_prec"),
        ("mpt", {"expansion_ratio": 2.5}, "expansion_ratio is 2.5, wanted a whole number"),
        ("qwen3", WINDOWS | {"max_window_layers": -1}, "max_window_layers is -1, wanted a whole"),
        (
            "qwen3",
            WINDOWS | {"max_window_layers": 0},
            "use_sliding_window is true, from layer max_window_layers, 0, on",
        ),
    ],
)
def test_a_field_that_cannot_be_used_is_named_with_its_file(name, change, message, tmp_path):
    shutil.copy(GOLDEN / f"decoder-{name}" / "config.json", tmp_path)
    edit_config(tmp_path, **change)
    with pytest.raises(ValueError, match=f"{tmp_path}/config.json has fields that cannot be used: {message}"):
        jaxrm.load_decoder(tmp_path)


@pytest.mark.parametrize("option", [{"dtype": "fp16"}, {"param_dtype": "int8"}])
def test_a_dtype_that_we_do_not_have_is_refused(option):
    with pytest.raises(ValueError, match=f"unknown dtype '{next(iter(option.values()))}'; known: float32"):
        jaxrm.load_decoder(LLAMA, **option)


def test_the_right_loader_is_named():
    for load in (jaxrm.load_clip, jaxrm.load_tower):
        with pytest.raises(ValueError, match=r"a decoder LLM, Llama: load it with `jaxrm.load_decoder`"):
            load(LLAMA)
    with pytest.raises(ValueError, match=r"a dual encoder, CLIP: load it with `jaxrm.load_clip`"):
        jaxrm.load_decoder(GOLDEN / "clip-quick-gelu")


def test_likelihood_of_a_span_equals_all_logits(lm):
    got = lm.log_likelihood(PROMPTS, CONTINUATIONS)
    assert got.shape == (3,) and got.dtype == np.float32
    for value, prompt, continuation in zip(got, PROMPTS, CONTINUATIONS, strict=True):
        head = lm.processor.tokenizer.encode(prompt).ids
        tail = lm.processor.tokenizer.encode(continuation, add_special_tokens=False).ids
        assert head[0] == 0 and (prompt or len(head) == 1)  # <s> stands in front
        row = np.array([[*head, *tail] + [0] * (40 - len(head) - len(tail))])
        logs = jax.nn.log_softmax(lm.logits(row)[0])
        want = sum(float(logs[len(head) + k - 1, token]) for k, token in enumerate(tail))
        np.testing.assert_allclose(value, want, rtol=1e-4)
    np.testing.assert_allclose(lm.log_likelihood(PROMPTS, CONTINUATIONS, batch=2), got, rtol=1e-5)


def test_logits_from_vectors_and_with_padding(lm):
    tokens = np.array([[3, 5, 7, 9], [4, 6, 0, 0]])
    mask = np.array([[True] * 4, [True, True, False, False]])
    got = lm.logits(tokens, mask=mask)
    assert got.shape == (2, 4, 110) and got.dtype == np.float32
    np.testing.assert_allclose(lm.logits(embeds=lm.model.embed(tokens), mask=mask), got, atol=1e-5)
    np.testing.assert_allclose(lm.logits(tokens[1:, :2])[0], got[1, :2], atol=1e-4)


@pytest.mark.parametrize(
    ("prompts", "continuations", "kind", "message"),
    [
        (["a"], ["b", "c"], ValueError, "1 prompts and 2 continuations"),
        ("a", ["b"], TypeError, "list of sentences"),
        (["a"], [""], ValueError, "has no tokens"),
        (["a"], [" kneels" * 130], ValueError, "context holds 128"),
        ([], [], ValueError, "no sentence"),
    ],
)
def test_wrong_texts_are_refused(lm, prompts, continuations, kind, message):
    with pytest.raises(kind, match=message):
        lm.log_likelihood(prompts, continuations)


def test_wrong_tokens_are_refused(lm):
    with pytest.raises(ValueError, match="run from 3 to 110, the vocabulary to 109"):
        lm.logits(np.array([[3, 110]]))
    with pytest.raises(ValueError, match=r"wanted integers \[b, t\]"):
        lm.logits(np.array([3, 4]))
    with pytest.raises(ValueError, match="129 tokens and vectors do not fit"):
        lm.logits(np.zeros((1, 129), int))
    with pytest.raises(ValueError, match="tokens given as a list, wanted an array"):
        lm.logits([[3, 4]])
    with pytest.raises(ValueError, match="mask given as a list, wanted an array"):
        lm.logits(np.array([[3, 4]]), mask=[[True, False]])
    with pytest.raises(ValueError, match=r"mask has shape \(1, 3\), wanted \(1, 2\)"):
        lm.logits(np.array([[3, 4]]), mask=np.ones((1, 3), bool))
    with pytest.raises(ValueError, match="the sequence is empty"):
        lm.logits(np.zeros((1, 0), int))
    with pytest.raises(ValueError, match="batch is 0, wanted a whole number"):
        lm.log_likelihood(["a"], [" b"], batch=0)


def test_mpts_settings_that_say_the_same(tmp_path):
    shutil.copy(GOLDEN / "decoder-mpt" / "config.json", tmp_path)
    plain = files.read_config(tmp_path)
    family, _ = read_family(tmp_path)
    config = family.parse_config(plain)
    ratio = config.blocks.mlp_width // config.blocks.width
    assert family.parse_config(plain | {"expansion_ratio": float(ratio), "norm_type": "layernorm"}) == config
    odd = family.parse_config(plain | {"attn_config": plain["attn_config"] | {"alibi_bias_max": 8.5}})
    assert family.format_config(odd)["attn_config"]["alibi_bias_max"] == odd.blocks.alibi == 8.5
    assert type(family.format_config(config)["attn_config"]["alibi_bias_max"]) is int


def test_a_window_that_no_layer_uses_is_none(tmp_path):
    shutil.copy(GOLDEN / "decoder-qwen3" / "config.json", tmp_path)
    family, given = read_family(tmp_path)
    given = {name: value for name, value in given.items() if name != "layer_types"}
    config = family.parse_config(given)
    for unused in ({"use_sliding_window": False}, {"use_sliding_window": True, "sliding_window": None}):
        assert family.parse_config(given | unused | {"max_window_layers": 0}) == config


def test_a_pickle_is_refused_with_the_way_that_keeps_a_decoders_head(copy):
    (copy / files.SINGLE).rename(copy / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match=r"import AutoModelForCausalLM as M; .*save_pretrained"):
        jaxrm.load_decoder(copy)


def test_weights_in_bfloat16():
    lm = jaxrm.load_decoder(LLAMA, dtype="bfloat16", param_dtype="bfloat16")
    assert {leaf.dtype.name for leaf in jax.tree.leaves(lm.model)} == {"bfloat16"}
    assert lm.log_likelihood(["A video"], [" of a robot"]).dtype == np.float32


def test_inspect_tells_what_a_decoder_is():
    told = dict(describe(LLAMA))
    assert told["family"].startswith("Llama") and "LlamaForCausalLM" in told["family"]
    assert told["text"] == "110 token ids, context of 128 tokens"
    assert told["tokeniser"] == "BPE, 110 entries"
    assert "FLOPs a token" in told
    assert dict(describe(GOLDEN / "decoder-gpt2"))["tokeniser"].startswith("none")
