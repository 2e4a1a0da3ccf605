"""A pose's key gives the start of its episode again, for rewards that want to see it."""

import jax
import numpy as np
import pytest

import envs


@pytest.mark.parametrize("new", [jax.random.PRNGKey, jax.random.key])
@pytest.mark.parametrize(
    "task", ["pendulum", "cartpole", "cartpole/swing-up", "mountain-car", "humanoid/kneel-and-get-up"]
)
def test_a_key_gives_its_start_again(task, new):
    env = envs.make(task)
    reset = jax.jit(env.reset)
    begun = env.pose(reset(new(3)))
    again, other = (env.pose(reset(key)) for key in (begun.key, new(4)))
    np.testing.assert_array_equal(again.qpos, begun.qpos)
    np.testing.assert_array_equal(again.key, begun.key)
    assert not np.array_equal(other.qpos, begun.qpos)
