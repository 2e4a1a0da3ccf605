"""Triangle meshes, in clusters of neighbouring faces that are culled like any other geom.

Faces are kept in the mesh's own axes, relative to the centre of their cluster, and the rays are turned
into those axes: nothing needs to be moved when a pose changes, and several geoms may share a mesh.
"""

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from jaxrm.render.shapes import SHAPES, Solid
from jaxrm.render.vectors import Vec, look_up

if TYPE_CHECKING:
    from jaxrm.render.scene import Scene
    from jaxrm.render.world import World

CLUSTER = 16  # faces; more save turns of the loop, fewer are culled more tightly
ROUND = SHAPES["capsules"]  # clusters are culled by the spheres around them
_TINY = 1e-12
_CREASE = 0.8  # cosine beyond which MuJoCo draws a corner with the face's normal, not the smooth one


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Meshes:
    """The meshes of a model; short clusters are filled up with faces without area.

    Attributes:
      geom, cluster: which geom shows which cluster [instances].
      centre, radius: the sphere around each cluster, metres, in the mesh's axes.
      corners: of each face its first corner, relative to the cluster's centre, and its two edges.
      normals: at the three corners.
      texcoords: at the three corners; zeros where the mesh has none.
    """

    geom: Int[Array, "instances"]
    cluster: Int[Array, "instances"]
    centre: Float[Array, "clusters 3"]
    radius: Float[Array, "clusters"]
    corners: Float[Array, "faces 9"]
    normals: Float[Array, "faces 9"]
    texcoords: Float[Array, "faces 6"]

    @classmethod
    def from_mujoco(cls, m: mujoco.MjModel, geoms: tuple[int, ...]) -> "Meshes":
        """The meshes that are shown by `geoms`."""
        parts, instances, first = [], [], 0
        for mesh in sorted({int(m.geom_dataid[g]) for g in geoms}):
            faces = _read_faces(m, mesh)
            clusters = _split(np.arange(len(faces.corners)), faces.corners[:, 0])
            parts += [_cluster(faces, members) for members in clusters]
            ids = range(first, first + len(clusters))
            instances += [(g, c) for g in geoms if m.geom_dataid[g] == mesh for c in ids]
            first += len(clusters)
        geom, cluster = np.array(instances, np.int32).reshape(-1, 2).T
        shapes = ((0, 3), (0,), (0, CLUSTER, 9), (0, CLUSTER, 9), (0, CLUSTER, 6))
        columns = zip(*parts, strict=True) if parts else [np.zeros(shape) for shape in shapes]
        centre, radius, *faces = (np.asarray(c, np.float32) for c in columns)
        leaves = (centre, radius, *(f.reshape(-1, f.shape[-1]) for f in faces))
        return cls(jnp.asarray(geom), jnp.asarray(cluster), *map(jnp.asarray, leaves))


class _Faces(NamedTuple):
    corners: np.ndarray  # [faces, 3, 3]
    normals: np.ndarray
    texcoords: np.ndarray  # [faces, 3, 2]


def _read_faces(m: mujoco.MjModel, mesh: int) -> _Faces:
    def rows(values: np.ndarray, addresses: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return values[addresses[mesh] : addresses[mesh] + counts[mesh]]

    faces = rows(m.mesh_face, m.mesh_faceadr, m.mesh_facenum)
    corners = rows(m.mesh_vert, m.mesh_vertadr, m.mesh_vertnum)[faces]
    smooth = rows(m.mesh_normal, m.mesh_normaladr, m.mesh_normalnum)[
        rows(m.mesh_facenormal, m.mesh_faceadr, m.mesh_facenum)
    ]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    flat /= np.maximum(np.linalg.norm(flat, axis=-1, keepdims=True), _TINY)
    if m.mesh_texcoordadr[mesh] < 0:
        creased = np.sum(smooth * flat[:, None], axis=-1, keepdims=True) < _CREASE
        return _Faces(corners, np.where(creased, flat[:, None], smooth), np.zeros((len(faces), 3, 2)))
    texcoords = rows(m.mesh_texcoord, m.mesh_texcoordadr, m.mesh_texcoordnum)
    return _Faces(corners, smooth, texcoords[rows(m.mesh_facetexcoord, m.mesh_faceadr, m.mesh_facenum)])


def _split(members: np.ndarray, at: np.ndarray) -> list[np.ndarray]:
    """Halves a set of faces across its longest extent until each part fits a cluster."""
    if len(members) <= CLUSTER:
        return [members]
    where = at[members]
    order = members[np.argsort(where[:, np.argmax(np.ptp(where, axis=0))], kind="stable")]
    middle = -(-len(order) // (2 * CLUSTER)) * CLUSTER  # leaves full clusters on one side
    return _split(order[:middle], at) + _split(order[middle:], at)


def _cluster(faces: _Faces, members: np.ndarray) -> tuple[np.ndarray, ...]:
    """Centre, radius, corners, normals, texcoords of a cluster."""
    points = faces.corners[members]
    centre = 0.5 * (points.min((0, 1)) + points.max((0, 1)))
    radius = np.linalg.norm(points - centre, axis=-1).max()
    edges = [points[:, 0] - centre, points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]]
    fill = [(0, CLUSTER - len(members)), (0, 0)]
    flat = (np.stack(edges, 1), faces.normals[members], faces.texcoords[members])
    return centre, radius, *(np.pad(f.reshape(len(members), -1), fill) for f in flat)


def clusters(world: "World") -> Solid:
    """The spheres around all clusters [frames, instances]."""
    meshes: Meshes = world.scene.assets.meshes
    geoms = jax.tree.map(lambda leaf: leaf[:, meshes.geom], world.geoms)
    c = Vec.of(meshes.centre[meshes.cluster])
    centre = geoms.x.times(c.x).plus(geoms.y.times(c.y)).plus(geoms.z.times(c.z))
    radius = jnp.broadcast_to(meshes.radius[meshes.cluster], geoms.size.x.shape)
    return geoms._replace(
        offset=geoms.offset.minus(centre), size=Vec(radius, jnp.zeros_like(radius), jnp.zeros_like(radius))
    )


def fold(scene: "Scene", test, carry, solid: Solid, index: Int[Array, "tiles 1"], ray: Vec):
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


def geom_of(scene: "Scene", face: Int[Array, "*rays"]) -> Int[Array, "*rays"]:
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


def corners(scene: "Scene", face: Int[Array, "rays"], point: Vec) -> Corner:
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
