"""Poses pulled towards what a claim wants, by the slope of its miss: no pose has to be found by hand."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from envs.humanoid.env import Humanoid
from envs.humanoid.measure import Measures
from envs.humanoid.postures import Sampler

Miss = Callable[[Measures], Array]
RATE = 0.05  # rad a step, about, at first; it falls to a twentieth


def pull(
    env: Humanoid,
    sampler: Sampler,
    miss: Miss,
    qpos: Float[Array, "nq"],
    steps: Int[Array, ""] | int,
    limit: int = 80,
) -> Float[Array, "nq"]:
    """Adam on joints and orientation; the lowest point stays on the floor, joints within their ranges.

    Args:
      miss: measures -> 0 where the claim holds, more the further it is from holding.
      qpos: where to start; the lowest point's height above the floor is kept.
      steps: how many of the at most `limit` steps to take.
    """
    height = sampler.lowest(qpos)
    adam = optax.scale_by_adam()
    # through `settle`, for a joint that moves the lowest point moves the whole body
    slope = jax.grad(lambda qpos: miss(env.measures(env.pose_at(sampler.settle(qpos, height)))))

    def step(carry: tuple[Array, optax.OptState], index: Array) -> tuple[tuple[Array, optax.OptState], None]:
        qpos, memory = carry
        change, after = adam.update(jnp.nan_to_num(slope(qpos)), memory)
        rate = RATE * jnp.maximum(1 - index / steps, 0.05)
        moved = sampler.settle(qpos - rate * jnp.asarray(change), height)
        going = index < steps
        return jax.tree.map(lambda new, old: jnp.where(going, new, old), (moved, after), carry), None

    (qpos, _), _ = jax.lax.scan(step, (qpos, adam.init(qpos)), jnp.arange(limit))
    return qpos
