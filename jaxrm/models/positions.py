"""Position embeddings of a grid of patches, resampled for images of another size."""

import math
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def resample(
    positions: Float[Array, "rows columns width"], rows: int, columns: int, *, antialias: bool
) -> Float[Array, "new_rows new_columns width"]:
    """Bicubic, as `torch.nn.functional.interpolate(align_corners=False)`, in float32 at least.

    Without `antialias` torch's cubic has a = -0.75 and repeats the border; with it, it is Pillow's:
    a = -0.5, stretched where the grid shrinks, cut at the border.
    """
    if positions.shape[:2] == (rows, columns):
        return positions
    dtype = jnp.promote_types(positions.dtype, jnp.float32)
    down, across = (
        jnp.asarray(_matrix(old, new, antialias), dtype)
        for old, new in zip(positions.shape[:2], (rows, columns), strict=True)
    )
    # In full precision: on accelerators a product of float32 is less than that by default.
    highest = jax.lax.Precision.HIGHEST
    resampled = jnp.einsum("ry,cx,yxw->rcw", down, across, positions.astype(dtype), precision=highest)
    return resampled.astype(positions.dtype)


@lru_cache(maxsize=64)
def _matrix(old: int, new: int, antialias: bool) -> np.ndarray:
    """[new, old]: new = matrix @ old along one axis."""
    scale = old / new
    stretch = max(scale, 1.0) if antialias else 1.0
    a = -0.5 if antialias else -0.75
    reach, matrix = 2 * stretch, np.zeros((new, old))
    for i in range(new):
        center = (i + 0.5) * scale - 0.5
        for tap in range(math.ceil(center - reach), math.floor(center + reach) + 1):
            if antialias and not 0 <= tap < old:
                continue
            matrix[i, min(max(tap, 0), old - 1)] += _cubic((tap - center) / stretch, a)
    return matrix / matrix.sum(axis=1, keepdims=True)


def _cubic(x: float, a: float) -> float:
    x = abs(x)
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0
