"""The background: a vertical gradient, kept as polynomials in the sine of the elevation."""

import warnings

import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Float

from jaxrm.render.materials import texture_image
from jaxrm.render.vectors import Vec

_DEGREE = 5  # follows MuJoCo's builtin gradients to 1/100, without a transcendental function per pixel
_NOTICEABLE = 0.05  # mean deviation from a gradient beyond which the loss is announced


def read_sky(m: mujoco.MjModel) -> np.ndarray:
    """Coefficients float32 [6, 3], constant first, of the model's skybox; zeros (black) without one."""
    skies = np.flatnonzero(m.tex_type == mujoco.mjtTexture.mjTEXTURE_SKYBOX)
    if not len(skies):
        return np.zeros((_DEGREE + 1, 3), np.float32)
    sine, colour = _elevations(texture_image(m, skies[0]))
    powers = sine[:, None] ** np.arange(_DEGREE + 1)
    coefficients, *_ = np.linalg.lstsq(powers, colour, rcond=None)
    if np.abs(powers @ coefficients - colour).mean() > _NOTICEABLE:
        warnings.warn("the skybox is drawn as a vertical gradient: images are not drawn so far", stacklevel=4)
    return coefficients.astype(np.float32)


def sky_colour(coefficients: Float[Array, "degree 3"], direction: Vec) -> Vec:
    """Colour from 0 to 1 seen along unit vectors."""
    colour = Vec.of(coefficients[-1])
    for row in coefficients[-2::-1]:
        colour = colour.times(direction.z).plus(Vec.of(row))
    return Vec(*(jnp.clip(c, 0.0, 1.0) for c in colour))


def _elevations(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sines of elevation [n] and colours [n, 3] of a skybox's pixels.

    A cube's faces lie below each other in OpenGL's order (right, left, up, down, front, back), with
    up along the sides' columns; a single image serves for all six.
    """
    w = image.shape[1]
    faces = image.reshape(-1, w, w, 3)
    faces = np.repeat(faces, 6, axis=0) if len(faces) == 1 else faces
    a, b = np.meshgrid(*[1 - 2 * (np.arange(w) + 0.5) / w] * 2)  # b falls from row to row
    height = [b, b, np.ones_like(a), -np.ones_like(a), b, b]
    flat = [np.sqrt(1 + a * a)] * 2 + [np.hypot(a, b)] * 2 + [np.sqrt(1 + a * a)] * 2
    sine = np.stack([h / np.hypot(h, f) for h, f in zip(height, flat, strict=True)])
    return sine.ravel()[::7], faces.reshape(-1, 3)[::7]  # every 7th pixel is plenty
