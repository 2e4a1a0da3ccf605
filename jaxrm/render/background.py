"""The background: the skybox, and the haze on the horizon of an infinite plane."""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from jaxrm.render import sampling
from jaxrm.render.grid import Rays
from jaxrm.render.shapes import Solid
from jaxrm.render.trace import Hits
from jaxrm.render.vectors import Vec
from jaxrm.render.world import World

_DISTANCE = 0.7  # of the skybox, in distances of the far plane


def over_background(world: World, frame: Int[Array, "tiles"], rays: Rays, hits: Hits, colour: Vec) -> Vec:
    """Puts what rays [tiles, rays] hit before the sky; without a skybox the background is black."""
    scene = world.scene
    if not scene.has_sky:
        return Vec(*(jnp.where(hits.face >= 0, c, 0.0) for c in colour))
    if scene.sky_texture is None:
        sky = _gradient(scene.sky[frame], rays.direction)
    else:
        sky = _image(world, rays, scene.sky_texture)
    wall = _DISTANCE * scene.clip[1]
    # the skybox is a cylinder of finite size, and hides what is beyond it
    across = jnp.sqrt(rays.direction.x**2 + rays.direction.y**2 + 1e-12)
    seen = (hits.face >= 0) & (hits.distance * jnp.maximum(across, jnp.abs(rays.direction.z)) < wall)
    mixed = Vec(*(jnp.where(seen, c, s) for c, s in zip(colour, sky, strict=True)))
    if scene.haze_plane is None:
        return mixed
    plane = world.solid(world.index(frame[:, None], scene.haze_plane))
    haze = _Haze(Vec.of(scene.haze[frame, None]), scene.haze[frame, 3][:, None])
    return _haze(plane, haze, rays, jnp.where(seen, hits.distance, jnp.inf), wall, mixed)


def _gradient(coefficients: Float[Array, "tiles degree 3"], direction: Vec) -> Vec:
    rows = [Vec.of(coefficients[:, k, None]) for k in range(coefficients.shape[1])]
    colour = rows[-1]
    for row in rows[-2::-1]:
        colour = colour.times(direction.z).plus(row)
    return Vec(*(jnp.clip(c, 0.0, 1.0) for c in colour))


def _image(world: World, rays: Rays, texture: int) -> Vec:
    d = rays.direction
    u, v, face, depth = sampling.cube_face(Vec(d.x, d.z, -d.y))  # a skybox's y axis is up
    number = jnp.full(u.shape, texture, jnp.int32)
    return sampling.sample(world.scene, number, u, v, 0.5 * rays.spread / depth, face)


class _Haze(NamedTuple):
    colour: Vec
    ratio: Array


def _haze(plane: Solid, haze: _Haze, rays: Rays, distance: Array, wall: float, colour: Vec) -> Vec:
    """MuJoCo's haze: a cone from the plane up to the eye's height at the skybox, opaque half way up.

    In units of the skybox's distance the cone's radius is 1 - r q at depth q e below the eye, with e the
    eye's height above the plane; a ray of slope m downwards meets it where q e = m (1 - r q).

    Args:
      distance: of what is seen before the sky, metres.
      wall: of the skybox, metres.
    """
    ratio = haze.ratio
    height = plane.offset.dot(plane.z) / wall
    down = -rays.direction.dot(plane.z)
    across = jnp.sqrt(jnp.maximum(1.0 - down * down, 1e-12))
    slope = down / across
    q = slope / jnp.maximum(height + slope * ratio, 1e-9)
    h = 1.0 - q
    turn = _opaque_at(ratio)
    alpha = jnp.where(h < turn, h / turn, q / (1.0 - turn))
    here = (slope > 0) & (q <= 1.0) & (height > 0) & ((1.0 - ratio * q) * wall / across < distance)
    alpha = jnp.where(here, jnp.clip(alpha, 0.0, 1.0), 0.0)
    return Vec(*(c + (k - c) * alpha for c, k in zip(colour, haze.colour, strict=True)))


def _opaque_at(ratio: Array) -> Array:
    """Height at which the haze is opaque, as a share of the cone's."""
    angle = jnp.arctan2(1.0, ratio)
    return math.sqrt(0.5) * ratio * jnp.sin(angle) / jnp.sin(0.75 * math.pi - angle)
