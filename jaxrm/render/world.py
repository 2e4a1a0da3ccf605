"""Scenes and poses of a batch of frames, as the loops over tiles and pixels look them up."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Int

from jaxrm.render.scene import Scene
from jaxrm.render.shapes import Solid
from jaxrm.render.vectors import Vec
from jaxrm.render.view import View


class World(NamedTuple):
    """Frames to be drawn together.

    Attributes:
      scene, view: as the user gave them, with a leading axis [frames, ...] on every leaf but `scene.assets`.
      geoms: all geoms as rays from the camera see them [frames, geoms].
    """

    scene: Scene
    view: View
    geoms: Solid

    @classmethod
    def of(cls, scene: Scene, view: View) -> "World":
        # relative to the camera, which keeps digits however far from the world's origin all of it is
        offset = Vec.of(view.camera_pos[:, None] - view.geom_pos)
        x, y, z = (Vec.of(view.geom_mat[..., k]) for k in range(3))
        return cls(scene, view, Solid(offset, x, y, z, Vec.of(scene.size)))

    def solids(self, kind: str) -> Solid:
        """Those of one kind [frames, n]."""
        ids = jnp.array(getattr(self.scene, kind))
        return jax.tree.map(lambda leaf: leaf[:, ids], self.geoms)

    def solid(self, frame: Int[Array, "*tiles"], geom: Int[Array, "*tiles"] | int) -> Solid:
        return jax.tree.map(lambda leaf: self.of_geom(leaf, frame, geom), self.geoms)

    def of_geom(self, leaf: Array, frame: Array, geom: Array | int) -> Array:
        """A number [frames, geoms] of the geom that each pixel shows."""
        # one flat table: a gather with batch dimensions takes twice as long on a CPU
        return leaf.reshape(-1)[frame * leaf.shape[1] + geom]

    def vec_of_geom(self, rows: Array, frame: Array, geom: Array | int) -> Vec:
        return Vec(*(self.of_geom(rows[..., k], frame, geom) for k in range(3)))

    def of_frame(self, tree: Any, frame: Array) -> Any:
        """Leaves [frames, ...] of one frame."""
        return jax.tree.map(lambda leaf: leaf[frame], tree)
