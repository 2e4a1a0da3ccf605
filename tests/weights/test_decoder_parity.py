"""Live comparison of decoders with transformers (extra `parity`), on tiny random networks."""

import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrm
from jaxrm.models import Decoder
from jaxrm.weights import decoder_gpt2, decoder_llama, decoder_mpt, decoder_neox, files
from jaxrm.weights.family import read_family
from jaxrm.weights.table import names_and_shapes
from tests.weights.test_decoder_config import PUBLISHED

torch = pytest.importorskip("torch", reason="the extra `parity` is not installed")
transformers = pytest.importorskip("transformers", reason="the extra `parity` is not installed")

from tests.weights.doubled import doubled, float64_everywhere  # noqa: E402

GOLDEN = Path(__file__).parents[1] / "golden" / "decoder-llama"

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

logits = jax.jit(lambda m, tokens, mask: m.logits(tokens, mask=mask))
of_embeds = jax.jit(lambda m, embeds: m.logits(embeds=embeds))

BASE = {
    "vocab_size": 50,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 37,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
SHARED = BASE | {"num_key_value_heads": 2}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
SCALES = YARN | {"mscale": 0.7, "mscale_all_dim": 1.3, "beta_slow": 0.1, "beta_fast": 2.0, "truncate": False}
WINDOWS = {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 3}
SMALL = {"vocab_size": 50, "bos_token_id": 0, "eos_token_id": 1}
GPT2 = SMALL | {"n_embd": 24, "n_layer": 3, "n_head": 3, "n_positions": 40}
MPT = SMALL | {"d_model": 24, "n_layers": 3, "max_seq_len": 40}
CASES = {
    "llama": ("Llama", SHARED),
    "llama, one head of keys": ("Llama", BASE | {"num_key_value_heads": 1, "hidden_act": "gelu"}),
    "llama 3": ("Llama", SHARED | {"rope_scaling": LLAMA3, "rope_theta": 100.0, "tie_word_embeddings": True}),
    "llama, linear": ("Llama", SHARED | {"rope_scaling": {"rope_type": "linear", "factor": 2.0}}),
    "llama, biases": ("Llama", SHARED | {"attention_bias": True, "mlp_bias": True, "head_dim": 10}),
    "llama, yarn": ("Llama", SHARED | {"rope_scaling": SCALES, "rope_theta": 100.0, "head_dim": 12}),
    "qwen2": ("Qwen2", SHARED),
    "qwen2, windows behind its layers": ("Qwen2", SHARED | WINDOWS),
    "qwen2, yarn": ("Qwen2", SHARED | {"rope_scaling": {"attention_factor": 1.5} | YARN, "rope_theta": 1e4}),
    "qwen3": ("Qwen3", SHARED | {"head_dim": 10, "tie_word_embeddings": True}),
    "qwen3, yarn": ("Qwen3", SHARED | {"head_dim": 10, "rope_parameters": {"rope_theta": 50.0} | YARN}),
    "qwen3, biases": ("Qwen3", SHARED | {"head_dim": 4, "attention_bias": True}),
    "gpt2": ("GPT2", GPT2),
    "gpt2, relu": ("GPT2", GPT2 | {"activation_function": "relu", "n_inner": 30, "layer_norm_epsilon": 1e-3}),
    "gpt-neox": ("GPTNeoX", BASE | {"rotary_pct": 0.4}),
    "gpt-neox, yarn": ("GPTNeoX", BASE | {"rotary_pct": 0.7, "rope_scaling": dict(YARN)}),
    "gpt-neox, an odd part by default": ("GPTNeoX", BASE | {"num_attention_heads": 2}),
    "gpt-neox, llama 3 of an odd part": (
        "GPTNeoX",
        BASE | {"num_attention_heads": 2, "rotary_pct": 0.45, "rope_scaling": dict(LLAMA3)},
    ),
    "gpt-neox, one after the other": (
        "GPTNeoX",
        BASE | {"rotary_pct": 1.0, "use_parallel_residual": False, "attention_bias": False},
    ),
    "mpt": ("Mpt", MPT | {"n_heads": 4}),
    "mpt, three heads": ("Mpt", MPT | {"n_heads": 3, "attn_config": {"clip_qkv": 1.0, "softmax_scale": 0.3}}),
}


MODULES = dict.fromkeys(("llama", "qwen2", "qwen3"), decoder_llama)
MODULES |= {"gpt2": decoder_gpt2, "gpt_neox": decoder_neox, "mpt": decoder_mpt}


def random(kind: str, fields: dict):
    """A model whose biases and norms are not at their trivial start."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**fields)
    name = f"{kind}LMHeadModel" if kind == "GPT2" else f"{kind}ForCausalLM"
    made = getattr(transformers, name)(config)
    for parameter in made.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return made.eval()


@pytest.mark.parametrize("case", CASES)
def test_float64_to_1e_9_there_and_back(case, tmp_path):
    """With tokens, with vectors, with a cache on both sides, padded in front; and what we save loads in
    torch.
    """
    made = random(*CASES[case])
    made.save_pretrained(tmp_path)
    tokens = np.random.default_rng(0).integers(0, 50, (2, 13))
    mask = np.ones((2, 13), bool)
    mask[1, :4] = False
    ids = torch.tensor(tokens)
    embeds = np.random.default_rng(1).normal(size=(2, 6, 24))
    with float64_everywhere(), torch.no_grad():
        theirs = doubled(made)
        whole = theirs(ids).logits.numpy()
        vectors = theirs(inputs_embeds=torch.tensor(embeds)).logits.numpy()
        first = theirs(ids[:, :9], use_cache=True)
        rest = theirs(ids[:, 9:], past_key_values=first.past_key_values, use_cache=True).logits.numpy()
        alone = theirs(ids[1:, 4:]).logits.numpy()
    assert whole.dtype == np.float64

    @jax.jit
    def cached(model, tokens):
        x = model.embed(tokens)
        _, context = model.remember(x[:, :9], slots=13)
        return model.logits_of(model.extend(context, x[:, 9:])[0])

    with jax.enable_x64(True):
        model = jaxrm.load_decoder(tmp_path, dtype="float64").model
        np.testing.assert_allclose(logits(model, tokens, None), whole, rtol=0, atol=1e-9)
        np.testing.assert_allclose(of_embeds(model, embeds), vectors, rtol=0, atol=1e-9)
        np.testing.assert_allclose(cached(model, tokens), rest, rtol=0, atol=1e-9)
        np.testing.assert_allclose(cached(model, tokens), whole[:, 9:], rtol=0, atol=1e-9)
        padded = logits(model, tokens, mask)
        np.testing.assert_allclose(padded[0], whole[0], rtol=0, atol=1e-9)
        np.testing.assert_allclose(padded[1:, 4:], alone, rtol=0, atol=1e-9)
    jaxrm.save(jaxrm.load_decoder(tmp_path), tmp_path / "saved")
    again, report = type(made).from_pretrained(tmp_path / "saved", output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    with torch.no_grad():
        np.testing.assert_allclose(again.eval()(ids).logits, made(ids).logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", ["llama 3", "llama, yarn", "qwen3, yarn", "gpt-neox"])
def test_both_spellings_of_rope_give_the_same(case, tmp_path):
    """What transformers writes now, and what lies on the hub."""
    made = random(*CASES[case])
    made.save_pretrained(tmp_path)
    written = files.read_config(tmp_path)
    rope = written.pop("rope_parameters")
    new = jaxrm.load_decoder(tmp_path).model.config
    if case == "gpt-neox":
        old = {"rotary_pct": rope["partial_rotary_factor"], "rotary_emb_base": rope["rope_theta"]}
    else:
        old = {"rope_theta": rope.pop("rope_theta"), "rope_scaling": rope}
    files.write_json(tmp_path / "config.json", written | old)
    assert jaxrm.load_decoder(tmp_path).model.config == new


@pytest.mark.parametrize(("kind", "module"), MODULES.items())
def test_ends_that_are_left_out_are_theirs(kind, module):
    theirs, ours = transformers.AutoConfig.for_model(kind), module.parse_config({"model_type": kind})
    assert ours.bos_token_id == theirs.bos_token_id
    assert ours.eos_token_ids == (() if theirs.eos_token_id is None else (theirs.eos_token_id,))


@pytest.mark.parametrize("name", [name for name in PUBLISHED if not name.startswith("mpt")])
def test_full_size_shapes_equal_transformers(name):
    module, given, *_ = PUBLISHED[name]
    kind = transformers.AutoConfig.for_model(**given)
    with torch.device("meta"):
        meta = transformers.AutoModelForCausalLM.from_config(kind)
    config = module.parse_config(given)
    ours = names_and_shapes(module.table(config), Decoder.abstract(config))
    theirs = {key: tuple(tensor.shape) for key, tensor in meta.state_dict().items()}
    if config.tied:
        theirs.pop("lm_head.weight")
    assert ours == theirs


def test_tokens_equal_transformers(tmp_path):
    lm = jaxrm.load_decoder(GOLDEN)
    jaxrm.save(lm, tmp_path)
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    for text in ("A video of a robot:", "it kneels down", " raise the left arm"):
        assert lm.processor.encode(text, beginning=True) == theirs(text)["input_ids"]
        assert lm.processor.encode(text) == theirs(text, add_special_tokens=False)["input_ids"]


def test_span_likelihood_equals_torch(tmp_path):
    made = random("Llama", SHARED | {"vocab_size": 110, "tie_word_embeddings": True})
    made.save_pretrained(tmp_path)
    shutil.copy(GOLDEN / "tokenizer.json", tmp_path)
    lm = jaxrm.load_decoder(tmp_path)
    prompts, continuations = ["A video:", "it was"], [" a robot kneels down", " done"]
    got = lm.log_likelihood(prompts, continuations)
    for value, prompt, continuation in zip(got, prompts, continuations, strict=True):
        head, tail = lm.processor.encode(prompt, beginning=True), lm.processor.encode(continuation)
        with torch.no_grad():
            logs = torch.log_softmax(made(torch.tensor([[*head, *tail]])).logits[0], -1)
        want = sum(float(logs[len(head) + i - 1, token]) for i, token in enumerate(tail))
        np.testing.assert_allclose(value, want, rtol=1e-4)
    assert got.dtype == jnp.float32


def test_float32_at_a_real_width(tmp_path):
    """Four layers as wide as SmolLM2-135M."""
    fields = {"hidden_size": 576, "num_attention_heads": 9, "num_key_value_heads": 3, "num_hidden_layers": 4}
    made = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**fields, intermediate_size=1536, vocab_size=2000)
    ).eval()
    made.save_pretrained(tmp_path)
    assert read_family(tmp_path)[0].name == "Llama"
    tokens = np.random.default_rng(0).integers(0, 2000, (2, 50))
    with torch.no_grad():
        want = made(torch.tensor(tokens)).logits.numpy()
    with jax.default_matmul_precision("highest"):
        got = logits(jaxrm.load_decoder(tmp_path).model, tokens, None)
    error = np.linalg.norm(got - want, axis=-1) / np.linalg.norm(want, axis=-1)
    print(f"float32, relative error {error.max():.1e}")
    assert error.max() < 1e-4
