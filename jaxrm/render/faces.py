"""Rays against the faces of meshes, cluster by cluster, in the mesh's own axes; and what faces say there."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Int

from jaxrm.render.mesh import CLUSTER
from jaxrm.render.scene import Scene
from jaxrm.render.shapes import SHAPES, Solid
from jaxrm.render.vectors import Vec, look_up
from jaxrm.render.world import World

ROUND = SHAPES["capsules"]  # clusters are culled by the spheres around them


def clusters(world: World) -> Solid:
    """The spheres around all clusters [frames, instances]."""
    meshes = world.scene.assets.meshes
    geoms = jax.tree.map(lambda leaf: leaf[:, meshes.geom], world.geoms)
    c = Vec.of(meshes.centre[meshes.cluster])
    centre = geoms.x.times(c.x).plus(geoms.y.times(c.y)).plus(geoms.z.times(c.z))
    radius = jnp.broadcast_to(meshes.radius[meshes.cluster], geoms.size.x.shape)
    return geoms._replace(
        offset=geoms.offset.minus(centre), size=Vec(radius, jnp.zeros_like(radius), jnp.zeros_like(radius))
    )


def fold(scene: Scene, test, carry, solid: Solid, index: Int[Array, "tiles 1"], ray: Vec):
    """Folds `test(carry, distance, from the front, hit, number of the face)` over the faces of a cluster.

    Args:
      solid: the sphere around the cluster of each tile; its offset leads to the origin of the rays.
      index: its number among the instances.
      ray: unit vectors.
    """
    meshes = scene.assets.meshes
    faces = meshes.corners.reshape(-1, CLUSTER, 9)[meshes.cluster[index[:, 0]]]  # [tiles, faces, 9]
    origin, ray = solid.local(solid.offset), solid.local(ray)
    first = len(scene.kinds) + index * CLUSTER

    def turn(carry, face):
        numbers, k = face
        corner, e1, e2 = (Vec(*(numbers[:, 3 * i + j, None] for j in range(3))) for i in range(3))
        return test(carry, *_enter(corner, e1, e2, origin, ray), first + k), None

    numbers = (jnp.moveaxis(faces, 1, 0), jnp.arange(CLUSTER))
    return jax.lax.scan(turn, carry, numbers, unroll=4)[0]


def _enter(corner: Vec, e1: Vec, e2: Vec, origin: Vec, ray: Vec) -> tuple[Array, Array, Array]:
    """Distance, whether the front is seen, and whether the face is hit (Möller and Trumbore, 1997)."""
    t = origin.minus(corner)
    q = t.cross(e1)
    det, u, v = ray.dot(e2.cross(e1)), ray.dot(e2.cross(t)), ray.dot(q)
    front = det > 0
    sign = jnp.where(front, 1.0, -1.0)
    size, u, v = jnp.abs(det), sign * u, sign * v
    hit = (u >= 0) & (v >= 0) & (u + v <= size) & (size > 1e-20)
    return sign * e2.dot(q) / jnp.where(hit, size, 1.0), front, hit


def geom_of(scene: Scene, face: Int[Array, "*rays"]) -> Int[Array, "*rays"]:
    """Which geom a face belongs to; numbers below that of geoms are geoms themselves."""
    if not scene.meshes:
        return face
    instance = jnp.maximum(face - len(scene.kinds), 0) // CLUSTER
    return jnp.where(face >= len(scene.kinds), look_up(scene.assets.meshes.geom, instance), face)


class Corner(NamedTuple):
    """The faces of meshes at points on them.

    Attributes:
      normal: in the mesh's axes, not of unit length.
      u, v: texture coordinates.
      density: of texture coordinates, per metre.
    """

    normal: Vec
    u: Array
    v: Array
    density: Array


def corners(scene: Scene, face: Int[Array, "rays"], point: Vec) -> Corner:
    """Interpolates at local points on faces; anything finite where the face is none of a mesh."""
    meshes = scene.assets.meshes
    number = jnp.maximum(face - len(scene.kinds), 0)
    cluster = look_up(meshes.cluster, number // CLUSTER)
    row = cluster * CLUSTER + number % CLUSTER

    def pick(rows: Array, k: int) -> Vec:
        return Vec(*(look_up(rows[:, 3 * k + j], row) for j in range(3)))

    corner, e1, e2 = (pick(meshes.corners, k) for k in range(3))
    d = point.minus(Vec(*(look_up(meshes.centre[:, k], cluster) for k in range(3)))).minus(corner)
    a, b, c, p, q = e1.dot(e1), e1.dot(e2), e2.dot(e2), d.dot(e1), d.dot(e2)
    area2 = jnp.maximum(a * c - b * b, 1e-20)
    u, v = (c * p - b * q) / area2, (a * q - b * p) / area2
    n0, n1, n2 = (pick(meshes.normals, k) for k in range(3))
    normal = n0.times(1 - u - v).plus(n1.times(u)).plus(n2.times(v))
    s = [look_up(meshes.texcoords[:, k], row) for k in range(6)]
    area_uv = jnp.abs((s[2] - s[0]) * (s[5] - s[1]) - (s[4] - s[0]) * (s[3] - s[1]))
    return Corner(
        normal,
        s[0] * (1 - u - v) + s[2] * u + s[4] * v,
        s[1] * (1 - u - v) + s[3] * u + s[5] * v,
        jnp.sqrt(jnp.maximum(area_uv, 1e-12) / jnp.sqrt(area2)),
    )
