"""Sums and means over everything, on all devices of a mesh's axis."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

AXIS = "data"  # of the mesh, over which shards are spread


def total(x: Array, axis: str | None) -> Array:
    x = jnp.sum(x)
    return x if axis is None else jax.lax.psum(x, axis)


def weighted_mean(x: Array, weight: Array, axis: str | None) -> Array:
    """0 where nothing has weight."""
    return total(x * weight, axis) / jnp.maximum(total(weight, axis), 1.0)
