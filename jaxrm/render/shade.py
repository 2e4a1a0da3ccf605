"""Colour of what rays hit: the fixed-function lighting of OpenGL, which MuJoCo's renderer uses.

Per light: ambient + diffuse (n.l) + specular (n.h)^shininess, with h half way between the
directions to light and eye; computed per pixel where OpenGL does it per vertex.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Int

from jaxrm.render.grid import Rays
from jaxrm.render.shadow import Lamp, shadowed
from jaxrm.render.surface import Surface, is_plain, surface, surface_of_planes
from jaxrm.render.trace import Hits
from jaxrm.render.vectors import Vec
from jaxrm.render.world import World

_POINT_LIGHT = 90.0  # degrees; a wider cutoff means no cone


def shade(
    world: World, frame: Int[Array, "tiles"], rays: Rays, hits: Hits, shadows: bool, culled: bool
) -> Vec:
    """Colours from 0 to 1 of rays [tiles, rays]; those without a hit get any finite colour.

    Args:
      frame: which frame each tile belongs to.
      rays: from the camera.
      hits: what they meet.
      shadows: whether lights that cast shadows do.
      culled: whether shadows are looked for among the geoms of each tile alone.
    """
    if not world.scene.kinds:
        return Vec(*(jnp.zeros_like(hits.distance) for _ in range(3)))
    _, point = hits.ends(rays)
    lamps = {i: _lamp(world, frame, i, point) for i, on in enumerate(world.scene.lights.active) if on}
    dark = {
        i: shadowed(world, frame, lamp, point, hits.face >= 0, culled)
        for i, lamp in lamps.items()
        if shadows and world.scene.lights.shadow[i]
    }

    def lit(look: Callable[..., Surface]) -> Vec:
        return _lit(world, frame, look(world, frame, rays, hits), lamps, dark)

    if not culled or not world.scene.planes:
        return lit(surface)
    # most tiles of most frames show nothing but floor and sky
    return jax.lax.cond(is_plain(world.scene, hits), lambda: lit(surface_of_planes), lambda: lit(surface))


def _lit(
    world: World,
    frame: Int[Array, "tiles"],
    s: Surface,
    lamps: dict[int, Lamp],
    dark: dict[int, Array],
) -> Vec:
    """The light of all lights on surfaces; `dark` says where those with shadows do not shine."""
    lights, view = world.scene.lights, world.view
    eye = Vec(*(-view.camera_mat[frame, k, 2][:, None] for k in range(3)))
    lit = _light(s, eye.times(-1.0), [_column(lights.headlight[:, k], frame) for k in range(3)])
    lit = lit.plus(s.colour.times(s.emission))
    passes = []
    for i, lamp in lamps.items():
        colours = [_column(c[:, i], frame) for c in (lights.ambient, lights.diffuse, lights.specular)]
        one = _light(s, lamp.towards, colours).times(lamp.strength)
        if i in dark:
            # MuJoCo draws each light with shadows in a pass of its own, clamped by itself
            passes.append(_clamp(one).times(jnp.where(dark[i], 0.0, 1.0)))
        else:
            lit = lit.plus(one)
    total = _clamp(lit)
    for one in passes:
        total = total.plus(one)
    return _clamp(total.scaled(s.tint))


def _column(rows: Array, frame: Array) -> Vec:
    """Triples [frames, 3] of the frame of each tile, to be broadcast over its rays."""
    return Vec(*(rows[frame, k][:, None] for k in range(3)))


def _lamp(world: World, frame: Array, i: int, point: Vec) -> Lamp:
    """The model's light number `i` as seen from points."""
    lights, view = world.scene.lights, world.view
    direction = _column(view.light_dir[:, i], frame)
    place = _column(view.light_pos[:, i] - view.camera_pos, frame)
    if lights.directional[i]:
        return Lamp(direction.times(-1.0), jnp.ones(()), place, None, world.scene.shadow_reach)
    offset = place.minus(point)
    distance = jnp.sqrt(jnp.maximum(offset.dot(offset), 1e-12))
    to_light = offset.times(1 / distance)
    constant, linear, quadratic = (lights.attenuation[frame, i, k][:, None] for k in range(3))
    fall = 1 / jnp.maximum(constant + distance * (linear + distance * quadratic), 1e-6)
    cutoff, exponent = lights.cutoff[frame, i][:, None], lights.exponent[frame, i][:, None]
    cosine = -to_light.dot(direction)
    in_cone = cosine >= jnp.cos(jnp.deg2rad(jnp.minimum(cutoff, _POINT_LIGHT)))
    cone = jnp.where(in_cone, _power(cosine, exponent), 0.0)
    strength = fall * jnp.where(cutoff > _POINT_LIGHT, 1.0, cone)
    return Lamp(to_light, strength, place, distance, None)


def _light(s: Surface, to_light: Vec, colours: list[Vec]) -> Vec:
    """Light of one source, of ambient, diffuse and specular colours."""
    ambient, diffuse, specular = colours
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
