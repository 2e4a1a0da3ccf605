"""What judges the stored poses inside the loop: frozen weights, a state that learns, a pure score."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from envs.types import Env
from jaxrm.types import Pose

Score = Callable[[Any, Any, Pose], Float[Array, "time envs"]]


class LoopReward(NamedTuple):
    """A reward as the loop takes it.

    Attributes:
      name: for people and for `result.json`.
      weights: frozen pytree, an argument of the compiled program.
      state: what the reward learns; part of the training state. Empty where it learns nothing.
      score: `score(weights, state, poses [time, envs]) -> [time, envs]`, pure; None means the
        environment's own ground-truth reward, which the unroll has stored.
      goal: the sentence, or None.
    """

    name: str
    weights: Any
    state: Any
    score: Score | None
    goal: str | None


def truth_reward() -> LoopReward:
    """The environment's own reward of every step."""
    return LoopReward("truth", (), (), None, None)


def in_blocks(judge: Callable[[Pose], Array], poses: Pose, block: int) -> Array:
    """`judge` over poses [*batch], at most `block` at a time, so that memory is set by one number.

    Args:
      judge: poses [n] -> [n].
    """
    batch = poses.qpos.shape[:-1]
    flat = jax.tree.map(lambda x: x.reshape(-1, x.shape[-1]), poses)
    count = flat.qpos.shape[0]
    blocks = -(-count // block)
    size = -(-count // blocks)
    picks = jnp.minimum(jnp.arange(blocks * size), count - 1).reshape(blocks, size)
    judged = jax.lax.map(lambda pick: judge(jax.tree.map(lambda x: x[pick], flat)), picks)
    return judged.reshape(-1)[:count].reshape(batch)
