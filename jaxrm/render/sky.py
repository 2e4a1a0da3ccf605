"""The background: a gradient between the colours straight below and straight above."""

import warnings

import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Float

from jaxrm.render.materials import texture_image
from jaxrm.render.vectors import Vec

_NOTICEABLE = 0.05  # mean deviation from a gradient beyond which the loss is announced


def read_sky(m: mujoco.MjModel) -> np.ndarray:
    """Colours [2, 3] at elevations -90 and +90 degrees; black where the model has no skybox."""
    skies = np.flatnonzero(m.tex_type == mujoco.mjtTexture.mjTEXTURE_SKYBOX)
    if not len(skies):
        return np.zeros((2, 3), np.float32)
    image = texture_image(m, skies[0])
    h, w = image.shape[:2]
    face = image.reshape(-1, w, w, 3) if h == 6 * w else image[None]
    # columns of the middle of a side face run over elevations from 45 down to -45 degrees
    side = face[4 % len(face)][:, w // 2]
    elevation = np.arctan(1 - 2 * (np.arange(len(side)) + 0.5) / len(side))
    design = np.stack([0.5 - elevation / np.pi, 0.5 + elevation / np.pi], axis=-1)
    ends, *_ = np.linalg.lstsq(design, side, rcond=None)
    if np.abs(design @ ends - side).mean() > _NOTICEABLE:
        warnings.warn("the skybox is drawn as a vertical gradient: images are not drawn so far", stacklevel=4)
    return np.clip(ends, 0, 1).astype(np.float32)


def sky_colour(ends: Float[Array, "2 3"], direction: Vec) -> Vec:
    """Colour seen along unit vectors; MuJoCo's gradients are linear in the angle of elevation."""
    share = 0.5 + jnp.arcsin(jnp.clip(direction.z, -0.999999, 0.999999)) / jnp.pi
    below, above = Vec.of(ends[0]), Vec.of(ends[1])
    return below.plus(above.minus(below).times(share))
