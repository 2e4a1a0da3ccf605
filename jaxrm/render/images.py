"""Image textures: mipmaps in one array of words. `sampling` looks colours up in it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jax import Array
from jaxtyping import UInt32


class Texture(NamedTuple):
    """Where a texture lies in the array of texels; static.

    Attributes:
      name: in the model.
      cube: whether it has six faces, in OpenGL's order (+x, -x, +y, -y, +z, -z).
      width, height: of the finest level, texels.
      levels: number of the first texel of each level, finest first; the faces of a level follow each other.
    """

    name: str
    cube: bool
    width: int
    height: int
    levels: tuple[int, ...]


def read_texture(m: mujoco.MjModel, texture: int) -> np.ndarray:
    """A texture as float64 [faces, h, w, 3] from 0 to 1; 6 faces for cubes and skies, else 1."""
    h, w, channels = m.tex_height[texture], m.tex_width[texture], m.tex_nchannel[texture]
    start = m.tex_adr[texture]
    image = m.tex_data[start : start + h * w * channels].reshape(h, w, channels) / 255.0
    image = np.repeat(image, 3, axis=-1) if channels == 1 else image[..., :3]
    if m.tex_colorspace[texture] == mujoco.mjtColorSpace.mjCOLORSPACE_SRGB:
        image = np.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)
    if m.tex_type[texture] == mujoco.mjtTexture.mjTEXTURE_2D:
        return image[None]
    faces = image.reshape(-1, w, w, 3)
    return np.repeat(faces, 6, axis=0) if len(faces) == 1 else faces


def build(m: mujoco.MjModel, textures: list[int]) -> tuple[tuple[Texture, ...], np.ndarray]:
    """Mipmaps of some textures: where each lies, and the texels (red in the lowest byte) uint32 [n]."""
    parts, found, start = [np.zeros(0, np.uint32)], [], 0
    for texture in textures:
        faces, levels = read_texture(m, texture), []
        for level in _mipmaps(faces):
            levels.append(start)
            parts.append(_words(level).reshape(-1))
            start += len(parts[-1])
        name = mujoco.mj_id2name(m, mujoco.mjtObj.mjOBJ_TEXTURE, texture) or ""
        found.append(Texture(name, len(faces) == 6, faces.shape[2], faces.shape[1], tuple(levels)))
    return tuple(found), np.concatenate(parts)


def replace(texels: UInt32[Array, "n"], texture: Texture, image: Array) -> UInt32[Array, "n"]:
    """Writes another picture, colours from 0 to 1, and its mipmaps over a texture's."""
    image = jnp.asarray(image)
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise TypeError(f"texture {texture.name!r}: the image must be floats from 0 to 1, not {image.dtype}")
    wanted = (*(6,) * texture.cube, texture.height, texture.width, 3)
    if image.shape != wanted:
        raise ValueError(f"texture {texture.name!r} has shape {wanted}, the image {image.shape}")
    faces = image.astype(jnp.float32).reshape(-1, *image.shape[-3:]).clip(0.0, 1.0)
    for start, level in zip(texture.levels, _mipmaps(faces), strict=True):
        texels = jax.lax.dynamic_update_slice(texels, _words(level).reshape(-1), (start,))
    return texels


def _mipmaps(faces: Any) -> list[Any]:
    """Levels [faces, h, w, 3], finest first, in bytes as a GPU keeps them; of numpy's or JAX's arrays."""
    levels = [(faces * 255.0).round()]
    while max(levels[-1].shape[1:3]) > 1:
        n, h, w, _ = levels[-1].shape
        lines = _halves(h) @ levels[-1].reshape(n, h, w * 3)
        levels.append((_halves(w) @ lines.reshape(n, -1, w, 3)).round())
    return levels


def _halves(n: int) -> np.ndarray:
    """Means over the parts that n texels are cut into, half as many [n // 2, n]; of one texel, itself."""
    edges = np.linspace(0, n, max(1, n // 2) + 1)[:, None]
    covered = np.clip(edges - np.arange(n), 0, 1)  # how much of each texel lies before an edge
    return (np.diff(covered, axis=0) * max(1, n // 2) / n).astype(np.float32)


def _words(level: Any) -> Any:
    """Bytes as floats [..., 3] -> words [...]."""
    level = level.astype(np.uint32)
    return pack(level[..., 0], level[..., 1], level[..., 2])


def pack(red: Any, green: Any, blue: Any) -> Any:
    """Colours of eight bits a channel, uint32 from 0 to 255 -> one word each, red in the lowest byte."""
    return red | (green << 8) | (blue << 16)
