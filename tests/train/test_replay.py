"""The ring against a plain list; what a million transitions weigh."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from jaxrm.types import Pose
from train.rl import replay
from train.rl.config import PolicyConfig
from train.rl.parts import make_learner

SHARDS, CAPACITY = 2, 7


def rows(start: int, count: int) -> replay.Rows:
    """Numbered from `start`, the second shard's from 1,000 on."""
    number = start + jnp.arange(count, dtype=jnp.float32) + 1000 * jnp.arange(SHARDS)[:, None]
    flag = number % 2 == 0
    vector = jnp.stack([number, -number], axis=-1)
    pose = Pose(vector, vector.astype(jnp.int32).astype(jnp.uint32))
    return replay.Rows(vector, number[..., None], number, vector + 1, flag, ~flag, pose)


def filled(counts: list[int]) -> tuple[replay.Replay, int]:
    example = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[2:], x.dtype), rows(0, 1))
    ring, written = replay.empty(example, SHARDS, CAPACITY), 0
    insert = jax.jit(replay.insert, donate_argnums=0)
    for count in counts:
        ring, written = insert(ring, rows(written, count)), written + count
    return ring, written


@pytest.mark.parametrize("counts", [[3], [3, 3], [3, 3, 3], [7], [5, 5, 5, 5], [7, 1, 7]])
def test_the_ring_holds_the_newest_rows(counts):
    ring, written = filled(counts)
    kept = min(written, CAPACITY)
    newest = rows(written - kept, kept)
    np.testing.assert_array_equal(ring.filled, kept)
    np.testing.assert_array_equal(ring.position, written % CAPACITY)
    places = (np.arange(written - kept, written)) % CAPACITY
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(x[:, places], y), ring.rows, newest)
    jax.tree.map(lambda x, y: np.testing.assert_equal(x.dtype, y.dtype), ring.rows, newest)


@pytest.mark.parametrize("counts", [[3], [5, 5]])
def test_samples_are_whole_rows_of_their_shard_uniformly(counts):
    ring, written = filled(counts)
    keys = jax.random.split(jax.random.PRNGKey(0), SHARDS)
    drawn = replay.sample(ring, keys, 7000)
    kept = min(written, CAPACITY)
    for shard in range(SHARDS):
        numbers, times = np.unique(drawn.score[shard] - 1000 * shard, return_counts=True)
        np.testing.assert_array_equal(numbers, np.arange(written - kept, written))
        np.testing.assert_allclose(times / 7000, 1 / kept, atol=0.03)
    np.testing.assert_array_equal(drawn.obs[..., 0], drawn.score)
    np.testing.assert_array_equal(drawn.next_obs[..., 0], drawn.score + 1)
    np.testing.assert_array_equal(drawn.terminated, drawn.score % 2 == 0)


def test_more_rows_than_the_ring_holds_are_refused():
    with pytest.raises(ValueError, match="8 rows do not fit into a ring of 7"):
        filled([8])


def test_a_million_transitions_of_the_humanoid_weigh_less_than_a_gigabyte():
    env = envs.make("humanoid/kneeling")
    config = PolicyConfig("humanoid/kneeling", algo="sac", replay_size=1_000_000)
    learner = make_learner(config, env.observation_size, env.action_size)
    one = jax.eval_shape(env.reset, jax.random.PRNGKey(0))
    memory = jax.eval_shape(lambda: learner.init_memory(one.obs, jax.eval_shape(env.pose, one)))
    assert memory.rows.score.size == 1_000_000
    assert replay.size_in_bytes(memory) < 0.6e9
    assert all(np.prod(x.shape[2:]) <= 64 for x in jax.tree.leaves(memory.rows))  # a frame would not fit
