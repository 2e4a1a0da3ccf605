"""What changes from pose to pose: positions and frames of geoms, camera and lights."""

from typing import NamedTuple

from jaxtyping import Array, Float


class View(NamedTuple):
    """One pose seen from one camera; a pytree of arrays, in metres and world coordinates.

    Attributes:
      geom_pos: centres of all geoms of the model, in its order.
      geom_mat: their frames; columns are the geom's axes.
      camera_pos: the eye.
      camera_mat: the camera's frame; it looks along its own -z, +y is up.
      fovy: vertical field of view, degrees.
      light_pos: the model's lights, in its order.
      light_dir: unit vectors along which they shine.
    """

    geom_pos: Float[Array, "*batch geoms 3"]
    geom_mat: Float[Array, "*batch geoms 3 3"]
    camera_pos: Float[Array, "*batch 3"]
    camera_mat: Float[Array, "*batch 3 3"]
    fovy: Float[Array, "*batch"]
    light_pos: Float[Array, "*batch lights 3"]
    light_dir: Float[Array, "*batch lights 3"]
