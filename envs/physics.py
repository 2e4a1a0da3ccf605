"""MJX between two actions: what of a world goes on, and the steps that take it there."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
from mujoco import mjx

# Traced once a process for bodies that are alike, whatever programs it stands in: the humanoid's
# takes three to four seconds.
_step = jax.jit(mjx.step)


class Physics(NamedTuple):
    """What one world needs to go on. Everything else of `mjx.Data` is computed again, and carrying it
    through a rollout would move some hundred times the bytes.

    `act` is of actuators that have a state of their own, None where none has.
    """

    qpos: Float[Array, "nq"]
    qvel: Float[Array, "nv"]
    warmstart: Float[Array, "nv"]
    act: Float[Array, "na"] | None = None


def simulate(
    model: mjx.Model, data: mjx.Data, physics: Physics, control: Float[Array, "nu"], substeps: int
) -> Physics:
    """`substeps` time steps under one control; of `data` only what `physics` does not say is used."""
    data = data.replace(
        qpos=physics.qpos,
        qvel=physics.qvel,
        act=data.act if physics.act is None else physics.act,
        qacc_warmstart=physics.warmstart,
        ctrl=control,
    )
    data = jax.lax.fori_loop(0, substeps, lambda _, data: _step(model, data), data)
    return Physics(data.qpos, data.qvel, data.qacc_warmstart, None if physics.act is None else data.act)


def is_sane(physics: Physics, max_speed: float) -> Bool[Array, ""]:
    """All is finite, and no joint faster than `max_speed`, rad/s or m/s."""
    finite = jnp.isfinite(jnp.concatenate(jax.tree.leaves(physics))).all()
    return finite & (jnp.abs(physics.qvel).max() < max_speed)
