"""Where episodes of training start: as the task says, or a share of them in any posture."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from envs.humanoid.env import Humanoid
from envs.humanoid.postures import Sampler
from envs.types import Env, is_ordered

TILT = 0.1  # rad, of the whole body, deviation


def vary_starts(env: Env, share: float) -> Env:
    """The environment that a learner trains in: a `share` of its episodes starts on the floor in a mixture of
    postures, facing as the task does. By 0 it is the task itself, by whose starts every policy is judged.

    Raises:
      ValueError: the task has no other starts.
    """
    if not share:
        return env
    if not isinstance(env, Humanoid) or is_ordered(env):
        raise ValueError(f"{env.name!r} has no varied_starts: only postures of the humanoid have")
    sampler = Sampler(env)

    def posture(key: Array) -> Float[Array, "nq"]:
        key_joints, key_tilt = jax.random.split(key)
        joints, lean = sampler.joints_and_lean(key_joints)
        pitch, roll = TILT * jax.random.normal(key_tilt, (2,))
        return sampler.qpos(joints, lean + pitch, roll, jnp.zeros(()), jnp.zeros(()))

    return env.starting(posture, share)
