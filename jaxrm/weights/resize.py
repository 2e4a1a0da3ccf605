"""Resizing as the references do it: Pillow's two integer passes, bit for bit, and torch's plain bicubic."""

import math
from collections.abc import Callable
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

_PRECISION = 32 - 8 - 2  # bits after the point of Pillow's coefficients


def _bicubic(x: float) -> float:
    a, x = -0.5, abs(x)
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0


def _bilinear(x: float) -> float:
    return max(1 - abs(x), 0.0)


# Name -> (the filter, its reach in pixels), as in Pillow's Resample.c.
FILTERS: dict[str, tuple[Callable[[float], float], float]] = {
    "bicubic": (_bicubic, 2.0),
    "bilinear": (_bilinear, 1.0),
}


def pil_resize(
    frames: UInt8[Array, "*batch h w c"], height: int, width: int, resample: str = "bicubic"
) -> UInt8[Array, "*batch height width c"]:
    """`PIL.Image.resize`, with 0 differing values: horizontal first, rounded to uint8 between the passes.

    Pillow 13 goes vertical first where the height shrinks far more than the width. Resizing by the shorter
    edge never meets that; for a squash this stays with what older checkpoints were trained under.
    """
    if frames.shape[-2] != width:
        frames = _pass(frames, -2, *_coefficients(frames.shape[-2], width, resample))
    if frames.shape[-3] != height:
        frames = _pass(frames, -3, *_coefficients(frames.shape[-3], height, resample))
    return frames


def _pass(frames: jax.Array, axis: int, taps: np.ndarray, weights: np.ndarray) -> jax.Array:
    """Resize one axis: output i is the sum over k of weights[k, i] * frames[taps[k, i]]."""
    trailing = (1,) * (-axis - 1)

    def add(total: jax.Array, tap: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        index, weight = tap
        seen = jnp.take(frames, index, axis=axis).astype(jnp.int32)
        return total + seen * weight.reshape(-1, *trailing), None

    axis %= frames.ndim
    shape = (*frames.shape[:axis], taps.shape[1], *frames.shape[axis + 1 :])
    half = jnp.full(shape, 1 << (_PRECISION - 1), jnp.int32)  # rounds the shift below
    total, _ = jax.lax.scan(add, half, (jnp.asarray(taps), jnp.asarray(weights)))
    return jnp.clip(total >> _PRECISION, 0, 255).astype(jnp.uint8)


@lru_cache(maxsize=64)
def _coefficients(old: int, new: int, resample: str) -> tuple[np.ndarray, np.ndarray]:
    """Pillow's `precompute_coeffs` and `normalize_coeffs_8bpc` -> taps, weights, both int32 [k, new]."""
    function, reach = FILTERS[resample]
    scale = old / new
    stretch = max(scale, 1.0)  # antialiasing: a filter as wide as the pixels that it merges
    support = reach * stretch
    size = math.ceil(support) * 2 + 1
    taps, weights = np.zeros((size, new), np.int32), np.zeros((size, new), np.int32)
    for i in range(new):
        center = (i + 0.5) * scale
        first, last = max(int(center - support + 0.5), 0), min(int(center + support + 0.5), old)
        values = [function((x - center + 0.5) * (1 / stretch)) for x in range(first, last)]
        total = sum(values)
        for k, value in enumerate(values):
            fixed = value / total * (1 << _PRECISION)
            taps[k, i] = first + k
            weights[k, i] = int(fixed + math.copysign(0.5, fixed))
    return taps, weights


def torch_bicubic(
    images: Float[Array, "*batch h w c"], height: int, width: int
) -> Float[Array, "*batch height width c"]:
    """torch's bicubic without antialias, on floats: what VLM-RM's published code shrinks its frames with."""
    shape = (*images.shape[:-3], height, width, images.shape[-1])
    return jax.image.resize(images, shape, "cubic-pytorch", antialias=False)
