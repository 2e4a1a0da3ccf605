"""What rays hit, pixel by pixel: where, which way it faces, and what it is made of."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Int

from jaxrm.render import faces, sampling
from jaxrm.render.checker import tint_of_checkers
from jaxrm.render.grid import Rays
from jaxrm.render.scene import Scene
from jaxrm.render.shapes import SHAPES, Solid
from jaxrm.render.trace import Hits
from jaxrm.render.vectors import Vec, look_up, once
from jaxrm.render.world import World

_SHININESS = 128.0  # OpenGL's exponent at MuJoCo's shininess 1


class Surface(NamedTuple):
    """Per ray; vectors relative to the camera, in the world's axes."""

    point: Vec
    normal: Vec
    to_eye: Vec
    colour: Vec
    specular: Array
    exponent: Array
    emission: Array
    tint: Vec


def surface(world: World, frame: Int[Array, "tiles"], rays: Rays, hits: Hits) -> Surface:
    """Attributes of what rays hit [tiles, rays]; any finite ones where they hit nothing."""
    scene, face, frame = world.scene, jnp.maximum(hits.face, 0), frame[:, None]
    geom = faces.geom_of(scene, face)
    distance, point = hits.ends(rays)
    index = world.index(frame, geom)
    solid = world.solid(index)
    off_centre = point.plus(solid.offset)
    local = solid.local(off_centre)
    corner = faces.corners(scene, face, local) if scene.meshes else None
    normal = _normal(scene, geom, solid, off_centre, local)
    if corner is not None:
        normal = choose(face >= len(scene.kinds), solid.world(corner.normal), normal)
    normal = normal.unit()
    footprint = distance * rays.spread
    tint = world.vec(scene.tint_even, index)
    if scene.checkered:
        tint = tint_of_checkers(world, frame, hits.face, point, footprint, rays.direction, tint)
    if any(number >= 0 for number in scene.texture_of):
        textured = (look_up(jnp.array(scene.texture_of), geom) >= 0) & (hits.face >= 0)
        seen = sampling.Seen(frame, geom, solid, local, corner, rays.direction, normal, footprint)
        # most tiles show none, and a sample costs as much as all the rest of a pixel
        tint = jax.lax.cond(
            jnp.any(textured),
            lambda seen, tint: choose(textured, sampling.colour(world, seen), tint),
            lambda seen, tint: tint,
            seen,
            tint,
        )
    s = Surface(
        point,
        normal,
        rays.direction.times(-1.0),
        world.vec(scene.rgba, index),
        look_up(scene.specular.reshape(-1), index),
        look_up(scene.shininess.reshape(-1), index) * _SHININESS,
        look_up(scene.emission.reshape(-1), index),
        tint,
    )
    return once(s)  # or each channel of each light would look all of it up again


def surface_of_planes(world: World, frame: Int[Array, "tiles"], rays: Rays, hits: Hits) -> Surface:
    """Like `surface` for rays that hit nothing but planes without images: most is constant over a tile."""
    scene, frame = world.scene, frame[:, None]
    distance, point = hits.ends(rays)

    def pick(leaf: Array) -> Array:
        value = leaf[frame, scene.planes[0]]
        for plane in scene.planes[1:]:
            value = jnp.where(hits.face == plane, leaf[frame, plane], value)
        return value

    def pick_vec(rows: Array) -> Vec:
        return Vec(*(pick(rows[..., k]) for k in range(3)))

    tint = pick_vec(scene.tint_even)
    if scene.checkered:
        footprint = distance * rays.spread
        tint = tint_of_checkers(world, frame, hits.face, point, footprint, rays.direction, tint)
    return Surface(
        point,
        jax.tree.map(pick, world.geoms.z).unit(),  # as `surface` does: no pixel may depend on its neighbours
        rays.direction.times(-1.0),
        pick_vec(scene.rgba),
        pick(scene.specular),
        pick(scene.shininess) * _SHININESS,
        pick(scene.emission),
        tint,
    )


def is_plain(scene: Scene, hits: Hits) -> Array:
    """Whether rays hit nothing but planes that `surface_of_planes` can describe."""
    plain = hits.face < 0
    for plane in scene.planes:
        if scene.texture_of[plane] < 0:
            plain |= hits.face == plane
    return jnp.all(plain)


def _normal(scene: Scene, geom: Array, solid: Solid, off_centre: Vec, local: Vec) -> Vec:
    """Along the outward normals of all but meshes."""
    # capsules and planes need the axis alone, and most scenes nothing else
    height = jnp.clip(off_centre.dot(solid.z), -solid.size.y, solid.size.y)
    normal = off_centre.minus(solid.z.times(height))
    normal = choose(scene.is_any(scene.planes, geom), solid.z, normal)
    for kind, shape in SHAPES.items():
        ids = getattr(scene, kind)
        if ids and kind != "capsules":
            turned = solid.world(shape.normal(solid.size, local))
            normal = choose(scene.is_any(ids, geom), turned, normal)
    return normal


def choose(condition: Array, yes: Vec, no: Vec) -> Vec:
    return Vec(*(jnp.where(condition, a, b) for a, b in zip(yes, no, strict=True)))
