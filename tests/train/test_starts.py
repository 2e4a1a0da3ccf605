"""Varied starts are of training alone, and of a share of its episodes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from train.rl.config import PolicyConfig
from train.rl.starts import vary_starts


def test_a_share_of_episodes_starts_in_other_postures():
    env = envs.make("humanoid/kneeling")
    keys = jax.random.split(jax.random.key(0), 256)
    own = jax.jit(jax.vmap(env.reset))(keys)
    varied = jax.jit(jax.vmap(vary_starts(env, 0.25).reset))(keys)
    same = np.isclose(varied.data.qpos, own.data.qpos, atol=1e-6).all(axis=1)
    assert 0.65 < same.mean() < 0.85
    others = varied.data.qpos[~same]
    assert np.isfinite(varied.obs).all() and len(np.unique(np.round(others, 3), axis=0)) == len(others)
    low = jax.jit(jax.vmap(lambda q: env.measures(env.pose_at(q)).off_floor))(others)
    assert np.abs(low).max() < 0.05, "on the floor"
    assert (others[:, 2] < 1.0).mean() > 0.2, "not all stand"
    ahead = others[:, 3] ** 2 + others[:, 4] ** 2 - others[:, 5] ** 2 - others[:, 6] ** 2
    upright = np.asarray(1 - 2 * (others[:, 4] ** 2 + others[:, 5] ** 2)) > 0.9
    assert (np.asarray(ahead)[upright] > 0).all(), "they face as the task does"


def test_without_a_share_nothing_changes():
    env = envs.make("humanoid/kneeling")
    assert vary_starts(env, 0.0) is env
    key = jax.random.key(3)
    np.testing.assert_array_equal(
        env.reset(key).data.qpos, env.starting(lambda key: jnp.zeros(24), 0.0).reset(key).data.qpos
    )


@pytest.mark.parametrize("task", ["pendulum", "humanoid/raise-and-lower-left-arm"])
def test_tasks_without_other_starts_say_so(task):
    with pytest.raises(ValueError, match=f"{task}' has no varied_starts"):
        vary_starts(envs.make(task), 0.5)


def test_settings():
    with pytest.raises(ValueError, match=r"varied_starts is 1\.5"):
        PolicyConfig("humanoid/kneeling", varied_starts=1.5).validate()
    with pytest.raises(ValueError, match="varied_starts is of no use to reward 'likelihood'"):
        PolicyConfig("humanoid/kneeling", varied_starts=0.5, reward="likelihood").validate()
