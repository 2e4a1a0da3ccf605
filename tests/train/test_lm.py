"""The small decoder: films in words, the losses it learns by, and what the shipped weights know."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxrm
from envs.humanoid import motion_captions
from envs.humanoid.instructions import (
    CHANGES,
    INSTRUCTIONS,
    NUMBERS,
    Action,
    change_table,
    feasible,
    held_out,
)
from envs.humanoid.motion_captions import sentences
from envs.humanoid.motion_truth import CONDITIONS, Signs
from jaxrm.models import Decoder
from jaxrm.weights import DecoderCheckpoint
from jaxrm.weights.tokens import words_of
from train.lm import card as lm_card
from train.lm import films as lm_films
from train.lm import main as program
from train.lm import read as lm_read
from train.lm.films import WORDS, Pool
from train.lm.report import SHUFFLED, Figures

KNEEL, RAISE = Action("kneel"), Action("raise", "left", "arm")
FRAMES = 6
CONFIG = program.LmConfig(width=16, layers=1, heads=2, mlp=16, wordings=2, batch=4, describes=1, asks=3)


def pool() -> Pool:
    """Four films by hand: it kneels, or it raises its left arm."""
    names = list(CONDITIONS)
    holds = np.zeros((4, FRAMES, len(names)), bool)
    holds[:2, :3, names.index("standing")] = holds[:2, 3:, names.index("kneeling")] = True
    holds[:2, :, names.index("down")] = True
    holds[2:, :, names.index("standing")] = True
    holds[2:, :3, names.index("down")] = holds[2:, 3:, names.index("left")] = True
    which = jnp.array([NUMBERS[(KNEEL,)]] * 2 + [NUMBERS[(RAISE,)]] * 2)
    signs = Signs(jnp.asarray(holds), jnp.zeros((4, FRAMES)), jnp.asarray(holds, jnp.float32))
    return Pool(signs, jnp.ones((4, FRAMES), bool), which)


@pytest.fixture(scope="module")
def processor():
    return program.make_processor(CONFIG)


@pytest.fixture(scope="module")
def said(processor):
    return lm_read.corpus(processor, CONFIG.wordings)


@pytest.fixture(scope="module")
def model(processor):
    return jax.jit(Decoder.create, static_argnums=0)(processor.config, jax.random.key(0))


@pytest.fixture(scope="module")
def shipped():
    return jaxrm.load_decoder("instruct-lm")


def test_films_say_what_the_oracle_sees():
    film = plain_film()
    weights, postures = np.asarray(film.weights), len(CONDITIONS)
    assert weights.shape[-1] == len(WORDS) and weights.min() >= 0 and weights.max() <= 1 + 1e-6
    assert not weights[..., postures:].any()  # none of them turns
    for row, (first, last) in enumerate([("standing", "kneeling")] * 2 + [("down", "left arm")] * 2):
        shown = weights[row][np.asarray(film.mask[row])]
        assert shown[0, WORDS.index(first)] == 1 and shown[-1, WORDS.index(last)] == 1
        assert (np.diff(shown[:, WORDS.index(last)]) >= 0).all()
    for row, action in enumerate([KNEEL] * 2 + [RAISE] * 2):
        assert film.truth[row, NUMBERS[(action,)]]
        assert not film.truth[row, NUMBERS[(Action("get up"),)]]


def test_turning_is_told_from_where_the_film_begins():
    """From wherever north is, past the jump at half a turn, and not by what stands behind the mask."""
    left = np.deg2rad([170.0, 170.0, 200.0, 260.0, 260.0, 10.0])
    heading = jnp.asarray((np.stack([left, -left]) + np.pi) % (2 * np.pi) - np.pi)
    mask = jnp.arange(FRAMES) < FRAMES - 1
    told = np.asarray(lm_films.turned(heading, jnp.stack([mask, mask])))
    want = np.array([0, 0, 30, 90, 90, 90]) / 90
    np.testing.assert_allclose(told[0, :, 0], want, atol=1e-6)
    np.testing.assert_allclose(told[1, :, 1], want, atol=1e-6)
    assert not told[0, :, 1].any() and not told[1, :, 0].any()


def test_spoiled_films_are_judged_again():
    many = jax.tree.map(lambda x: jnp.repeat(x, 64, axis=0), pool())
    film = jax.jit(lm_films.tell)(jax.random.key(1), many)
    truth = np.asarray(film.truth)
    kneels = truth[:128, NUMBERS[(KNEEL,)]]
    assert 0.4 < kneels.mean() < 0.75  # half are as they were; some of the others still do it
    first = np.asarray(film.weights)[:128, 0, WORDS.index("kneeling")]
    assert not kneels[first == 1].any() and truth[:128, NUMBERS[(Action("get up"),)]][first == 1].any()


def test_films_that_show_nothing_whole_do_nothing(said):
    """Frozen, shuffled and far too fast: always wrong, and there is a sentence to say so."""
    many = jax.tree.map(lambda x: jnp.repeat(x, 64, axis=0), pool())
    film = jax.jit(lm_films.tell)(jax.random.key(1), many)
    idle, shown = ~np.asarray(film.truth).any(axis=1), np.asarray(film.weights)
    still = np.abs(np.diff(shown[:, :, : len(CONDITIONS)], axis=1)).max(axis=(1, 2)) == 0
    assert still.mean() > 0.05 and idle[still].all()
    assert 0.2 < idle.mean() < 0.5
    tokens, mask = said.describe.tokens, said.describe.mask
    assert len(tokens) == (said.nothing + 1) * said.wordings
    last = np.asarray(tokens[said.nothing * said.wordings :])[:, : int(mask[-1].sum())]
    assert (last == last[0]).all()


def test_frames_are_sums_of_the_embeddings_of_their_words(processor, model, said):
    weights = np.zeros((1, 2, len(WORDS)), np.float32)
    weights[0, 0, WORDS.index("left leg")], weights[0, 1, WORDS.index("kneeling")] = 1.0, 0.5
    got = lm_films.frame_vectors(model, said.films, jnp.asarray(weights))
    table = np.asarray(model.embedding[...])
    want = [table[processor.encode(" left leg")].sum(0), 0.5 * table[processor.encode(" kneeling")].sum(0)]
    np.testing.assert_allclose(got[0], want, rtol=1e-5, atol=1e-7)


@jax.jit
def read_film(model, said, film, rows):
    """Log-likelihoods of the tails of some rows behind each film, and the vectors that were read."""
    vectors = lm_films.frame_vectors(model, said.films, film.weights)
    read = lm_read.read_frames(model, said.before, vectors, film.mask)
    return lm_read.tail_log_probs(model, read, said.describe[rows]), vectors


def plain_film():
    return jax.jit(partial(lm_films.tell, spoil=False))(jax.random.key(0), pool())


def test_tails_are_scored_as_if_all_was_read_at_once(processor, model, said):
    film, row, place = plain_film(), 2, 1
    rows = jnp.array([[0, 5]] * 4)
    got, vectors = read_film(model, said, film, rows)
    tails = said.describe[rows[row, place]]
    ids = np.asarray(tails.tokens)[np.asarray(tails.mask)]
    real = np.asarray(film.mask[row])

    @jax.jit
    def at_once(model, frames):
        whole = jnp.concatenate([model.embed(said.before), frames, model.embed(jnp.asarray(ids))])
        return jax.nn.log_softmax(model.logits(embeds=whole[None])[0])

    logits = at_once(model, vectors[row][real])
    start = len(said.before) + real.sum()
    want = [logits[start + i - 1, ids[i]] for i in range(tails.first, len(ids))]
    np.testing.assert_allclose(got[row, place][: len(want)], want, rtol=1e-4, atol=1e-5)
    assert processor.decode(ids).strip().endswith(sentences(2)[5])
    assert ids[-1] == processor.config.eos_token_ids[0]


def test_a_third_of_the_questions_is_true_and_none_held_out(said):
    truth = jnp.zeros((64, len(INSTRUCTIONS)), bool).at[:, NUMBERS[(KNEEL,)]].set(True)
    right = jnp.full(64, NUMBERS[(KNEEL,)])
    asked, done = program.questions(jax.random.key(0), 6, said, truth, right)
    assert done[:, :2].all() and not done[:, 2:5].any() and done[:, 5].mean() < 0.2
    assert not held_out()[np.asarray(asked)].any() and feasible()[np.asarray(asked)].all()


def test_rivals_are_changed_in_every_way_and_never_held_out(said):
    right = jnp.full(4096, NUMBERS[(KNEEL, RAISE)])
    truth = jnp.zeros((4096, len(INSTRUCTIONS)), bool).at[:, NUMBERS[(KNEEL,)]].set(True)
    others, wrong = (np.asarray(x) for x in program.rivals(jax.random.key(0), 2, said, truth, right))
    known = np.flatnonzero(np.asarray(said.known))
    tables = {kind: change_table(kind)[right[0]] for kind in CHANGES}
    tables = {kind: options[options >= 0] for kind, options in tables.items() if (options >= 0).any()}
    often = np.array([lm_read.OFTEN.get(kind, 1.0) for kind in tables])
    tables = list(tables.values())
    shares = np.array([np.isin(others, options).mean() for options in tables])
    want = often * [np.isin(options, known).mean() for options in tables]  # the rest is never drawn
    np.testing.assert_allclose(shares, want / want.sum(), atol=0.03)
    assert np.isin(others, known).all() and not (others == right[0]).any()
    np.testing.assert_array_equal(wrong, others != NUMBERS[(KNEEL,)])


def test_all_losses_fall(model, said):
    film = plain_film()
    film = film._replace(mask=film.mask[:, :FRAMES], weights=film.weights[:, :FRAMES])
    optimiser = optax.adam(1e-2)

    @jax.jit
    def step(weights, memory, film):
        def total(w):
            losses = program.loss(w, CONFIG, said, film, jax.random.key(1))
            return sum(losses), losses

        slope, losses = jax.grad(total, has_aux=True)(weights)
        change, memory = optimiser.update(slope, memory, weights)
        return optax.apply_updates(weights, change), memory, losses

    memory, curve = optimiser.init(model), []
    for _ in range(25):
        model, memory, losses = step(model, memory, film)
        curve.append(np.asarray(losses))
    assert (curve[-1] < 0.7 * curve[0]).all(), (curve[0], curve[-1])


def test_the_card_tells_what_was_measured(tmp_path, shipped):
    figures = Figures(
        {"own": -0.5, SHUFFLED: -5.25, "side": -0.75},
        {"own": -1.0},
        {"side": 0.9875},
        {"changed": 0.75, "spoiled": 0.625},
    )
    config = program.LmConfig(out=tmp_path, steps=60, seed=3)
    lm_card.write_training(config, [[1.0, 2.0, 3.0]], 90.0)
    lm_card.write(tmp_path, shipped, figures)
    card = (tmp_path / "README.md").read_text()
    for part in ("-5.250", "| 0.988 |", "AUC 0.750", "0.625", "--steps 60 --seed 3", "1,440 trajectories"):
        assert part in card, part


def test_what_cannot_be_trained_is_refused(tmp_path):
    for wrong, message in (
        ({"steps": 61}, "multiple of 60"),
        ({"asks": 2}, "three questions"),
        ({"states": 5}, "64"),
    ):
        with pytest.raises(ValueError, match=message):
            program.LmConfig(**wrong)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FileExistsError, match="--overwrite"):
        program.main(program.LmConfig(out=tmp_path))


def test_the_shipped_decoder_knows_what_can_be_said(shipped):
    """Pairs of actions that it never read are likelier than their words in another order; by itself, and
    behind a film in words likelier than with another side."""
    chosen = np.flatnonzero(held_out() & feasible())
    said = [motion_captions.wordings(INSTRUCTIONS[number])[0] for number in chosen]
    draw = np.random.default_rng(0)
    mixed = [" ".join(draw.permutation(words.split())) for words in said]
    prompt = ["A video of a robot: What it does:"] * len(said)
    right, wrong = (
        np.asarray(shipped.log_likelihood(prompt, [f" {x}" for x in texts])) for texts in (said, mixed)
    )
    assert (right > wrong).mean() > 0.95 and (right - wrong).mean() > 10


def test_the_shipped_decoder_reads_films(shipped):
    said = lm_read.corpus(shipped.processor, 1)
    right, left = NUMBERS[(Action("raise", "right", "arm"),)], NUMBERS[(RAISE,)]
    rows = jnp.array([[NUMBERS[(KNEEL,)], left, right, NUMBERS[(Action("get up"),)]]] * 4)
    scored = said.describe.scored[rows][..., said.describe.first :]
    found = (read_film(shipped.model, said, plain_film(), rows)[0] * scored).sum(-1)
    assert np.asarray(found).argmax(axis=1).tolist() == [0, 0, 1, 1]


def test_the_shipped_decoder_knows_what_came_first_when_it_is_asked(shipped):
    """Kneels down, then raises its left arm; and the other way round."""
    said = lm_read.corpus(shipped.processor, 1)
    stages = [
        [("standing", "down"), ("kneeling", "down"), ("kneeling", "left arm")],
        [("standing", "down"), ("standing", "left arm"), ("kneeling", "left arm")],
    ]
    weights = np.zeros((2, 3 * FRAMES, len(WORDS)), np.float32)
    for film, stage in enumerate(stages):
        for place, words in enumerate(stage):
            for word in words:
                weights[film, place * FRAMES : (place + 1) * FRAMES, WORDS.index(word)] = 1.0
    film = plain_film()._replace(weights=jnp.asarray(weights), mask=jnp.ones(weights.shape[:2], bool))
    rows = jnp.array([[NUMBERS[(KNEEL, RAISE)], NUMBERS[(RAISE, KNEEL)]]] * 2)
    yes = said.ask.answered(jnp.ones(len(said.ask.tokens), bool))
    found = read_film(shipped.model, said._replace(describe=yes), film, rows)[0]
    share = np.exp((found * yes.scored[rows][..., yes.first :]).sum(-1))  # p("True")
    assert np.diag(share).min() > 0.9 and share[[0, 1], [1, 0]].max() < 0.1


def test_the_words_of_its_language_are_kept_beside_it(processor, model, tmp_path):
    """All of every instruction's, and none besides; those of the one that comes with us, too."""
    jaxrm.save(DecoderCheckpoint(model, processor), tmp_path)
    everything = [words for one in INSTRUCTIONS for words in motion_captions.wordings(one)]
    few = [sentence for held in (False, True) for sentence in sentences(CONFIG.wordings, held)]
    for folder, language in ((tmp_path, few), ("instruct-lm", everything)):
        known = jaxrm.load_decoder(folder).processor
        known.check_words(language)
        assert known.training_words.words == {word for text in language for word in words_of(text)}
        with pytest.raises(ValueError, match="'backflip'"):
            known.check_words(["does a backflip"])
