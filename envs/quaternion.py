"""Rotations as quaternions (w, x, y, z), components first: what stands behind them are any batch axes."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

Components = Float[Array, "4 *n"] | Sequence[Array]


def unit(quats: Float[Array, "4 *n"]) -> Float[Array, "4 *n"]:
    """Of length one: recorded ones may drift."""
    return quats / jnp.linalg.norm(quats, axis=0)


def product(outer: Components, inner: Components) -> list[Array]:
    """Components of the rotation that does `inner` first, then `outer`."""
    (w, x, y, z), (s, i, j, k) = outer, inner
    return [
        w * s - x * i - y * j - z * k,
        w * i + x * s + y * k - z * j,
        w * j - x * k + y * s + z * i,
        w * k + x * j - y * i + z * s,
    ]


def matrices(quats: Float[Array, "4 *n"]) -> Float[Array, "*n 3 3"]:
    """Of unit quaternions; of others scaled by the square of their length."""
    w, x, y, z = quats
    entries = [
        w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z,
    ]  # fmt: skip
    return jnp.stack(entries, axis=-1).reshape(*w.shape, 3, 3)
