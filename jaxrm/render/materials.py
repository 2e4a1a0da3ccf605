"""What a geom's surface looks like, read from a MuJoCo model by the rules of MuJoCo's own renderer."""

import dataclasses
import functools

import mujoco
import numpy as np

from jaxrm.render import images

_DEFAULT_RGBA = (0.5, 0.5, 0.5, 1.0)  # a geom of this colour takes its material's
_GEOM = mujoco.mjtGeom


@dataclasses.dataclass
class Surfaces:
    """Numpy arrays [geoms, ...]; see the fields of the same names in `Scene`.

    Attributes:
      texture: the model's texture that is sampled, -1 for none.
      by_texcoord: whether it follows the texture coordinates of a mesh.
      reflectance: of planes and boxes.
    """

    rgba: np.ndarray
    specular: np.ndarray
    shininess: np.ndarray
    emission: np.ndarray
    tint_even: np.ndarray
    tint_odd: np.ndarray
    checker_scale: np.ndarray
    texture_scale: np.ndarray
    texture_repeat: np.ndarray
    texture: np.ndarray
    by_texcoord: np.ndarray
    reflectance: np.ndarray


def read_surfaces(m: mujoco.MjModel) -> Surfaces:
    """Surfaces of all geoms."""
    n = m.ngeom
    surfaces = Surfaces(
        rgba=np.array(m.geom_rgba, np.float32),
        specular=np.full(n, 0.5, np.float32),  # MuJoCo's numbers for geoms without material
        shininess=np.full(n, 0.5, np.float32),
        emission=np.zeros(n, np.float32),
        tint_even=np.ones((n, 3), np.float32),
        tint_odd=np.ones((n, 3), np.float32),
        checker_scale=np.zeros((n, 2), np.float32),
        texture_scale=np.ones((n, 3), np.float32),
        texture_repeat=np.ones((n, 2), np.float32),
        texture=np.full(n, -1, np.int32),
        by_texcoord=np.zeros(n, bool),
        reflectance=np.zeros(n, np.float32),
    )
    read = functools.cache(functools.partial(images.read_texture, m))
    for geom in range(n):
        material = m.geom_matid[geom]
        if material < 0:
            continue
        if np.allclose(m.geom_rgba[geom], _DEFAULT_RGBA):
            surfaces.rgba[geom] = m.mat_rgba[material]
        surfaces.specular[geom] = m.mat_specular[material]
        surfaces.shininess[geom] = m.mat_shininess[material]
        surfaces.emission[geom] = m.mat_emission[material]
        if m.geom_type[geom] in (_GEOM.mjGEOM_PLANE, _GEOM.mjGEOM_BOX):
            surfaces.reflectance[geom] = m.mat_reflectance[material]
        texture = m.mat_texid[material, mujoco.mjtTextureRole.mjTEXROLE_RGB]
        if texture >= 0:
            _lay_texture(m, geom, read(int(texture)), surfaces)
    return surfaces


def _lay_texture(m: mujoco.MjModel, geom: int, faces: np.ndarray, out: Surfaces) -> None:
    material = m.geom_matid[geom]
    texture = m.mat_texid[material, mujoco.mjtTextureRole.mjTEXROLE_RGB]
    flat = m.tex_type[texture] == mujoco.mjtTexture.mjTEXTURE_2D
    kind, size, uniform = m.geom_type[geom], _size(m, geom), bool(m.mat_texuniform[material])
    repeat = m.mat_texrepeat[material] * np.where(uniform & (size[:2] > 0), size[:2], 1.0)
    colours = faces.reshape(-1, 3)
    checker = _checker_colours(faces[0]) if flat and kind == _GEOM.mjGEOM_PLANE else None
    if np.all(colours == colours[0]):
        out.tint_even[geom] = out.tint_odd[geom] = colours[0]
    elif checker is not None:
        out.tint_even[geom], out.tint_odd[geom] = checker
        out.checker_scale[geom] = repeat / np.where(size[:2] > 0, size[:2], 1.0)
    else:
        out.texture[geom] = texture
        out.texture_repeat[geom] = repeat
        out.texture_scale[geom] = 1.0 if uniform else 1.0 / np.where(size > 0, size, 1.0)
        out.by_texcoord[geom] = (
            flat and kind == _GEOM.mjGEOM_MESH and m.mesh_texcoordadr[m.geom_dataid[geom]] >= 0
        )


def _size(m: mujoco.MjModel, geom: int) -> np.ndarray:
    """What MuJoCo scales a unit shape by, along the geom's axes."""
    kind, size = m.geom_type[geom], m.geom_size[geom]
    if kind == _GEOM.mjGEOM_SPHERE:
        return size[[0, 0, 0]]
    return size[[0, 0, 1]] if kind in (_GEOM.mjGEOM_CAPSULE, _GEOM.mjGEOM_CYLINDER) else size


def _checker_colours(image: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The colours (first quadrant, the one beside it) of a plain checker, or None for another image."""
    if image.shape[0] % 2 or image.shape[1] % 2:
        return None
    h, w = image.shape[0] // 2, image.shape[1] // 2
    quadrants = [image[:h, :w], image[:h, w:], image[h:, :w], image[h:, w:]]
    corners = np.stack([q[0, 0] for q in quadrants])
    plain = all(np.all(q == c) for q, c in zip(quadrants, corners, strict=True))
    if not plain or np.any(corners[0] != corners[3]) or np.any(corners[1] != corners[2]):
        return None
    return corners[0], corners[1]
