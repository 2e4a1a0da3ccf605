"""Episodes that a run keeps, there and back as films to learn from."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from envs.humanoid.instructions import ACTIONS, NUMBERS, Action
from envs.humanoid.motion_truth import CONDITIONS, Signs
from train.films import episodes
from train.rl.config import PolicyConfig
from train.rl.likelihood import Prefix

MODEL = str(Path(__file__).parents[1] / "golden" / "clip-quick-gelu")
CONFIG = PolicyConfig("humanoid/kneeling", reward="likelihood", model=MODEL, steps=3 * 5120, keep_episodes=9)
NUMBER = NUMBERS[(Action("kneel"),)]
FRAMES, WORLDS, WIDTH = 6, 4, 3


def keeper():
    return episodes.keeper(MODEL, CONFIG.keep_episodes, CONFIG.iterations, NUMBER)


@pytest.fixture(scope="module")
def memory():
    """Worlds of two shards that have shown 6, 0, 2 and 5 frames; the first and the last body kneels down."""
    names, rise = list(CONDITIONS), np.arange(FRAMES)
    count = np.array([6, 0, 2, 5])
    holds = np.zeros((WORLDS, FRAMES, len(names)), bool)
    holds[:, :2, names.index("standing")] = holds[:, 2:, names.index("kneeling")] = True
    signs = Signs(holds, np.zeros((WORLDS, FRAMES), np.float32), holds.astype(np.float32))
    looks = np.float32(10 * np.arange(WORLDS)[:, None] + rise)
    embeddings = np.where(rise < count[:, None], looks, 0)[..., None] * np.ones(WIDTH, np.float32)
    qpos = looks[..., None] * np.ones(7, np.float32)
    whole = Prefix(embeddings, (signs, qpos), count, np.zeros(WORLDS), count == FRAMES)
    return in_shards(whole)


def in_shards(tree):
    if isinstance(tree, np.ndarray):
        return jnp.asarray(tree.reshape(2, 2, *tree.shape[1:]))
    return type(tree)(*map(in_shards, tree)) if hasattr(tree, "_fields") else tuple(map(in_shards, tree))


def test_what_has_shown_most_is_kept_and_read_as_films(memory, tmp_path):
    assert episodes.moments(CONFIG.iterations) == (1, 2, 3)
    keep = keeper()
    keep(memory, tmp_path / "episodes" / "000000001.npz")
    keep(memory._replace(count=jnp.minimum(memory.count, 2)), tmp_path / "episodes" / "000000002.npz")
    found = episodes.read([tmp_path], MODEL, frames=8)
    batch = found.batch
    assert found.embeddings.shape == (6, 8, WIDTH) and batch.qpos.shape == (6, 8, 7)
    assert batch.mask.sum(axis=1).tolist() == [6, 5, 2, 2, 2, 2]
    np.testing.assert_array_equal(found.embeddings[1, :5, 0], 30 + np.arange(5))
    np.testing.assert_array_equal(batch.qpos[2, :6, 0], 20 + np.arange(6))
    assert not batch.mask[:, FRAMES:].any() and (batch.which == NUMBER).all()
    assert batch.done.tolist() == [True, True, False, False, False, False]
    assert ACTIONS[NUMBER] == Action("kneel")


def test_moments_are_spread_over_a_run():
    many = episodes.moments(1000)
    assert len(many) == episodes.MOMENTS and many[-1] == 1000 and max(np.diff((0, *many))) <= 32
    assert episodes.moments(1) == (1,)


def test_what_was_not_kept_here_is_refused(memory, tmp_path, monkeypatch):
    assert episodes.read([], MODEL, frames=8) is None
    with pytest.raises(FileNotFoundError, match="--keep-episodes"):
        episodes.read([tmp_path], MODEL, frames=8)
    keeper()(memory, tmp_path / "episodes" / "000000001.npz")
    with pytest.raises(ValueError, match="episodes of 6 frames are longer than films, which have 4"):
        episodes.read([tmp_path], MODEL, frames=4)
    monkeypatch.setattr(episodes, "seen_by", lambda model: {"weights": "others"})
    with pytest.raises(ValueError, match="wanted are those of weights=others"):
        episodes.read([tmp_path], MODEL, frames=8)


@pytest.mark.parametrize(
    "name", ["keep_episodes", "update_interface_every", "likelihood_difference", "likelihood_start"]
)
def test_settings_of_the_likelihood_are_refused_beside_other_rewards(name):
    with pytest.raises(ValueError, match=f"{name} is of no use to reward 'truth'"):
        PolicyConfig("humanoid/kneeling", reward="truth", **{name: 8}).validate()
