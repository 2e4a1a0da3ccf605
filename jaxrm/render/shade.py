"""Colour of what a ray hit: the fixed-function lighting of OpenGL, which MuJoCo's renderer uses.

Per light: ambient + diffuse (n.l) + specular (n.h)^shininess, with h half way between the
directions to light and eye; computed per pixel where OpenGL does it per vertex.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from jaxrm.render.scene import Scene
from jaxrm.render.shadow import shadowed
from jaxrm.render.texture import tint_at
from jaxrm.render.trace import Hits
from jaxrm.render.vectors import Vec
from jaxrm.render.view import View

_SHININESS = 128.0  # OpenGL's exponent at MuJoCo's shininess 1
_POINT_LIGHT = 90.0  # degrees; a wider cutoff means no cone


class Surface(NamedTuple):
    """What was hit, per pixel."""

    point: Vec
    normal: Vec
    to_eye: Vec
    colour: Vec
    specular: Array
    exponent: Array


def shade(scene: Scene, view: View, ray: Vec, hits: Hits, spread: Array, shadows: bool) -> Vec:
    """Colours from 0 to 1; pixels without a hit get any finite colour.

    Args:
      ray: unit vectors from the camera.
      hits: what they meet.
      spread: angle between neighbouring rays, radians: the footprint over which checkers are averaged.
      shadows: whether lights that cast shadows do.
    """
    s, tint = _surface(scene, view, ray, hits, spread)
    lights = scene.lights
    eye = Vec.of(-view.camera_mat[:, 2])
    lit = _light(s, eye.times(-1.0), lights.headlight)
    lit = lit.plus(s.colour.times(scene.emission[jnp.maximum(hits.geom, 0)]))
    dark_side = []
    for i in range(len(lights.active)):
        if not lights.active[i]:
            continue
        to_light, strength = _towards(scene, view, i, s.point)
        colours = jnp.stack([lights.ambient[i], lights.diffuse[i], lights.specular[i]])
        one = _light(s, to_light, colours).times(strength)
        if shadows and lights.shadow[i]:
            # MuJoCo draws each light with shadows in a pass of its own, clamped by itself
            dark_side.append(_clamp(one).times(jnp.where(shadowed(scene, view, i, s.point), 0.0, 1.0)))
        else:
            lit = lit.plus(one)
    total = _clamp(lit)
    for one in dark_side:
        total = total.plus(one)
    return _clamp(Vec(total.x * tint.x, total.y * tint.y, total.z * tint.z))


def _surface(scene: Scene, view: View, ray: Vec, hits: Hits, spread: Array) -> tuple[Surface, Vec]:
    """Attributes of the geoms that were hit, and the tint of their textures."""
    geom = jnp.maximum(hits.geom, 0)
    distance = jnp.where(hits.geom >= 0, hits.distance, 1.0)
    seen = ray.times(distance)  # from the eye, not from the world's origin: keeps digits

    def pick(rows: Array) -> Vec:
        return Vec(rows[:, 0][geom], rows[:, 1][geom], rows[:, 2][geom])

    axis = pick(view.geom_mat[..., 2])
    off_centre = seen.minus(pick(view.geom_pos - view.camera_pos))
    half = scene.size[:, 1][geom]
    height = jnp.clip(off_centre.dot(axis), -half, half)
    is_plane = jnp.zeros(scene.size.shape[0], bool).at[jnp.array(scene.planes, jnp.int32)].set(True)[geom]
    round_normal = off_centre.minus(axis.times(height)).unit()
    normal = Vec(*(jnp.where(is_plane, a, r) for a, r in zip(axis, round_normal, strict=True)))
    surface = Surface(
        point=seen.plus(Vec.of(view.camera_pos)),
        normal=normal,
        to_eye=ray.times(-1.0),
        colour=pick(scene.rgba),
        specular=scene.specular[geom],
        exponent=scene.shininess[geom] * _SHININESS,
    )
    footprint = distance * spread
    return surface, tint_at(scene, view, hits.geom, seen, footprint, ray, pick(scene.tint_even))


def _towards(scene: Scene, view: View, light: int, point: Vec) -> tuple[Vec, Array]:
    """Unit vectors to a light and the share of its strength that arrives."""
    direction = view.light_dir[light]
    if scene.lights.directional[light]:
        return Vec.of(-direction), jnp.ones(())
    offset = Vec.of(view.light_pos[light]).minus(point)
    distance = jnp.sqrt(jnp.maximum(offset.dot(offset), 1e-12))
    to_light = offset.times(1 / distance)
    constant, linear, quadratic = (scene.lights.attenuation[light, k] for k in range(3))
    fall = 1 / jnp.maximum(constant + distance * (linear + distance * quadratic), 1e-6)
    cutoff, exponent = scene.lights.cutoff[light], scene.lights.exponent[light]
    cosine = -to_light.dot(Vec.of(direction))
    in_cone = cosine >= jnp.cos(jnp.deg2rad(jnp.minimum(cutoff, _POINT_LIGHT)))
    cone = jnp.where(in_cone, _power(cosine, exponent), 0.0)
    return to_light, fall * jnp.where(cutoff > _POINT_LIGHT, 1.0, cone)


def _light(s: Surface, to_light: Vec, colours: Array) -> Vec:
    """Light of one source; `colours` [3, 3] are its ambient, diffuse and specular ones."""
    ambient, diffuse, specular = (Vec.of(row) for row in colours)
    facing = s.normal.dot(to_light)
    half_way = s.normal.dot(to_light.plus(s.to_eye).unit())
    shine = jnp.where(facing > 0, s.specular * _power(half_way, s.exponent), 0.0)
    facing = jnp.maximum(facing, 0.0)
    return Vec(
        *(
            c * (a + d * facing) + p * shine
            for c, a, d, p in zip(s.colour, ambient, diffuse, specular, strict=True)
        )
    )


def _power(base: Array, exponent: Array) -> Array:
    """base^exponent for bases from 0 to 1, 0 for those below, with finite gradients."""
    return jnp.exp(exponent * jnp.log(jnp.clip(base, 1e-6, 1.0)))


def _clamp(colour: Vec) -> Vec:
    return Vec(*(jnp.clip(c, 0.0, 1.0) for c in colour))
