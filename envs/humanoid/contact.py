"""Where a body stands to the floor and to itself, from its geoms alone: all are capsules or spheres."""

import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Float

from envs.kinematics import Frames

_CAPSULE, _PLANE = mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_PLANE
_TINY = 1e-9  # keeps lengths differentiable where they vanish


def lowest(model: mujoco.MjModel, data: Frames) -> Float[Array, ""]:
    """Height of the body's lowest point above the floor, metres; negative inside it."""
    solid = np.flatnonzero(model.geom_type != _PLANE)
    axis = data.geom_xmat[solid, 2, 2]
    half = _half_lengths(model)[solid]
    return jnp.min(data.geom_xpos[solid, 2] - jnp.abs(axis) * half - model.geom_size[solid, 0])


def overlap(model: mujoco.MjModel, data: Frames) -> Float[Array, ""]:
    """Depth of the deepest of the model's own contact pairs, metres; negative where none touches."""
    one, other = np.asarray(model.pair_geom1), np.asarray(model.pair_geom2)
    axes = data.geom_xmat[:, :, 2]
    half = _half_lengths(model)
    gap = _segment_distance(
        data.geom_xpos[one] - data.geom_xpos[other], axes[one], axes[other], half[one], half[other]
    )
    return jnp.max(model.geom_size[one, 0] + model.geom_size[other, 0] - gap)


def _half_lengths(model: mujoco.MjModel) -> Float[Array, "geoms"]:
    return jnp.asarray(np.where(model.geom_type == _CAPSULE, model.geom_size[:, 1], 0.0))


def _segment_distance(
    offset: Float[Array, "n 3"], a: Array, b: Array, half_a: Array, half_b: Array
) -> Float[Array, "n"]:
    """Least distance of the points `offset + s a` and `t b` for |s| <= half_a, |t| <= half_b; unit axes.

    Ericson, Real-Time Collision Detection (2005), section 5.1.9, from the segments' middles.
    """
    cosine, on_a, on_b = (a * b).sum(-1), (a * offset).sum(-1), (b * offset).sum(-1)
    s = jnp.clip((cosine * on_b - on_a) / jnp.maximum(1 - cosine**2, 1e-6), -half_a, half_a)
    t = jnp.clip(cosine * s + on_b, -half_b, half_b)
    s = jnp.clip(cosine * t - on_a, -half_a, half_a)
    between = offset + s[:, None] * a - t[:, None] * b
    return jnp.sqrt((between**2).sum(-1) + _TINY)
