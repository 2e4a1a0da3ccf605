"""What the reward calls success, held against the predicate while the policy learns to please it.

Optimised against, a learned reward is exploited: states score well and are no success. The threshold is the
mean score of the states, seen on the way, in which the predicate holds: a state that scores at least as much
is one that the reward calls success.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from train import sums


class SuccessScore(NamedTuple):
    """Running mean of the reward's score where the predicate holds.

    Attributes:
      count: such states so far.
      mean: of their scores; without meaning while `count` is 0.
    """

    count: Float[Array, ""]
    mean: Float[Array, ""]

    @property
    def threshold(self) -> Float[Array, ""]:
        """NaN while no success was seen."""
        return jnp.where(self.count > 0, self.mean, jnp.nan)


def none_seen(dtype: jnp.dtype) -> SuccessScore:
    return SuccessScore(jnp.zeros((), dtype), jnp.zeros((), dtype))


def update(
    seen: SuccessScore,
    scores: Float[Array, "envs"],
    holds: Bool[Array, "envs"],
    valid: Bool[Array, "envs"],
    axis: str | None,
) -> tuple[SuccessScore, Float[Array, ""]]:
    """Takes states in.

    Returns:
      The running mean, and the false-positive rate of these states by the mean that they are part of: among
      those in which the predicate fails, the share that the reward calls success. NaN where none fails, or
      while no success was seen.
    """
    right = holds & valid
    added = sums.total(right, axis).astype(seen.count.dtype)
    count = seen.count + added
    scored = sums.total(jnp.where(right, scores, 0.0), axis)
    mean = seen.mean + (scored - seen.mean * added) / jnp.maximum(count, 1)
    after = SuccessScore(count, mean.astype(seen.mean.dtype))
    wrong = ~holds & valid
    called = sums.total(wrong & (scores >= after.threshold), axis)
    failing = sums.total(wrong, axis)
    rate = jnp.where((count > 0) & (failing > 0), called / jnp.maximum(failing, 1), jnp.nan)
    return after, rate
