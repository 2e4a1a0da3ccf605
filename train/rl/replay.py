"""Replay: a ring of past transitions a shard, in the arrays' own dtypes. Poses, never frames.

A row of the humanoid (50 observations, 17 actions, 24 coordinates) is 578 bytes: a million transitions take
578 MB. The ring is part of the donated training state, so that it is written in place.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32

from jaxrm.types import Pose


class Rows(NamedTuple):
    """Transitions, leaves [*batch, ...].

    Attributes:
      obs, action: what the policy saw, and what it did, in [-1, 1].
      score: the reward of the state reached, as it was when the row was written; not normalised.
      next_obs: of the state reached, before any reset. There is no flag for truncation: the value of
        `next_obs` goes into the target whether or not the time limit came there.
      terminated: nothing comes after the state reached.
      valid: False for rows that must not count.
      pose: of the state reached, from which its frame can be drawn again. Nothing here does: a reward that
        learns along judges an episode so far, of which a row is one state, so old rows keep their scores.
    """

    obs: Float[Array, "*batch obs"]
    action: Float[Array, "*batch action"]
    score: Float[Array, "*batch"]
    next_obs: Float[Array, "*batch obs"]
    terminated: Bool[Array, "*batch"]
    valid: Bool[Array, "*batch"]
    pose: Pose


class Replay(NamedTuple):
    """Rings of shards.

    Attributes:
      rows: leaves [shards, capacity, ...].
      position: where each shard's next row goes.
      filled: how many of its rows were written.
    """

    rows: Rows
    position: Int[Array, "shards"]
    filled: Int[Array, "shards"]


def empty(example: Any, shards: int, capacity: int) -> Replay:
    """Rings without rows; `example` gives the shapes and dtypes of one row (`Rows`); `capacity` a shard."""
    rows = jax.tree.map(lambda x: jnp.zeros((shards, capacity, *x.shape), x.dtype), example)
    return Replay(rows, jnp.zeros(shards, jnp.int32), jnp.zeros(shards, jnp.int32))


def insert(replay: Replay, rows: Rows) -> Replay:
    """Writes `rows` [shards, count, ...] behind one another, over the oldest ones where a ring is full.

    Raises:
      ValueError: `count` is above the rings' capacity.
    """
    capacity, count = replay.rows.score.shape[1], rows.score.shape[1]
    if count > capacity:
        raise ValueError(f"{count} rows do not fit into a ring of {capacity}")
    places = (replay.position[:, None] + jnp.arange(count, dtype=jnp.int32)) % capacity

    def write(old: Array, new: Array) -> Array:
        put = jax.vmap(lambda ring, at, x: ring.at[at].set(x, unique_indices=True))
        return put(old, places, new.astype(old.dtype))

    return Replay(
        rows=jax.tree.map(write, replay.rows, rows),
        position=(replay.position + count) % capacity,
        filled=jnp.minimum(replay.filled + count, capacity),
    )


def sample(replay: Replay, keys: UInt32[Array, "shards 2"], count: int) -> Rows:
    """`count` rows of every shard, each drawn uniformly from those written: [shards, count, ...].

    Poses are left out (None): a learner that does not draw needs none.
    """
    rows = replay.rows._replace(pose=None)  # type: ignore[arg-type]

    def of_shard(ring: Rows, filled: Array, key: Array) -> Rows:
        picks = jax.random.randint(key, (count,), 0, jnp.maximum(filled, 1))
        return jax.tree.map(lambda x: x[picks], ring)

    return jax.vmap(of_shard)(rows, replay.filled, keys)


def size_in_bytes(replay: Any) -> int:
    """Of arrays, or of shapes (`jax.eval_shape`)."""
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(replay))
