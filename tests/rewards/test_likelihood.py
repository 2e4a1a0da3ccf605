"""The likelihood reward against its definition computed naively, its losses, and each wrong input refused."""

import json
import math
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tokenizers import Tokenizer

import jaxrm
from jaxrm.models.interface import Interface, InterfaceConfig
from jaxrm.rewards import protocols
from jaxrm.rewards.likelihood import (
    LikelihoodWeights,
    Trajectories,
    differences,
    score,
    score_prefixes,
    tail_scores,
)
from jaxrm.rewards.prompts import Tails, ask, describe
from jaxrm.weights import DecoderProcessor
from jaxrm.weights.fingerprint import check_label, label

GOLDEN = Path(__file__).parents[1] / "golden"
INSTRUCTION, OTHER = "kneels down", "raise the left arm"
BEFORE = "A video of a robot:"


@pytest.fixture(scope="module")
def lm():
    return jaxrm.load_decoder(GOLDEN / "decoder-llama")


@pytest.fixture(scope="module")
def clip():
    return jaxrm.load_clip(GOLDEN / "clip-quick-gelu")


def interface(dtype: str = "float64", **change) -> Interface:
    config = InterfaceConfig(
        **({"inputs": 12, "outputs": 8, "width": 8, "heads": 2, "dtype": dtype} | change)
    )
    draw = np.random.default_rng(0).normal
    return jax.tree.map(lambda x: jnp.asarray(0.5 * draw(size=x.shape), dtype), Interface.abstract(config))


def trajectories(b: int = 2, t: int = 4) -> Trajectories:
    """The second misses a frame in its middle."""
    mask = np.ones((b, t), bool)
    mask[1, 1] = False
    return Trajectories(np.random.default_rng(1).normal(size=(b, t, 12)), mask)


def weights_of(lm, tails: Tails, dtype: str = "float64") -> LikelihoodWeights:
    return LikelihoodWeights(lm.model.with_dtype(dtype), jnp.asarray(lm.processor.begin(BEFORE)), tails)


all_log_probs = jax.jit(lambda lm, x: jax.nn.log_softmax(lm.logits(embeds=x)))
read = jax.jit(lambda interface, x: interface.read(x))


def naive(weights: LikelihoodWeights, state: Interface, embeddings: np.ndarray, tail: Tails) -> float:
    """One trajectory, one tail: everything in one sequence, all logits."""
    lm = weights.lm
    ids = jnp.asarray(np.asarray(tail.tokens)[np.asarray(tail.mask)])
    scored = np.asarray(tail.scored)[np.asarray(tail.mask)]
    frames = read(state, embeddings[None])[0] if len(embeddings) else jnp.zeros((0, 8))
    x = jnp.concatenate([lm.embed(weights.before), frames, lm.embed(ids)])
    found = np.asarray(all_log_probs(lm, x[None])[0])
    start = len(x) - len(ids)
    picked = [found[start + k - 1, ids[k]] for k in range(len(ids)) if scored[k]]
    return float(sum(picked)) / (1 if tail.asks else len(picked))


def naive_reward(weights: LikelihoodWeights, state: Interface, embeddings: np.ndarray) -> float:
    tails = weights.tails
    if tails.asks:
        return naive(weights, state, embeddings, tails[0]) - naive(weights, state, embeddings, tails[1])
    return naive(weights, state, embeddings, tails)


@pytest.mark.parametrize("form", [describe, ask])
def test_whole_and_every_prefix_equal_the_definition(form, lm):
    with jax.enable_x64(True):
        weights, state = weights_of(lm, form(lm.processor, [INSTRUCTION])[0]), interface()
        batch = trajectories()
        whole = jax.jit(score)(weights, state, batch)
        prefixes = jax.jit(score_prefixes)(weights, state, batch, np.arange(-1, 4))
        assert whole.shape == (2,) and prefixes.shape == (2, 5)
        np.testing.assert_allclose(prefixes[:, -1], whole, rtol=0, atol=1e-12)
        for row, n in ((0, 0), (1, 4)):
            kept = batch.embeddings[row, :n][batch.mask[row, :n]]
            np.testing.assert_allclose(
                prefixes[row, n], naive_reward(weights, state, kept), rtol=0, atol=1e-9
            )
        np.testing.assert_allclose(prefixes[1, 2], prefixes[1, 1], rtol=0, atol=1e-12)  # a masked frame


def test_without_words_between_frames_and_instruction(lm):
    """The last frame then foretells the first token."""
    with jax.enable_x64(True):
        tails = describe(lm.processor, [INSTRUCTION], "robot: {frames}{instruction}")[0]
        assert tails.first == 0 and tails.scored.all()
        weights, state, batch = weights_of(lm, tails), interface(layers=0), trajectories()
        got = jax.jit(score)(weights, state, batch)
        kept = batch.embeddings[1][batch.mask[1]]
        np.testing.assert_allclose(got[1], naive_reward(weights, state, kept), rtol=0, atol=1e-9)


def test_a_tail_of_one_token(lm):
    """As a sentence of one word is where no words stand before it and no end behind it."""
    with jax.enable_x64(True):
        tails = describe(lm.processor, [INSTRUCTION], "robot: {frames}{instruction}")[0]
        one = jax.tree.map(lambda x: x[:1], tails)
        weights, state, batch = weights_of(lm, one), interface(layers=0), trajectories()
        kept = batch.embeddings[1][batch.mask[1]]
        got = jax.jit(score)(weights, state, batch)
        np.testing.assert_allclose(got[1], naive_reward(weights, state, kept), rtol=0, atol=1e-9)


def test_tails_of_other_lengths_beside_it_change_nothing(lm):
    with jax.enable_x64(True):
        for form in (describe, ask):
            both, one = (form(lm.processor, texts) for texts in ([INSTRUCTION, OTHER], [INSTRUCTION]))
            if form is ask:
                both = both[:, 0]
                one = one[:, 0]
            weights = weights_of(lm, both)
            run = jax.jit(tail_scores)
            got = run(weights.lm, interface(), weights.before, trajectories(), both[None])
            want = run(weights.lm, interface(), weights.before, trajectories(), one[None])
            np.testing.assert_allclose(got[:, :1], want, rtol=0, atol=1e-12)


def test_what_masked_frames_are_does_not_count_even_where_it_is_no_number(lm):
    weights, state = weights_of(lm, ask(lm.processor, [INSTRUCTION])[0], "float32"), interface("float32")
    batch = trajectories()
    broken = batch._replace(embeddings=np.where(batch.mask[..., None], batch.embeddings, np.nan))
    for run in (score, score_prefixes):
        run = jax.jit(run)
        np.testing.assert_array_equal(run(weights, state, broken), run(weights, state, batch))
        whole = batch._replace(mask=2 * batch.mask.astype(int))
        np.testing.assert_array_equal(run(weights, state, whole), run(weights, state, batch))


def test_trajectories_of_no_meaning_are_refused(lm):
    weights, state = weights_of(lm, describe(lm.processor, [INSTRUCTION])[0], "float32"), interface("float32")
    batch = trajectories()
    for wrong, message in (
        (batch._replace(mask=np.ones((2, 4), np.float32)), "mask is float32, wanted bool"),
        (batch._replace(mask=batch.mask[:, :3]), r"mask has shape \(2, 3\), wanted \(2, 4\)"),
        (Trajectories(batch.embeddings[0], batch.mask[0]), r"shape \(4, 12\), wanted \[b, t, width\]"),
    ):
        for run in (score, score_prefixes):
            with pytest.raises(ValueError, match=message):
                jax.eval_shape(run, weights, state, wrong)


def test_differences_are_a_potential():
    values, start = jnp.array([[1.0, 3.0, 2.0]]), jnp.array([0.5])
    np.testing.assert_allclose(differences(values, start), [[0.5, 2.0, -1.0]])
    np.testing.assert_allclose(differences(values, start, 0.5), [[0.0, 0.5, -2.0]])


def losses(lm):
    """All three, of the interface and the reading."""
    batch, tails = trajectories(), describe(lm.processor, [INSTRUCTION, OTHER])
    asked = ask(lm.processor, [INSTRUCTION, OTHER])
    worse = Trajectories(batch.embeddings[:, None, ::-1], batch.mask[:, None, ::-1])
    return {
        "maximum likelihood": lambda i, r: protocols.maximum_likelihood(i, r, batch, tails),
        "contrastive": lambda i, r: protocols.contrastive(
            i, r, batch, tails, worse_batch=worse, worse_tails=tails[::-1][:, None]
        ),
        "success": lambda i, r: protocols.success_detection(i, r, batch, asked, np.array([True, False])),
    }


@pytest.mark.parametrize("name", ["maximum likelihood", "contrastive", "success"])
def test_gradients_reach_the_interface_and_nothing_else(name, lm):
    with jax.enable_x64(True):
        model = lm.model.with_param_dtype("float64").with_dtype("float64")
        before = jnp.asarray(lm.processor.begin(BEFORE))
        loss, state = losses(lm)[name], interface()

        def of(state, model):
            return loss(state, protocols.Reading(model, before))

        learned, frozen = jax.jit(jax.grad(of, argnums=(0, 1)))(state, model)
        assert all((leaf == 0).all() for leaf in jax.tree.leaves(frozen))
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(learned))
        assert sum(bool((leaf != 0).any()) for leaf in jax.tree.leaves(learned)) > 5


def test_maximum_likelihood_and_success_are_their_definitions(lm):
    with jax.enable_x64(True):
        batch, state = trajectories(), interface()
        tails, asked = (form(lm.processor, [INSTRUCTION, OTHER]) for form in (describe, ask))
        weights = weights_of(lm, tails)
        reading = protocols.Reading(weights.lm, weights.before)
        kept = [batch.embeddings[i][batch.mask[i]] for i in range(2)]
        want = -np.mean([naive(weights, state, kept[i], tails[i]) for i in range(2)])
        got = jax.jit(protocols.maximum_likelihood)(state, reading, batch, tails)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-9)
        answers = [naive(weights, state, kept[i], asked[i, i]) for i in range(2)]  # True, then False
        got = jax.jit(protocols.success_detection)(state, reading, batch, asked, np.array([True, False]))
        np.testing.assert_allclose(got, -np.mean(answers), rtol=0, atol=1e-9)
    with pytest.raises(ValueError, match="those of `ask`"):
        protocols.success_detection(state, reading, batch, tails, np.array([True, False]))


def test_what_is_not_wrong_is_no_rival():
    scores = jnp.array([[-0.5, -0.7, -0.4], [-0.5, -0.7, -0.4]])
    wrong = jnp.array([[True, True], [True, False]])
    got = protocols.told_apart(scores[:, 0], scores[:, 1:], wrong, 0.1)
    exp = np.exp(np.array([-0.5, -0.7, -0.4]) / 0.1)
    want = [-np.log(exp[0] / exp.sum()), -np.log(exp[0] / exp[:2].sum())]
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_contrastive_of_scores_is_its_definition():
    pairs, worse = (
        np.array([[2.0, 1.0, 0.0], [0.5, 1.5, 1.0], [0.0, 0.2, 3.0]]),
        np.array([[1.9], [0.0], [1.0]]),
    )
    same = np.zeros((3, 3), bool)
    same[0, 1] = True  # the first trajectory does what the second instruction says
    t, terms = 0.5, []
    for i in range(3):
        others = [pairs[i, j] for j in range(3) if j != i and not same[i, j]]
        others += [pairs[j, i] for j in range(3) if j != i and not same[j, i]]
        others += list(worse[i])
        right = math.exp(pairs[i, i] / t)
        terms.append(-math.log(right / (right + sum(math.exp(s / t) for s in others))))
    got = protocols.contrastive_of_scores(jnp.asarray(pairs), same, jnp.asarray(worse), t)
    np.testing.assert_allclose(got, np.mean(terms), rtol=1e-5)


FRAMES = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def reward(clip, lm):
    return jaxrm.LikelihoodReward.create(clip, lm, interface("float32"), instruction=INSTRUCTION)


def test_the_end_is_scored(reward, lm):
    tails = reward.weights.tails
    assert tails.tokens[-1] == lm.processor.config.eos_token_ids[0] and tails.scored[-1]


def test_from_frames_and_a_sentence(reward, clip, lm):
    whole = reward(FRAMES)
    assert whole.shape == (2,) and whole.dtype == jnp.float32
    batch = Trajectories(clip.embed_images(FRAMES), np.ones((2, 3), bool))
    np.testing.assert_allclose(whole, score(reward.weights, reward.interface, batch), atol=1e-5)
    prefixes, steps = reward.prefixes(FRAMES), reward.differences(FRAMES)
    assert prefixes.shape == steps.shape == (2, 3)
    np.testing.assert_allclose(prefixes[:, -1], whole, atol=1e-5)
    np.testing.assert_allclose(steps[:, 1:], np.diff(prefixes, axis=1), atol=1e-5)
    inside = jax.jit(jax.vmap(lambda reward, frames: reward(frames), (None, 0)))(reward, FRAMES)
    np.testing.assert_allclose(inside, whole, atol=1e-5)
    masked = reward(FRAMES, mask=np.array([[True, True, False]] * 2))
    np.testing.assert_allclose(masked, prefixes[:, 1], atol=1e-5)


def test_no_trajectories_have_no_rewards(reward, clip, lm):
    asks = jaxrm.LikelihoodReward.create(clip, lm, interface("float32"), instruction=OTHER, form="ask")
    for each in (reward, replace(asks, batch=2)):
        assert each(FRAMES[:0]).shape == (0,)
        assert each.prefixes(FRAMES[:0]).shape == each.differences(FRAMES[None, :0]).shape[1:] == (0, 3)


@pytest.mark.parametrize(
    ("frames", "mask", "message"),
    [
        (FRAMES, np.ones((2, 3), np.float32), "mask is float32, wanted bool"),
        (FRAMES[:, :0], None, "the trajectory is empty"),
        (FRAMES[0, 0], None, r"wanted \[\*batch, time, height, width, 3\]"),
        (FRAMES, np.array([[True] * 3, [False] * 3]), r"all frames of trajectory \(1,\) are masked"),
        (FRAMES, np.ones((2, 4), bool), r"shape \(2, 4\), wanted \(2, 3\)"),
        (np.zeros((1, 120, 16, 16, 3), np.uint8), None, "120 frames .* context holds 128"),
    ],
)
def test_trajectories_that_cannot_be_read_are_refused(frames, mask, message, reward):
    with pytest.raises(ValueError, match=message):
        reward(frames, mask)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"instruction": "kneels down " * 100}, "decoder's context holds 128"),
        ({}, {"instruction": " "}, "empty"),
        ({"inputs": 13}, {}, "tower gives 12 numbers a frame, but the interface takes 13"),
        ({"outputs": 9}, {}, "gives vectors of 9 numbers, but the decoder reads 8"),
        ({}, {"form": "guess"}, "'describe' or 'ask'"),
        ({}, {"prompt": "{instruction} {frames}"}, "put it behind"),
        ({}, {"prompt": "{frames}"}, "once each"),
        ({}, {"prompt": "{frames} {instruction} is it so?"}, "stands behind the instruction"),
        ({}, {"form": "ask", "answers": (" True", " True")}, "apart"),
        ({}, {"form": "ask", "answers": (" True",)}, "wanted two texts, the right one first"),
        ({}, {"form": "ask", "answers": (" yes", " no", " maybe")}, "wanted two texts"),
        ({}, {"form": "ask", "answers": " yes"}, "answers are ' yes', wanted two texts"),
        ({}, {"batch": 0}, "batch is 0, wanted a whole number of at least 1"),
        ({}, {"batch": 2.5}, "batch is 2.5, wanted a whole number"),
    ],
)
def test_wrong_choices_are_refused(change, options, message, clip, lm):
    with pytest.raises(ValueError, match=message):
        jaxrm.LikelihoodReward.create(
            clip, lm, interface("float32", **change), **({"instruction": INSTRUCTION} | options)
        )


def test_an_interface_of_other_weights_is_refused(clip, lm):
    """Of the same widths it would read nonsense without a word."""

    def create(vision, **labels):
        jaxrm.LikelihoodReward.create(vision, lm, interface("float32", **labels), instruction=INSTRUCTION)

    tower, decoder = label("a/tower", clip.model), label("words", lm.model)
    assert tower.startswith("tower:")
    halved = replace(clip, model=clip.model.with_param_dtype("bfloat16"))  # the same weights
    create(halved, tower=tower, decoder=decoder)
    trained_on = replace(clip, model=jax.tree.map(lambda x: x + 0.01, clip.model))
    with pytest.raises(ValueError, match=r"trained with the tower tower \(fingerprint .* is another"):
        create(trained_on, tower=tower)
    with pytest.raises(ValueError, match="trained with the decoder words"):
        create(clip, decoder="words:0123456789abcdef")


def test_weights_in_float16_are_not_recognised_and_the_error_says_so(clip, lm):
    """Rounded to float16 and then to bfloat16 they are others than rounded to bfloat16 at once."""
    known = label("tower", clip.model)
    check_label(known, clip.model.with_param_dtype("bfloat16"), "tower")
    with pytest.raises(ValueError, match=r"tower is another .*; if it is that one, load it with param"):
        check_label(known, clip.model.with_param_dtype("float16"), "tower")
    with pytest.raises(ValueError, match=r"decoder is another .* interface`\)$"):
        check_label("words:0123456789abcdef", lm.model, "decoder")


def test_fingerprints_of_shipped_interfaces_are_those_of_shipped_weights():
    """They lie in files: `fingerprint` must not change."""
    known = jaxrm.load_interface("fomo-interface").config
    for dtype in ("float32", "bfloat16"):
        check_label(known.tower, jaxrm.load_clip("scene-clip-fine", param_dtype=dtype).model, "tower")
        check_label(known.decoder, jaxrm.load_decoder("instruct-lm", param_dtype=dtype).model, "decoder")


def test_a_tokeniser_with_other_ids_than_in_training_is_refused(clip, lm):
    """The weights are the same, and its ids lie within the vocabulary."""
    known = interface("float32", vocabulary=lm.processor.vocabulary_digest)
    jaxrm.LikelihoodReward.create(clip, lm, known, instruction=INSTRUCTION)
    file = json.loads(lm.processor.tokenizer.to_str())
    one, other = list(file["model"]["vocab"])[-2:]
    file["model"]["vocab"] |= {one: file["model"]["vocab"][other], other: file["model"]["vocab"][one]}
    swapped = DecoderProcessor(Tokenizer.from_str(json.dumps(file)), lm.model.config)
    with pytest.raises(ValueError, match="trained with other token ids"):
        jaxrm.LikelihoodReward.create(clip, replace(lm, processor=swapped), known, instruction=INSTRUCTION)
    shipped = jaxrm.load_interface("fomo-interface").config
    assert shipped.vocabulary == jaxrm.load_decoder("instruct-lm").processor.vocabulary_digest


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"vision": "scene-clip"}, "vision is str, wanted what load_clip or load_tower gives"),
        ({"lm": "instruct-lm"}, "lm is str, wanted what load_decoder gives"),
        ({"interface": "fomo-interface"}, "interface is str, wanted what load_interface gives"),
        ({"prompt": 3}, "prompt is int, wanted a text"),
    ],
)
def test_names_and_numbers_for_parts_are_refused(wrong, message, clip, lm):
    parts = {"vision": clip, "lm": lm, "interface": interface("float32")} | wrong
    with pytest.raises(TypeError, match=message):
        jaxrm.LikelihoodReward.create(**parts, instruction=INSTRUCTION)
    with pytest.raises(TypeError, match="clip is str, wanted what load_clip gives"):
        jaxrm.ClipReward.create("scene-clip", goal="a")  # type: ignore[arg-type]


def test_a_tokeniser_of_another_decoder_is_refused(clip, lm):
    small = replace(lm.model.config, vocabulary=50)
    processor = DecoderProcessor(Tokenizer.from_file(str(GOLDEN / "decoder-llama" / "tokenizer.json")), small)
    wrong = replace(lm, processor=processor)
    with pytest.raises(ValueError, match="ids up to 109, but the decoder's vocabulary ends at 49"):
        jaxrm.LikelihoodReward.create(clip, wrong, interface("float32"), instruction=INSTRUCTION)
