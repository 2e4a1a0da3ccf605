"""Scenes and poses of a batch of frames, as the loops over tiles and pixels look them up."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from jaxrm.render.scene import Scene
from jaxrm.render.shapes import Solid
from jaxrm.render.vectors import Vec, look_up
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

    def index(self, frame: Int[Array, "*tiles"], geom: Int[Array, "*tiles"] | int) -> Int[Array, "*tiles"]:
        """Where numbers of geoms stand in tables that are flat over frames and geoms."""
        return frame * self.geoms.size.x.shape[1] + geom

    def solid(self, index: Int[Array, "*tiles"]) -> Solid:
        return jax.tree.map(lambda leaf: look_up(leaf.reshape(-1), index), self.geoms)

    def vec(self, rows: Float[Array, "frames geoms 3"], index: Int[Array, "*tiles"]) -> Vec:
        return Vec.of(rows[..., :3].reshape(-1, 3)).map(lambda column: look_up(column, index))
