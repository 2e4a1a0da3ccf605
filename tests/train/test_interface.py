"""The interface's training on films made by hand: every protocol learns, and what is right is no negative."""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrm
from envs.humanoid.instructions import ACTIONS
from jaxrm.rewards import protocols
from jaxrm.rewards.likelihood import Trajectories
from jaxrm.weights.table import leaves_by_path
from train.films import dataset_file
from train.films.progress import DONE, is_done, until
from train.films.spoil import SPOILED
from train.films.trajectories import FAILING, FREE
from train.interface import data as interface_data
from train.interface import main as program
from train.interface import suite as interface_suite
from train.interface.align import align, spliced
from train.interface.losses import (
    Negatives,
    Words,
    draw_pairs,
    loss_of_scores,
    score_pairs,
    score_rows,
    value_and_slope,
)

from .conftest import CONFIG, ENDS, FRAMES, GOLDEN, new


def test_only_what_was_done_is_shown(data):
    assert data.batch.done.all()
    some = data._replace(batch=data.batch._replace(truth=data.batch.truth.at[::2].set(False)))
    np.testing.assert_array_equal(some.done_only().embeddings, data.embeddings[1::2])


@pytest.mark.parametrize("protocol", ["ml", "contrastive", "success"])
def test_losses_fall_and_the_decoder_stays(lm, data, failing, protocol):
    """The same key draws the same pairs each time, so that nothing but learning can make it fall."""
    config = replace(CONFIG, protocol=protocol)
    said = Words.of(lm, protocol, config.wordings)
    before = {name: np.array(leaf) for name, leaf in leaves_by_path(said.reading.lm).items()}
    state = program.start(config, new(lm), len(data.embeddings))
    learned = sum(x.size for x in jax.tree.leaves(state.interface))
    assert sum(x.size for x in jax.tree.leaves(state.optimiser)) <= 2 * learned + 4
    epoch, curve = jax.jit(partial(program.epoch, config)), []
    for _ in range(config.epochs):
        state, found = epoch(state, said, data, failing, jax.random.key(1))
        assert found.shape == (2,) and np.isfinite(found).all()
        curve.append(float(found.mean()))
    assert curve[-1] < 0.9 * curve[0], curve
    for name, leaf in leaves_by_path(said.reading.lm).items():
        np.testing.assert_array_equal(leaf, before[name])


def test_frames_come_to_stand_for_words(lm, data):
    """A linear interface can turn these looks into words exactly; then the decoder reads what was done."""
    interface, curve = align(new(lm, layers=0), lm, data, jax.random.key(0), 300, batch=12)
    assert curve[0] > 0.5 and curve[-1] < 0.05
    kneeling, words = 0, ("standing", "down")
    table = np.asarray(lm.model.embedding[...].astype(jnp.float32))
    want = sum(table[lm.processor.encode(f" {word}")].sum(0) for word in words)
    found = interface.read(data.embeddings, data.batch.mask)[kneeling, 0]
    assert np.corrcoef(found, want)[0, 1] > 0.95
    assert (found - want).std() < 0.35 * want.std()


def test_films_that_go_on_as_another(data):
    many = data[jnp.tile(jnp.arange(len(data.embeddings)), 40)]
    many = many._replace(
        embeddings=jnp.arange(many.embeddings[..., 0].size).reshape(*many.batch.mask.shape, 1)
    )
    made = spliced(jax.random.key(0), many)
    own, following = (np.asarray(x)[..., 0] for x in (many.embeddings, jnp.roll(many.embeddings, 1, axis=0)))
    found = np.asarray(made.embeddings)[..., 0]
    kept = (found == own).sum(axis=1)
    np.testing.assert_array_equal(found, np.where(np.arange(FRAMES) < kept[:, None], own, following))
    assert 0.4 < (kept == FRAMES).mean() < 0.6 and set(kept) == set(range(FRAMES + 1))
    frames = np.stack([own, following])[(found != own).astype(int), *np.indices(found.shape)]
    for whole, part in ((many.batch.mask, made.batch.mask), (many.batch.signs.holds, made.batch.signs.holds)):
        flat = np.asarray(whole).reshape(frames.size, -1)
        np.testing.assert_array_equal(np.asarray(part).reshape(frames.size, -1), flat[frames.ravel()])


@pytest.mark.parametrize(
    ("protocol", "negatives"), [("contrastive", Negatives(3, 1, 2, 1, 2)), ("ml", Negatives(0, 0, 0))]
)
def test_large_batches_in_chunks_have_the_same_slope(lm, data, failing, protocol, negatives):
    said = Words.of(lm, protocol, 1)
    pairs = draw_pairs(jax.random.key(0), data, said, negatives, failing)
    interface = new(lm)
    slope = jax.jit(lambda i, s, p, chunk: value_and_slope(i, s, p, protocol, 0.1, chunk), static_argnums=3)
    whole, parts = slope(interface, said, pairs, 0), slope(interface, said, pairs, 4)
    np.testing.assert_allclose(whole[0], parts[0], rtol=1e-5)
    for name, leaf in leaves_by_path(whole[1]).items():
        np.testing.assert_allclose(leaf, leaves_by_path(parts[1])[name], rtol=1e-3, atol=1e-5, err_msg=name)


def test_all_others_as_negatives_give_the_contrastive_loss(lm, data):
    """Against `jaxrm.rewards.protocols`, which scores all pairs of the batch."""
    said, few = Words.of(lm, "contrastive", 1), data[:5]
    pairs = draw_pairs(jax.random.key(0), few, said, Negatives(4, 0, 0))
    got = loss_of_scores("contrastive", pairs, score_pairs(new(lm), said, pairs), 0.3)
    want = protocols.contrastive(
        new(lm),
        said.reading,
        few.trajectories,
        said.tails[few.batch.which],
        same=few.batch.same,
        temperature=0.3,
    )
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_bodies_that_fail(lm, data, failing):
    """Half of them at the very instruction, where there are such; of others only what is truly wrong."""
    said = Words.of(lm, "contrastive", 1)
    many = failing[jnp.tile(jnp.arange(12), 20)]
    pairs = draw_pairs(jax.random.key(0), data, said, Negatives(0, 0, 0, failing=64), many)
    assert pairs.failing.embeddings.shape[:2] == (12, 64) and not is_done(pairs.levels[:, 1:]).any()
    looks = np.asarray(pairs.failing.embeddings[:, :, 0])
    # two films of twelve are of the same verb: those that begin as the own one does
    same = np.isclose(looks, np.asarray(data.embeddings[:, 0])[:, None], atol=1e-6).all(-1)
    starts = np.array([start for start, _ in ENDS.values()] * 2)
    alike = (starts[:, None] == starts).sum(1) / 12
    np.testing.assert_allclose(same.mean(1), 0.5 + 0.5 * alike, atol=0.2)
    still = draw_pairs(jax.random.key(0), data, said, Negatives(0, 0, 0, failing=64), data)
    done = is_done(still.levels[:, 1:, -1])
    assert 0.2 < np.asarray(~done).mean() < 0.6  # half are of the own verb, and done
    scores = score_pairs(new(lm), said, still)
    better = scores._replace(prefixes=scores.prefixes.at[:, 1:, -1].add(jnp.where(done, 1.0, 0.0)))
    same = [float(loss_of_scores("contrastive", still, x, 1.0)) for x in (scores, better)]
    assert same[0] == same[1], "what is done within the tolerance is not wrong"


def test_prefixes(lm, data, failing):
    """Each is scored as a film that ends there, and its level is what the oracle says of it."""
    said = Words.of(lm, "contrastive", 1)
    pairs = draw_pairs(jax.random.key(0), data, said, Negatives(1, 1, 1, failing=1, prefixes=3), failing)
    assert pairs.ends.shape == pairs.levels.shape == (12, 2, 4)
    assert is_done(pairs.levels[:, 0, -1]).all() and not is_done(pairs.levels[:, 1]).any()
    assert (pairs.levels < DONE).all(), "all that is done is done within the tolerance alone"
    # films show what they end with from the fourth frame on
    np.testing.assert_array_equal(is_done(pairs.levels[:, 0]), pairs.ends[:, 0] >= 3)
    scores = jax.jit(score_pairs)(new(lm), said, pairs)
    assert scores.prefixes.shape == (12, 2, 4)
    np.testing.assert_array_equal(scores.prefixes[:, 0, -1], scores.all[:, 0])
    asked = Words.of(lm, "success", 1)
    found = score_pairs(new(lm), asked, pairs).prefixes[:, 0]
    seen = until(pairs.trajectories.mask[:, 0], pairs.ends[:, 0])
    rows, first = (
        jnp.repeat(pairs.own[:, None], 4, axis=1),
        jax.tree.map(lambda x: x[:, 0], pairs.trajectories),
    )
    want = score_rows(new(lm), asked, first, rows, pairs.ends[:, 0] >= 3, visible=seen)
    np.testing.assert_allclose(found, want, rtol=1e-4, err_msg="'True' of those that have done it")
    ended = pairs.failing.mask[:, 0] & (jnp.arange(FRAMES) <= pairs.ends[:, 1, 1:2])
    cut = Trajectories(pairs.failing.embeddings[:, 0], ended)
    want = score_rows(new(lm), said, cut, pairs.own[:, None], jnp.zeros((12, 1), bool))
    np.testing.assert_allclose(scores.prefixes[:, 1, 1], want[:, 0], rtol=1e-4)


def test_what_is_still_right_is_no_negative(lm, data, failing):
    said = Words.of(lm, "success", 1)
    pairs = draw_pairs(jax.random.key(0), data, said, interface_suite.ALL, failing)
    frozen, shuffled = (SPOILED.index(kind) for kind in ("frozen", "shuffled"))
    assert pairs.spoiled[:, [frozen, shuffled]].all()
    names = [ACTIONS[number].verb for number in np.asarray(data.batch.which)]
    # a film of kneeling run backwards gets up
    assert pairs.spoiled[names.index("kneel"), SPOILED.index("reversed")]
    scores = score_pairs(new(lm), said, pairs, asked=True)
    worse = scores._replace(all=scores.all.at[:, 1:].add(jnp.where(pairs.spoiled, 0.0, 100.0)))
    for protocol in ("contrastive", "success"):
        same = [float(loss_of_scores(protocol, pairs, x, 1.0)) for x in (scores, worse)]
        assert same[0] == pytest.approx(same[1])


def test_trajectories_there_and_back(data, tmp_path, monkeypatch):
    source = interface_data.Source("scene-clip", 12, 12, 0)
    monkeypatch.setattr(interface_data, "make", lambda source: dict.fromkeys(interface_data.names(), data))
    made = interface_data.make_or_load(source, tmp_path / "sub" / "films.npz")
    monkeypatch.setattr(interface_data, "make", None)  # a file that is there is read
    back = interface_data.make_or_load(source, tmp_path / "sub" / "films.npz")
    assert back.keys() == made.keys()
    for one, other in zip(jax.tree.leaves(made), jax.tree.leaves(back), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="seed=0"):
        interface_data.make_or_load(source._replace(seed=1), tmp_path / "sub" / "films.npz")
    with monkeypatch.context() as patch, pytest.raises(ValueError, match="weights=others"):
        patch.setattr(dataset_file, "tree_digest", lambda tree: "others")  # trained again since
        interface_data.make_or_load(source, tmp_path / "sub" / "films.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match="no trajectories"):
        interface_data.make_or_load(source, tmp_path / "broken.npz")


def test_policies_episodes_come_with_films_of_what_they_were_told(data, failing, tmp_path, monkeypatch):
    asked = []

    def maker(model):
        return lambda key, count, split, among: asked.append((count, split, among)) or data

    monkeypatch.setattr(interface_data, "_maker", maker)
    played = failing._replace(batch=failing.batch._replace(which=jnp.arange(len(failing.embeddings)) % 2 + 3))
    config = replace(CONFIG, model="scene-clip", shown=10, data=tmp_path / "films.npz")
    told = [program.told_the_same(config, played) for _ in range(2)]
    assert asked == [(20, FREE, (3, 4))]  # once, then out of the file
    jax.tree.map(np.testing.assert_array_equal, *told)
    films = program.Films.of({"train": data, FAILING: failing}, played, told[0])
    whole, loose = len(data.embeddings), len(failing.embeddings)
    assert len(films.all.embeddings) == 2 * whole + loose * 3 // 4 + loose
    assert len(films.done.embeddings) == 2 * whole and len(films.held.embeddings) == loose - loose * 3 // 4


def test_films_for_an_interface_that_learns_along(data, failing, monkeypatch):
    """Some of any instruction and some of one, without those that did not do it."""
    asked, of_one = [], [data]

    def make(key, count, split="train", among=()):
        asked.append((count, split, among))
        return of_one[0] if among else jax.tree.map(lambda *x: jnp.concatenate(x), data, failing)

    monkeypatch.setattr(interface_data, "_maker", lambda model, block: make)
    films = interface_data.make_some("scene-clip", 3, 10, seed=0)
    assert asked == [(10, "train", ()), (10, FREE, (3,))] and bool(films.batch.done.all())
    assert len(films.embeddings) == 2 * len(data.embeddings) + int(failing.batch.done.sum())
    of_one[0] = failing[np.flatnonzero(~np.asarray(failing.batch.done))]
    with pytest.raises(ValueError, match="none of 10 films"):
        interface_data.make_some("scene-clip", 3, 10, seed=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shown": 0}, "shown is 0"),
        ({"protocol": "likelihood"}, "protocol"),
        ({"batch": 1, "others": 0}, "batch is 1, wanted a whole number of at least 2"),
        ({"temperature": 0.0}, "temperature is 0.0, wanted a number above 0"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0, wanted a number above 0"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"weight_decay": -1.0}, "weight_decay is -1.0, wanted a number of at least 0"),
        ({"trajectories": 0}, "trajectories is 0, wanted a whole number of at least 1"),
        ({"judged": 0}, "judged is 0"),
        ({"epochs": 1.5}, "epochs is 1.5"),
        ({"wordings": 0}, "wordings is 0"),
        ({"align": -1}, "align is -1, wanted a whole number of at least 0"),
        ({"seed": -1}, "seed is -1"),
        ({"films_seed": -1}, "films_seed is -1"),
        ({"layers": -1}, "layers is -1"),
        ({"width": 0}, "width is 0"),
        ({"heads": 0}, "heads is 0"),
        ({"width": 130, "heads": 4}, "width 130 is not a multiple of the number of heads, 4"),
        ({"chunk": -2}, "chunk is -2"),
        ({"chunk": 4}, "divisor of the batch of 6"),
        ({"others": 6}, "no 6 others"),
        ({"protocol": "ml", "spoiled": 9}, "spoiled is 9, wanted 0 to 6"),
        ({"protocol": "ml", "failing": -1}, "failing is -1, wanted 0 or more"),
    ],
)
def test_options_that_cannot_be_trained_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **change)
    assert replace(CONFIG, protocol="ml", batch=2).negatives.others == 0  # which needs no others


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"episodes": (Path("runs/nothing"),)}, "has kept no episodes"),
        ({"lm": str(GOLDEN / "decoder-gpt2")}, "has no tokenizer.json"),
        ({"lm": "nobody"}, "no checkpoint 'nobody'"),
        ({"model": "nobody"}, "no checkpoint 'nobody'"),
    ],
)
def test_what_needs_no_films_is_refused_before_they_are_made(changes, message, tmp_path, monkeypatch):
    monkeypatch.setattr(program, "make_or_load", lambda *_: pytest.fail("films were made"))
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        program.main(replace(CONFIG, out=tmp_path / "new", **changes))


def test_parts_that_do_not_fit_are_refused(lm, data, tmp_path):
    with pytest.raises(ValueError, match="fewer than a batch"):
        program.start(replace(CONFIG, batch=32), new(lm), len(data.embeddings))
    with pytest.raises(ValueError, match="spoiled is 7"):
        Negatives(0, 7, 0)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FileExistsError, match="--overwrite"):
        program.main(replace(CONFIG, out=tmp_path))
    said = Words.of(jaxrm.load_decoder(GOLDEN / "decoder-llama"), "ml", 1)
    pairs = draw_pairs(jax.random.key(0), data, said, Negatives(0, 0, 0))
    with pytest.raises(ValueError, match="do not belong together"):
        score_pairs(new(lm), said, pairs)
    long = jax.tree.map(lambda x: jnp.tile(x, (1, 1, 60, *[1] * (x.ndim - 3))), pairs.trajectories)
    said = Words.of(lm, "ml", 1)
    with pytest.raises(ValueError, match="context holds 256"):
        score_pairs(new(lm), said, pairs._replace(trajectories=long))
