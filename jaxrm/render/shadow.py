"""What lies between points and a light: hard shadows."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Int, UInt32

from jaxrm.render import cull, faces
from jaxrm.render.shapes import SHAPES, Shape, Solid, enter_plane
from jaxrm.render.trace import each
from jaxrm.render.vectors import Vec
from jaxrm.render.world import World

_NEAR = 1e-3  # metres: how far from a point its shadow's caster must be
_FAR = 1e9


class Lamp(NamedTuple):
    """A light as seen from points [tiles, rays].

    Attributes:
      towards: unit vectors to the light; those to the sun are [tiles, 1].
      strength: the share of the light that arrives where no shadow falls.
      place: the light's position relative to the camera [tiles, 1].
      distance: to a light at a point, metres; None for the sun.
      reach: half width of the square around the sun that can be in shadow, metres; None otherwise.
    """

    towards: Vec
    strength: Array
    place: Vec
    distance: Array | None
    reach: float | None


class _Beam(NamedTuple):
    """A box around all that lies between the points of a tile and the light [tiles, 1]."""

    axes: tuple[Vec, Vec, Vec]
    low: Vec
    high: Vec


def shadowed(
    world: World, frame: Int[Array, "tiles"], lamp: Lamp, points: Vec, valid: Array, culled: bool
) -> Bool[Array, "tiles rays"]:
    """Whether geoms keep the light off `points`, of which those that are `valid` matter.

    Infinite planes cast no shadow. As in MuJoCo, the sun's shadows reach `lamp.reach` to each side of
    it, and what is behind the light's position casts none.
    """
    beam = _beam(lamp, points, valid)
    at = _coordinates(beam.axes, points.minus(lamp.place))
    limit = lamp.distance * (1 - 1e-3) if lamp.distance is not None else -at.z
    dark = limit < -jnp.inf  # nowhere; made of the points, as in `trace.nearest`
    for kind, shape in SHAPES.items():
        if not getattr(world.scene, kind):
            continue
        solids = world.solids(kind)

        def test(dark: Array, solid: Solid, _: Array, shape: Shape = shape) -> Array:
            # the table's offset leads from the geom to the camera, where the points are counted from
            distance, hit = shape.enter(solid._replace(offset=solid.offset.plus(points)), lamp.towards)
            return dark | (hit & (distance > _NEAR) & (distance < limit))

        sets = _between(solids, frame, beam, shape) if culled else None
        dark = each(solids, frame, sets, test, dark)
    for plane in world.scene.finite_planes:
        dark |= _behind_plane(world, frame, plane, points, lamp, limit)
    if world.scene.meshes:

        def test_faces(dark: Array, solid: Solid, index: Array) -> Array:
            def test(dark: Array, distance: Array, front: Array, hit: Array, face: Array) -> Array:
                return dark | (hit & (distance > _NEAR) & (distance < limit))

            solid = solid._replace(offset=solid.offset.plus(points))
            return faces.fold(world.scene, test, dark, solid, index, lamp.towards)

        group = faces.clusters(world)
        sets = _between(group, frame, beam, faces.ROUND) if culled else None
        dark = each(group, frame, sets, test_faces, dark)
    if lamp.reach is not None:
        dark &= jnp.maximum(jnp.abs(at.x), jnp.abs(at.y)) < lamp.reach
    return dark


def _behind_plane(world: World, frame: Array, plane: int, points: Vec, lamp: Lamp, limit: Array) -> Array:
    """Whether a plane is between; both of its sides cast shadows."""
    solid = world.solid(world.index(frame[:, None], plane))
    solid = solid._replace(offset=solid.offset.plus(points))
    dark = jnp.zeros(limit.shape, bool)
    for side in (solid, solid._replace(z=solid.z.times(-1.0))):
        distance, hit = enter_plane(side, lamp.towards)
        dark |= hit & (distance > _NEAR) & (distance < limit)
    return dark


def _coordinates(axes: tuple[Vec, Vec, Vec], v: Vec) -> Vec:
    return Vec(*(v.dot(axis) for axis in axes))


def _beam(lamp: Lamp, points: Vec, valid: Array) -> _Beam:
    """Long along the light's direction, and as narrow across as the tile's points are."""
    towards = lamp.towards if lamp.distance is None else _towards_middle(lamp, points, valid)
    axes = _frame_along(towards)
    at = _coordinates(axes, points)
    low = Vec(*(jnp.min(jnp.where(valid, c, _FAR), axis=-1, keepdims=True) for c in at))
    high = Vec(*(jnp.max(jnp.where(valid, c, -_FAR), axis=-1, keepdims=True) for c in at))
    place = _coordinates(axes, lamp.place)
    if lamp.distance is not None:  # the beam narrows towards the light, which is inside the box too
        low = Vec(jnp.minimum(low.x, place.x), jnp.minimum(low.y, place.y), low.z)
        high = Vec(jnp.maximum(high.x, place.x), jnp.maximum(high.y, place.y), high.z)
    return _Beam(axes, low, high._replace(z=place.z))


def _towards_middle(lamp: Lamp, points: Vec, valid: Array) -> Vec:
    share = valid / jnp.maximum(jnp.sum(valid, axis=-1, keepdims=True), 1)
    middle = Vec(*(jnp.sum(c * share, axis=-1, keepdims=True) for c in points))
    return lamp.place.minus(middle).unit()


def _between(solids: Solid, frame: Array, beam: _Beam, shape: Shape) -> UInt32[Array, "tiles words"]:
    """The solids that reach into each tile's beam."""
    mine = Solid(*(Vec(*(c[frame] for c in v)) for v in solids))  # [tiles, n]
    inside = jnp.bool_(True)
    for axis, low, high in zip(beam.axes, beam.low, beam.high, strict=True):
        centre = -mine.offset.dot(axis)
        reach = shape.reach(mine.size, mine.local(axis)) + _NEAR
        inside &= (centre + reach > low) & (centre - reach < high)
    return cull.pack(inside)


def _frame_along(z: Vec) -> tuple[Vec, Vec, Vec]:
    """Unit vectors orthogonal to each other and to `z`, and `z`."""
    steep = jnp.abs(z.z) > 0.9
    aside = Vec(jnp.where(steep, 1.0, 0.0), jnp.zeros_like(z.x), jnp.where(steep, 0.0, 1.0))
    x = aside.cross(z).unit()
    return x, z.cross(x), z
