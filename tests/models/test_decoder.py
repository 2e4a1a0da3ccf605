"""Decoders against golden files of torch in float64, and that all ways of reading on give the same."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrm
from jaxrm.models import BlocksConfig, Decoder, DecoderConfig
from jaxrm.models.alibi import slopes
from jaxrm.models.context import Context
from jaxrm.models.head import log_probs
from jaxrm.models.rope import Rope
from jaxrm.models.sharding import shardings
from jaxrm.models.span import span_log_probs
from jaxrm.weights.table import leaves_by_path

GOLDEN = Path(__file__).parents[1] / "golden"
NAMES = ("llama", "qwen2", "qwen3", "gpt2", "neox", "mpt")
LLAMA = BlocksConfig(12, 2, 4, 2, 6, 10, rope=Rope(6))
# What differs between families, and two mixtures that none has.
BLOCKS = {
    "rope": LLAMA,
    "alibi": replace(LLAMA, rope=None, alibi=8.0, qk_norm="width", norm="layer", gated=False),
    "parallel": replace(LLAMA, rope=Rope(4), parallel=True, qk_norm="head", clip=0.5, scale=0.3),
}

logits = jax.jit(lambda m, tokens: m.logits(tokens))
logits_of_embeds = jax.jit(lambda m, embeds: m.logits(embeds=embeds))


def golden(name: str, dtype: str) -> Decoder:
    return jaxrm.load_decoder(GOLDEN / f"decoder-{name}", dtype=dtype).model


def expected(name: str):
    return np.load(GOLDEN / f"decoder-{name}" / "expected.npz")


def random(config: DecoderConfig, scale: float = 0.3) -> Decoder:
    """Weights from numpy: compiling jax's own draws takes longer than the tests."""
    draw = np.random.default_rng(0).normal
    return jax.tree.map(lambda x: jnp.asarray(scale * draw(size=x.shape)), Decoder.abstract(config))


@pytest.mark.parametrize("name", NAMES)
def test_float64_equals_torch_to_1e_9(name):
    with jax.enable_x64(True), expected(name) as want:
        model = golden(name, "float64")
        got = logits(model, want["tokens"]), logits_of_embeds(model, want["embeds"])
        for ours, theirs in zip(got, (want["logits"], want["logits_of_embeds"]), strict=True):
            assert ours.dtype == np.float64
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_one_by_one_with_a_cache_equals_torch_to_1e_9(name):
    """Three tokens at once, then one after the other."""

    @jax.jit
    def read(model, tokens):
        x = model.embed(tokens)
        first, context = model.remember(x[:, :3], slots=9)

        def step(context, one):
            hidden, context = model.extend(context, one[:, None])
            return context, hidden[:, 0]

        context, rest = jax.lax.scan(step, context, x[:, 3:].swapaxes(0, 1))
        return model.logits_of(jnp.concatenate([first, rest.swapaxes(0, 1)], axis=1)), context

    with jax.enable_x64(True), expected(name) as want:
        got, context = read(golden(name, "float64"), want["tokens"])
        np.testing.assert_allclose(got, want["logits"], rtol=0, atol=1e-9)
        assert int(context.length) == 7 and context.mask.sum() == 14 and context.slots == 9


@pytest.mark.parametrize("name", ["llama", "mpt"])
def test_bfloat16_says_much_the_same(name):
    with expected(name) as want:
        got = logits(golden(name, "bfloat16"), want["tokens"])
        assert got.dtype == jnp.float32  # logits are never rounded to bfloat16
        got, want = (jax.nn.log_softmax(x).ravel() for x in (got, want["logits"]))
        assert np.corrcoef(got, want)[0, 1] > 0.995


@pytest.mark.parametrize(
    ("name", "change", "least"),
    [
        ("llama", {"rope": Rope(4, 100.0)}, 1e-4),
        ("llama", {"norm_eps": 1e-3}, 1e-5),
        ("llama", {"activation": "gelu"}, 1e-3),
        ("neox", {"parallel": False}, 1e-3),
        ("neox", {"rope": Rope(4)}, 1e-4),
        ("gpt2", {"activation": "gelu"}, 1e-6),
        ("mpt", {"alibi": None}, 1e-3),
        ("mpt", {"activation": "gelu_new"}, 1e-6),
    ],
)
def test_the_golden_files_see_a_wrong_option(name, change, least):
    with jax.enable_x64(True), expected(name) as want:
        model = golden(name, "float64")
        wrong = model.with_config(replace(model.config, blocks=replace(model.config.blocks, **change)))
        assert abs(logits(wrong, want["tokens"]) - want["logits"]).max() > least


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("learned", [False, True])
def test_branches_equal_reading_each_anew(kind, learned):
    """From one context, as if only its first 2, 4 or 5 tokens stood before."""
    lengths = (2, 4, 5)
    with jax.enable_x64(True):
        model = random(DecoderConfig(BLOCKS[kind], 20, 16, learned_positions=learned)).with_dtype("float64")
        tokens = np.random.default_rng(1).integers(0, 20, (2, 8))

        @jax.jit
        def both(model):
            x = model.embed(tokens)
            _, context = model.remember(x[:, :5], slots=6)
            visible = jnp.broadcast_to(jnp.arange(6) < jnp.array(lengths)[:, None], (2, 3, 6))
            tails = jnp.broadcast_to(x[:, None, 5:], (2, 3, *x[:, 5:].shape[1:]))
            branched = model.branch(context, tails, visible=visible)
            anew = [model.read(jnp.concatenate([x[:, :n], x[:, 5:]], axis=1))[:, n:] for n in lengths]
            return branched, jnp.stack(anew, axis=1)

        np.testing.assert_allclose(*both(model), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", BLOCKS)
def test_unstacked_layers_say_the_same_with_and_without_a_context(kind):
    def read_on(model, x):
        y, context = model.remember(x[:, :4], slots=7)
        return model.read(x), y, context, *model.extend(context, x[:, 4:])

    with jax.enable_x64(True):
        model = random(DecoderConfig(BLOCKS[kind], 20, 16)).with_dtype("float64")
        x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 7, 12)))
        stacked, unstacked = (jax.jit(read_on)(m, x) for m in (model, model.unstacked().unstacked()))
        for a, b in zip(jax.tree.leaves(unstacked), jax.tree.leaves(stacked), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


def test_unstacked_layers_neither_change_dtype_nor_are_saved(tmp_path):
    checkpoint = jaxrm.load_decoder(GOLDEN / "decoder-llama")
    apart = replace(checkpoint, model=checkpoint.model.unstacked())
    with pytest.raises(ValueError, match="before layers are unstacked"):
        apart.model.with_dtype("bfloat16")
    with pytest.raises(ValueError, match="as it was before its layers were unstacked"):
        jaxrm.save(apart, tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize("kind", BLOCKS)
def test_padding_and_company_change_nothing(kind):
    """Padding in front, behind and in between, in rows of one batch."""
    with jax.enable_x64(True):
        model = random(DecoderConfig(BLOCKS[kind], 20, 16, learned_positions=True)).with_dtype("float64")
        tokens = np.random.default_rng(1).integers(0, 20, (3, 7))
        mask = np.array([[1, 1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1, 1], [1, 0, 1, 0, 1, 1, 0]], bool)
        padded = jax.jit(lambda m, x, mask: m.logits(x, mask=mask))(model, tokens, mask)
        assert np.isfinite(padded).all()
        alone = [logits(model, row[keep][None])[0] for row, keep in zip(tokens, mask, strict=True)]
        for got, keep, want in zip(padded, mask, alone, strict=True):
            np.testing.assert_allclose(got[keep], want, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", BLOCKS)
def test_what_stands_at_padding_does_not_count_even_where_it_is_no_number(kind):
    @jax.jit
    def everything(model, x, mask):
        first, context = model.remember(x[:, :3], mask[:, :3], slots=6)
        rest, longer = model.extend(context, x[:, 3:], mask[:, 3:])
        branched = model.branch(context, x[:, None, 3:], mask[:, None, 3:])[:, 0]
        logits = model.logits(embeds=x, mask=mask)
        return model.read(x, mask), first, rest, branched, logits, longer

    model = random(DecoderConfig(BLOCKS[kind], 20, 16))
    x = np.random.default_rng(1).normal(size=(2, 5, 12))
    mask = np.array([[1, 0, 1, 1, 0], [1, 1, 1, 0, 1]])  # whole numbers serve, too
    odd = np.where(mask[..., None], x, [np.nan, np.inf] * 6)
    jax.tree.map(np.testing.assert_array_equal, everything(model, odd, mask), everything(model, x, mask > 0))


@pytest.mark.parametrize("kind", BLOCKS)
def test_no_rows_and_no_branches_give_none(kind):
    def everything(model, x):
        first, context = model.remember(x[:, :3], slots=6)
        rest, longer = model.extend(context, x[:, 3:])
        none = model.branch(context, jnp.zeros((len(x), 0, 2, 12)))
        return first, rest, longer, none, model.branch(context, x[:, None, 3:]), model.logits(embeds=x)

    model = random(DecoderConfig(BLOCKS[kind], 20, 16))
    for leaf in jax.tree.leaves(jax.eval_shape(everything, model, jnp.zeros((0, 5, 12)))):
        assert leaf.size == 0 or leaf.ndim == 0
    assert jax.eval_shape(everything, model, jnp.zeros((2, 5, 12)))[3].shape == (2, 0, 2, 12)
    assert logits(model, jnp.zeros((0, 4), int)).shape == (0, 4, 20)


def test_spans_in_blocks_of_rows_equal_all_logits_to_1e_9():
    """Rows of 700 tokens, of which a CPU reads two at a time, each padded differently."""
    lengths, starts, count = np.array([700, 650, 64, 3, 700]), np.array([1, 640, 50, 2, 690]), 16
    draw = np.random.default_rng(1).integers
    with jax.enable_x64(True):
        model = random(DecoderConfig(replace(LLAMA, layers=1), 20, 700)).with_dtype("float64")
        tokens, mask = draw(0, 20, (5, 700)), np.arange(700) < lengths[:, None]
        got = jax.jit(span_log_probs, static_argnums=4)(model, tokens, mask, starts, count)
        logs = jax.nn.log_softmax(jax.jit(lambda m, x: m.logits_of(m.read(m.embed(x))))(model, tokens))
        assert got.shape == (5, count) and got.dtype == np.float64
        for row, (start, length) in enumerate(zip(starts, lengths, strict=True)):
            at = np.arange(start, min(start + count, length))
            want = logs[row, at - 1, tokens[row, at]]
            np.testing.assert_allclose(got[row, : len(at)], want, rtol=0, atol=1e-9)
            assert (got[row, len(at) :] == 0).all()


@pytest.mark.parametrize("kind", BLOCKS)
def test_nothing_sees_what_comes_later(kind):
    model = random(DecoderConfig(BLOCKS[kind], 20, 16))
    x = jnp.asarray(np.random.default_rng(1).normal(size=(1, 6, 12)), jnp.float32)
    gradient = jax.jit(jax.grad(lambda x: model.read(x)[0, 2].sum()))(x)[0]
    assert (gradient[3:] == 0).all() and (gradient[:3] != 0).any(axis=-1).all()


def test_log_probs_in_parts_equal_a_softmax_and_so_does_their_gradient():
    random = np.random.default_rng(0)
    with jax.enable_x64(True):
        table, hidden = jnp.asarray(random.normal(size=(30, 5))), jnp.asarray(random.normal(size=(3, 7, 5)))
        targets = random.integers(0, 30, (3, 7))

        def whole(table, hidden):
            found = jax.nn.log_softmax(hidden @ table.T)
            return jnp.take_along_axis(found, targets[..., None], axis=-1)[..., 0]

        for at_once in (30, 120, 10**6):  # one position, four, all
            parts = partial(log_probs, targets=targets, at_once=at_once)
            np.testing.assert_allclose(parts(table, hidden), whole(table, hidden), rtol=0, atol=1e-12)
            got, want = (jax.grad(lambda h, f=f: f(table, h).sum())(hidden) for f in (parts, whole))
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-12)


def test_llama3_frequencies_follow_the_published_rule():
    """Kept below 8192 / 4 tokens a wave, divided by 32 above 8192, blended in between."""
    plain, stretched = Rope(64, 5e5), Rope(64, 5e5, "llama3", 32.0, 1.0, 4.0, 8192)
    waves = 2 * np.pi / plain.frequencies()
    ratio = stretched.frequencies() / plain.frequencies()
    np.testing.assert_allclose(ratio[waves < 2048], 1)
    np.testing.assert_allclose(ratio[waves > 8192], 1 / 32)
    middle = (waves >= 2048) & (waves <= 8192)
    smooth = (8192 / waves[middle] - 1) / 3
    np.testing.assert_allclose(ratio[middle], (1 - smooth) / 32 + smooth)
    assert middle.any()


def test_yarns_frequencies_follow_the_published_rule():
    """Kept from 32 turns in 32,768 tokens on, divided by 4 below one; a line over pairs in between."""
    plain, stretched = (Rope(128, 1e6, kind, 4.0, 1.0, 32.0, 32768) for kind in ("default", "yarn"))
    ratio = stretched.frequencies() / plain.frequencies()
    turns = 32768 * plain.frequencies() / (2 * np.pi)
    first, last = np.flatnonzero(turns >= 32)[-1], np.flatnonzero(turns <= 1)[0]
    np.testing.assert_allclose(ratio[: first + 1], 1)
    np.testing.assert_allclose(ratio[last:], 1 / 4)
    np.testing.assert_allclose(np.diff(ratio[first : last + 1]), -3 / 4 / (last - first))


def test_alibis_slopes():
    np.testing.assert_allclose(slopes(8), 2.0 ** -np.arange(1, 9))
    np.testing.assert_allclose(slopes(3), [2.0**-4, 2.0**-8, 2.0**-2])  # of four, every second first


@pytest.mark.parametrize("how", ["xla"])
def test_other_attentions_give_the_same(how):
    for kind in ("rope", "alibi"):
        model = random(DecoderConfig(BLOCKS[kind], 20, 16))
        model = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), model)
        tokens = np.random.default_rng(1).integers(0, 20, (2, 8))
        other = model.with_config(model.config.with_attention(how))
        np.testing.assert_allclose(logits(other, tokens), logits(model, tokens), atol=2e-5)


def test_heads_are_spread_with_the_queries_that_ask_them():
    model = Decoder.abstract(DecoderConfig(LLAMA, 20, 16, tied=False))
    placed = leaves_by_path(shardings(model, jax.sharding.AbstractMesh((2,), ("model",))))
    assert {path: tuple(leaf.spec) for path, leaf in placed.items() if "model" in leaf.spec} == {
        "embedding": ("model", None),
        "unembedding": ("model", None),
        "stack.blocks.attention.qkv_heads.kernel": (None, None, "model", None, None),
        "stack.blocks.attention.out.kernel": (None, "model", None),
        "stack.blocks.mlp.up.kernel": (None, None, None, "model"),
        "stack.blocks.mlp.down.kernel": (None, "model", None),
    }


def test_wrong_inputs_say_what_is_wanted():
    model = random(DecoderConfig(LLAMA, 20, 16))
    for call, message in (
        (lambda m: m.logits(jnp.zeros((1, 17), int)), "17 tokens and vectors do not fit .* context of 16"),
        (lambda m: m.logits(embeds=jnp.zeros((1, 3, 11))), "takes vectors of 12 numbers, got 11"),
        (lambda m: m.logits(), "either tokens or embeds"),
        (lambda m: m.extend(m.empty(1, 2), jnp.zeros((1, 3, 12))), "3 vectors do not fit .* of 2 slots"),
        (lambda m: m.remember(jnp.zeros((1, 3, 12)), slots=2), "3 tokens do not fit into 2 slots"),
        (lambda m: m.logits(jnp.zeros((1, 0), int)), "the sequence is empty"),
        (lambda m: m.logits(embeds=jnp.zeros((1, 0, 12))), "the sequence is empty"),
        (
            lambda m: m.read(jnp.zeros((2, 3, 12)), jnp.ones((1, 3))),
            r"mask has shape \(1, 3\), wanted \(2, 3\)",
        ),
        (lambda m: m.read(jnp.zeros((2, 3, 12)), jnp.ones((2, 3))), "mask is float32, wanted bool"),
        (lambda m: m.logits(jnp.zeros((5, 9), int), mask=jnp.ones((5, 9))), "mask is float32, wanted bool"),
        (lambda m: m.logits(embeds=jnp.zeros((3, 12))), r"shape \(3, 12\), wanted \[b, t, width\]"),
        (lambda m: m.read(jnp.zeros((1, 2, 3, 12))), r"shape \(1, 2, 3, 12\), wanted \[b, t, width\]"),
        (
            lambda m: m.branch(m.empty(1, 2), jnp.zeros((1, 3, 12))),
            r"shape \(1, 3, 12\), wanted \[b, branches, t, width\]",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            jax.eval_shape(call, model)
    with pytest.raises(ValueError, match="4 heads cannot share 3"):
        replace(LLAMA, kv_heads=3)
    with pytest.raises(ValueError, match="cannot turn 8 of them"):
        replace(LLAMA, rope=Rope(8))


@pytest.mark.parametrize(
    "read",
    [
        lambda m, x: m.read(x),
        lambda m, x: m.remember(x),
        lambda m, x: m.remember(x[:, :8], slots=17),
        lambda m, x: m.empty(1, 17),
        lambda m, x: m.extend(
            Context.of(*jnp.zeros((2, 2, 1, 17, 2, 6)), jnp.zeros((1, 17), bool)), x[:, :1]
        ),
        lambda m, x: m.branch(m.empty(1, 16), x[:, None]),
    ],
)
def test_no_position_beyond_those_that_were_learned(read):
    """They were all the last one."""
    learned = Decoder.abstract(DecoderConfig(LLAMA, 20, 16, learned_positions=True))
    with pytest.raises(ValueError, match="17 slots are more than the decoder's 16 positions"):
        jax.eval_shape(read, learned, jnp.zeros((1, 17, 12)))
    jax.eval_shape(read, Decoder.abstract(DecoderConfig(LLAMA, 20, 16)), jnp.zeros((1, 17, 12)))


def test_an_empty_context_is_one_that_has_read_nothing():
    with jax.enable_x64(True):
        model = random(DecoderConfig(LLAMA, 20, 16)).with_dtype("float64")
        x = model.embed(np.random.default_rng(1).integers(0, 20, (2, 4)))
        got, context = jax.jit(lambda m, x: m.extend(m.empty(2, 6), x))(model, x)
        np.testing.assert_allclose(got, jax.jit(lambda m, x: m.read(x))(model, x), rtol=0, atol=1e-12)
        assert context.mask.tolist() == [[True] * 4 + [False] * 2] * 2


SHARDED = """
import jax, numpy as np, jaxrm
from jaxrm.models.sharding import shard
mesh = jax.make_mesh((2,), ("model",), axis_types=(jax.sharding.AxisType.Auto,))
logits = jax.jit(lambda m, x: m.logits(x))
tokens = np.random.default_rng(0).integers(0, 20, (2, 7))
for name in ("llama", "mpt"):
    model = jaxrm.load_decoder(f"tests/golden/decoder-{name}").model
    spread = shard(model, mesh)
    np.testing.assert_allclose(logits(spread, tokens), logits(model, tokens), atol=1e-5)
    held = [leaf for leaf in jax.tree.leaves(spread) if not leaf.sharding.is_fully_replicated]
    assert all(leaf.addressable_shards[0].data.size * 2 == leaf.size for leaf in held)
    print(name, sum(leaf.size for leaf in held) / sum(leaf.size for leaf in jax.tree.leaves(model)))
"""


def test_logits_are_the_same_over_two_devices(on_devices):
    """What is odd cannot be halved and stays whole: heads, hidden units."""
    shares = dict(line.split() for line in on_devices(SHARDED, devices=2).splitlines())
    assert shares.keys() == {"llama", "mpt"} and all(float(share) > 0.6 for share in shares.values())
