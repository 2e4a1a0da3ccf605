"""Triangle meshes, in clusters of neighbouring faces that are culled like any other geom.

Faces are kept in the mesh's own axes, relative to the centre of their cluster: nothing needs to be moved when
a pose changes, and several geoms may share a mesh. `faces` hits them.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jax import Array
from jaxtyping import Float, Int

CLUSTER = 16  # faces; more save turns of the loop, fewer are culled more tightly
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
    radius = np.asarray(np.linalg.norm(points - centre, axis=-1).max())
    edges = [points[:, 0] - centre, points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]]
    fill = [(0, CLUSTER - len(members)), (0, 0)]
    flat = (np.stack(edges, 1), faces.normals[members], faces.texcoords[members])
    return centre, radius, *(np.pad(f.reshape(len(members), -1), fill) for f in flat)
