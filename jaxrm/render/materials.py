"""What a geom's surface looks like, read from a MuJoCo model.

The rules are those of MuJoCo's own renderer. Textures: checkers (and anything else of two
colours in four quadrants) are drawn on planes; of any other texture the mean colour is taken,
with a warning where that hides something.
"""

import warnings
from typing import NamedTuple

import mujoco
import numpy as np

_DEFAULT_RGBA = (0.5, 0.5, 0.5, 1.0)  # a geom of this colour takes its material's
_NOTICEABLE = 0.1  # standard deviation of a texture's colour beyond which its loss is announced


class Surfaces(NamedTuple):
    """Numpy arrays [geoms, ...]; see the fields of the same names in `Scene`."""

    rgba: np.ndarray
    specular: np.ndarray
    shininess: np.ndarray
    emission: np.ndarray
    tint_even: np.ndarray
    tint_odd: np.ndarray
    checker_scale: np.ndarray


def read_surfaces(m: mujoco.MjModel, drawn: list[int]) -> Surfaces:
    """Surfaces of all geoms; textures are looked at for those in `drawn` only."""
    surfaces = Surfaces(
        rgba=np.array(m.geom_rgba, np.float32),
        specular=np.full(m.ngeom, 0.5, np.float32),  # MuJoCo's numbers for geoms without material
        shininess=np.full(m.ngeom, 0.5, np.float32),
        emission=np.zeros(m.ngeom, np.float32),
        tint_even=np.ones((m.ngeom, 3), np.float32),
        tint_odd=np.ones((m.ngeom, 3), np.float32),
        checker_scale=np.zeros((m.ngeom, 2), np.float32),
    )
    for geom in range(m.ngeom):
        material = m.geom_matid[geom]
        if material < 0:
            continue
        if np.allclose(m.geom_rgba[geom], _DEFAULT_RGBA):
            surfaces.rgba[geom] = m.mat_rgba[material]
        surfaces.specular[geom] = m.mat_specular[material]
        surfaces.shininess[geom] = m.mat_shininess[material]
        surfaces.emission[geom] = m.mat_emission[material]
        texture = m.mat_texid[material, mujoco.mjtTextureRole.mjTEXROLE_RGB]
        if texture >= 0 and geom in drawn:
            _read_texture(m, geom, material, texture, surfaces)
    return surfaces


def texture_image(m: mujoco.MjModel, texture: int) -> np.ndarray:
    """A texture as float64 [h, w, 3] from 0 to 1; a cube's six faces lie below each other."""
    h, w, channels = m.tex_height[texture], m.tex_width[texture], m.tex_nchannel[texture]
    start = m.tex_adr[texture]
    image = m.tex_data[start : start + h * w * channels].reshape(h, w, channels) / 255.0
    return np.repeat(image, 3, axis=-1) if channels == 1 else image[..., :3]


def _read_texture(m: mujoco.MjModel, geom: int, material: int, texture: int, out: Surfaces) -> None:
    image = texture_image(m, texture)
    plane = m.geom_type[geom] == mujoco.mjtGeom.mjGEOM_PLANE
    checker = (
        _checker_colours(image) if plane and m.tex_type[texture] == mujoco.mjtTexture.mjTEXTURE_2D else None
    )
    if checker is not None:
        out.tint_even[geom], out.tint_odd[geom] = checker
        size = m.geom_size[geom, :2]
        spatial = (size <= 0) | bool(m.mat_texuniform[material])  # repeats count per metre
        out.checker_scale[geom] = m.mat_texrepeat[material] * np.where(
            spatial, 1.0, 1 / np.where(size > 0, size, 1)
        )
        return
    if image.std(axis=(0, 1)).max() > _NOTICEABLE:
        name = mujoco.mj_id2name(m, mujoco.mjtObj.mjOBJ_TEXTURE, texture) or f"number {texture}"
        warnings.warn(
            f"texture {name!r} is drawn as its mean colour: only checkers on planes are drawn so far",
            stacklevel=5,
        )
    out.tint_even[geom] = out.tint_odd[geom] = image.mean(axis=(0, 1))


def _checker_colours(image: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The colours (first quadrant, the one beside it) of a checker, or None for another image.

    A few pixels may differ: marks along the edges or random dots are dropped.
    """
    h, w = image.shape[0] // 2, image.shape[1] // 2
    quadrants = [image[:h, :w], image[:h, w:], image[h:, :w], image[h:, w:]]
    medians = np.stack([np.median(q, axis=(0, 1)) for q in quadrants])
    if not np.allclose(medians[0], medians[3]) or not np.allclose(medians[1], medians[2]):
        return None
    odd_ones = [np.mean(np.abs(q - c).max(-1) > 0.02) for q, c in zip(quadrants, medians, strict=True)]
    return None if max(odd_ones) > 0.1 else (medians[0], medians[1])
