"""Checkers on planes, averaged over the footprint of a pixel."""

import jax.numpy as jnp
from jax import Array

from jaxrm.render.scene import Scene
from jaxrm.render.vectors import Vec
from jaxrm.render.view import View


def tint_at(scene: Scene, view: View, geom: Array, seen: Vec, footprint: Array, ray: Vec, even: Vec) -> Vec:
    """Tint of the texture at each pixel.

    Args:
      geom: ids of what was hit [pixels].
      seen: the points hit, relative to the camera.
      footprint: width of a pixel at that distance, metres, across the line of sight.
      ray: unit vectors from the camera.
      even: the colour where there is no checker, or where it is even.
    """
    for plane in scene.checkered:
        share = _odd_share(scene, view, plane, seen, footprint, ray)
        share = jnp.where(geom == plane, share, 0.0)
        step = Vec.of(scene.tint_odd[plane] - scene.tint_even[plane])
        even = even.plus(step.times(share))
    return even


def _odd_share(scene: Scene, view: View, plane: int, seen: Vec, footprint: Array, ray: Vec) -> Array:
    """Which part of a pixel shows the odd fields.

    A checker is half of 1 - p(u) p(v) with square waves p of +1 and -1; the mean of each over the
    pixel's width is a difference of its integral, a triangle wave. (After Inigo Quilez,
    "box-filtering checkers".)
    """
    frame, scale = view.geom_mat[plane], scene.checker_scale[plane]
    offset = view.camera_pos - view.geom_pos[plane]
    normal = Vec.of(frame[:, 2])
    # a pixel that looks along the plane at a slant covers 1 / |cosine| more of it, along the line of sight
    slant = 1.0 / jnp.maximum(jnp.abs(ray.dot(normal)), 1e-3)
    product = jnp.ones_like(footprint)
    for k in range(2):
        axis = Vec.of(frame[:, k])
        u = 0.5 * scale[k] * (seen.dot(axis) + offset @ frame[:, k]) - 0.5
        across = ray.dot(axis)
        width = 0.5 * scale[k] * footprint * (1.0 + jnp.abs(across) * (slant - 1.0))
        product = product * _mean_square_wave(u, width)
    return 0.5 - 0.5 * product


def _mean_square_wave(u: Array, width: Array) -> Array:
    """Mean over [u - width/2, u + width/2] of the wave that is +1 in [0, .5) and -1 in [.5, 1)."""
    width = jnp.maximum(width, 1e-4)
    low, high = u - 0.5 * width, u + 0.5 * width
    return (_triangle(high) - _triangle(low)) / width


def _triangle(u: Array) -> Array:
    """Integral of the square wave: rises from 0 to 1/2 at u = 1/2 and falls back."""
    return 0.5 - jnp.abs(u - jnp.floor(u) - 0.5)
