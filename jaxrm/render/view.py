"""What goes into a frame and changes from pose to pose, and what comes out."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt8


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


class Picture(NamedTuple):
    """A frame and its geometry.

    Attributes:
      rgb: colours.
      depth: metres along the camera's axis, as MuJoCo's depth rendering gives; the far plane's
        distance where there is nothing.
      segmentation: id of the geom in the pixel's centre; -1 for the background.
    """

    rgb: UInt8[Array, "*batch height width 3"]
    depth: Float[Array, "*batch height width"]
    segmentation: Int[Array, "*batch height width"]


def is_finite(view: View) -> Bool[Array, "*batch"]:
    """Whether all positions are finite: frames of others are black."""
    batch = view.fovy.shape
    checks = [jnp.all(jnp.isfinite(leaf).reshape(*batch, -1), axis=-1) for leaf in view]
    return jnp.stack(checks).all(axis=0)
