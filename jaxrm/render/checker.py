"""Checkers on planes, averaged over the footprint of a pixel."""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Int

from jaxrm.render.vectors import Vec
from jaxrm.render.world import World


def tint_of_checkers(
    world: World, frame: Int[Array, "tiles 1"], geom: Array, point: Vec, footprint: Array, ray: Vec, even: Vec
) -> Vec:
    """Tint of the texture at each pixel [tiles, rays].

    Args:
      geom: ids of what was hit [rays].
      point: the points hit, relative to the camera.
      footprint: width of a pixel at that distance, metres, across the line of sight.
      ray: unit vectors from the camera.
      even: the colour where there is no checker, or where it is even.
    """
    scene = world.scene
    for plane in scene.checkered:
        share = _odd_share(world, frame, plane, point, footprint, ray)
        share = jnp.where(geom == plane, share, 0.0)
        step = world.vec(scene.tint_odd - scene.tint_even, world.index(frame, plane))
        even = even.plus(step.times(share))
    return even


def _odd_share(world: World, frame: Array, plane: int, point: Vec, footprint: Array, ray: Vec) -> Array:
    """Which part of a pixel shows the odd fields.

    A checker is half of 1 - p(u) p(v) with square waves p of +1 and -1; the mean of each over the
    pixel's width is a difference of its integral, a triangle wave. (After Inigo Quilez,
    "box-filtering checkers".)
    """
    solid, scale = world.solid(world.index(frame, plane)), world.scene.checker_scale[frame, plane]
    # a pixel that looks along the plane covers 1 / |cosine| more of it; like OpenGL's mipmaps the
    # filter is as wide across as it is along the line of sight
    width = footprint / jnp.maximum(jnp.abs(ray.dot(solid.z)), 1e-3)
    product = jnp.ones_like(footprint)
    sides = ((solid.x, solid.size.x, 0.5), (solid.y, solid.size.y, -0.5))  # rows run against the plane's y
    for k, (axis, half, sign) in enumerate(sides):
        # the texture begins at the plane's edge, or at the centre of an infinite one
        u = scale[..., k] * (sign * (point.dot(axis) + solid.offset.dot(axis)) + 0.5 * half)
        product = product * _mean_square_wave(u, 0.5 * jnp.abs(scale[..., k]) * width)
    return 0.5 - 0.5 * product


def _mean_square_wave(u: Array, width: Array) -> Array:
    """Mean over [u - width/2, u + width/2] of the wave that is +1 in [0, .5) and -1 in [.5, 1)."""
    width = jnp.maximum(width, 1e-4)
    low, high = u - 0.5 * width, u + 0.5 * width
    # beyond a field's width the box would ring; mipmaps have faded to the mean by then
    fade = jnp.clip((0.8 - width) / 0.45, 0.0, 1.0)  # fitted to the frames of MuJoCo
    return fade * (_triangle(high) - _triangle(low)) / width


def _triangle(u: Array) -> Array:
    """Integral of the square wave: rises from 0 to 1/2 at u = 1/2 and falls back."""
    return 0.5 - jnp.abs(u - jnp.floor(u) - 0.5)
