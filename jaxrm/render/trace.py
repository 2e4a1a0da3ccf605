"""Rays against geoms: the nearest hit, and what lies between a point and a light.

Geoms of one kind are gone through by `lax.scan`, each step testing all pixels against one geom:
the loop body stays small and its arrays stay in cache, and compile time does not grow with the
number of geoms.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxrm.render.scene import Scene
from jaxrm.render.vectors import Vec
from jaxrm.render.view import View

FAR = 1e10  # metres; the distance of a miss
_TINY = 1e-12


class Hits(NamedTuple):
    """For every ray: how far its nearest geom is (metres along the unit ray; `FAR` for none), and which."""

    distance: Float[Array, "pixels"]
    geom: Int[Array, "pixels"]


class CapsuleRays(NamedTuple):
    """What rays from one point need of one capsule (a sphere has half length 0)."""

    axis: Vec
    offset: Vec  # from the capsule's centre to the origin of the rays
    along: Array  # offset . axis
    body: Array  # |offset|^2 - along^2 - radius^2: negative inside the infinite cylinder
    cap: Array  # |offset|^2 - radius^2
    half: Array


def nearest(scene: Scene, view: View, direction: Vec, start: Array) -> Hits:
    """First front faces that rays from the camera meet beyond the distance `start` [pixels].

    Geoms that contain the camera, or reach nearer than `start`, are looked through: back faces
    are not drawn in MuJoCo either.
    """
    hits = Hits(jnp.full_like(direction.x, FAR), jnp.full(direction.x.shape, -1, jnp.int32))
    hits = _nearest_capsule(scene, view, direction, start, hits)
    if scene.planes:
        ids = jnp.array(scene.planes)
        geoms = (view.geom_pos[ids] - view.camera_pos, view.geom_mat[ids], scene.size[ids])
        hits = jax.lax.scan(
            lambda best, geom: (_closer(best, *_plane_distance(*geom[0], direction, start), geom[1]), None),
            hits,
            (geoms, ids),
        )[0]
    return hits


def nearest_capsule(scene: Scene, view: View, direction: Vec) -> Float[Array, "pixels"]:
    """Distance of the nearest capsule or sphere along unit rays from the camera."""
    misses = Hits(jnp.full_like(direction.x, FAR), jnp.full(direction.x.shape, -1, jnp.int32))
    return _nearest_capsule(scene, view, direction, jnp.zeros(()), misses).distance


def _nearest_capsule(scene: Scene, view: View, direction: Vec, start: Array, hits: Hits) -> Hits:
    if not scene.capsules:
        return hits
    ids = jnp.array(scene.capsules)
    return jax.lax.scan(
        lambda best, geom: (_closer(best, *_capsule_distance(geom[0], direction, start), geom[1]), None),
        hits,
        (capsule_rays(scene, view, ids), ids),
    )[0]


def _closer(best: Hits, distance: Array, hit: Array, geom: Array) -> Hits:
    better = hit & (distance < best.distance)
    return Hits(jnp.where(better, distance, best.distance), jnp.where(better, geom, best.geom))


def capsule_rays(scene: Scene, view: View, ids: Array) -> CapsuleRays:
    axis, offset = Vec.of(view.geom_mat[ids][..., 2]), Vec.of(view.camera_pos - view.geom_pos[ids])
    radius, along, square = scene.size[ids, 0], offset.dot(axis), offset.dot(offset)
    return CapsuleRays(
        axis, offset, along, square - along**2 - radius**2, square - radius**2, scene.size[ids, 1]
    )


def _capsule_distance(c: CapsuleRays, ray: Vec, start: Array) -> tuple[Array, Array]:
    """Where unit rays enter a capsule, and whether they do.

    A ray that enters the infinite cylinder at height y enters the capsule through the sphere
    around the point of the axis at y, moved to the nearer end if y is beyond it: on the body the
    two meet in the same point. So one quadratic serves body and caps. (Closed form after
    Inigo Quilez, "capsule - intersection".)
    """
    d_axis, d_offset = ray.dot(c.axis), ray.dot(c.offset)
    a = jnp.maximum(1.0 - d_axis * d_axis, 1e-7)
    b = d_offset - c.along * d_axis
    body = b * b - a * c.body
    height = c.along - (b + jnp.sqrt(jnp.maximum(body, _TINY))) / a * d_axis
    height = jnp.clip(height, -c.half, c.half)
    b = d_offset - height * d_axis
    sphere = b * b - (c.cap + height * (height - 2.0 * c.along))
    distance = -b - jnp.sqrt(jnp.maximum(sphere, _TINY))
    return distance, (body > 0) & (sphere > 0) & (distance > start)


def _plane_distance(
    offset: Float[Array, "3"], frame: Float[Array, "3 3"], size: Float[Array, "3"], ray: Vec, start: Array
) -> tuple[Array, Array]:
    """Where unit rays meet a plane's front; `offset` leads from the origin of the rays to its centre."""
    normal = Vec.of(frame[:, 2])
    slope = ray.dot(normal)
    front = slope < -1e-9
    distance = (offset @ frame[:, 2]) / jnp.where(front, slope, -1.0)
    return distance, front & (distance > start) & _inside(offset, frame, size, ray.times(distance))


def _inside(offset: Array, frame: Array, size: Array, point: Vec) -> Array:
    """Whether points of a plane are within its rectangle; half lengths of 0 mean infinite."""
    inside = jnp.bool_(True)
    for k in range(2):
        local = point.dot(Vec.of(frame[:, k])) - offset @ frame[:, k]
        inside &= jnp.abs(local) <= jnp.where(size[k] > 0, size[k], jnp.inf)
    return inside
