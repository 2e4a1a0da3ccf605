"""A model's skybox, read: most are vertical gradients, which need no image."""

import mujoco
import numpy as np

from jaxrm.render import images

_DEGREE = 5  # follows MuJoCo's builtin gradients to 1/100, without a transcendental function per pixel
_CLOSE = 0.01  # mean deviation up to which a skybox is drawn as a polynomial


def fit_gradient(m: mujoco.MjModel) -> tuple[np.ndarray, int | None]:
    """A model's skybox as a polynomial in the sine of the elevation.

    Returns:
      Coefficients float32 [6, 3], constant first, zeros (black) without a skybox; and the number of its
      texture if it is no vertical gradient and has to be sampled.
    """
    skies = np.flatnonzero(m.tex_type == mujoco.mjtTexture.mjTEXTURE_SKYBOX)
    if not len(skies):
        return np.zeros((_DEGREE + 1, 3), np.float32), None
    sine, colour = _elevations(images.read_texture(m, skies[0]))
    powers = sine[:, None] ** np.arange(_DEGREE + 1)
    coefficients, *_ = np.linalg.lstsq(powers, colour, rcond=None)
    close = np.abs(powers @ coefficients - colour).mean() <= _CLOSE
    return coefficients.astype(np.float32), None if close else int(skies[0])


def _elevations(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sines of elevation [n] and colours [n, 3] of a skybox's pixels."""
    w = faces.shape[1]
    a, b = np.meshgrid(*[1 - 2 * (np.arange(w) + 0.5) / w] * 2)  # b falls from row to row
    height = [b, b, np.ones_like(a), -np.ones_like(a), b, b]
    flat = [np.sqrt(1 + a * a)] * 2 + [np.hypot(a, b)] * 2 + [np.sqrt(1 + a * a)] * 2
    sine = np.stack([h / np.hypot(h, f) for h, f in zip(height, flat, strict=True)])
    return sine.ravel()[::7], faces.reshape(-1, 3)[::7]  # every 7th pixel is plenty
