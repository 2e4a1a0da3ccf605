"""Meshes and pictures made by rule, so that scenes need no files."""

import io

import numpy as np
from PIL import Image


def bumpy_torus_obj(around: int = 32, across: int = 16, radius: float = 0.3, thickness: float = 0.1) -> bytes:
    """A torus about z with waves on it, as a Wavefront OBJ file of 2 x around x across triangles; metres."""
    u, v = np.meshgrid(
        2 * np.pi * np.arange(around) / around, 2 * np.pi * np.arange(across) / across, indexing="ij"
    )
    tube = thickness * (1 + 0.2 * np.sin(5 * u) * np.cos(3 * v))
    reach = radius + tube * np.cos(v)
    vertices = np.stack([reach * np.cos(u), reach * np.sin(u), tube * np.sin(v)], axis=-1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(around), np.arange(across), indexing="ij")
    i2, j2 = (i + 1) % around, (j + 1) % across
    a, b, c, d = 1 + i * across + j, 1 + i2 * across + j, 1 + i2 * across + j2, 1 + i * across + j2
    faces = np.concatenate([np.stack(corners, -1).reshape(-1, 3) for corners in ((a, b, c), (a, c, d))])
    lines = [f"v {x:.7g} {y:.7g} {z:.7g}" for x, y, z in vertices]
    return "\n".join(lines + [f"f {i} {j} {k}" for i, j, k in faces]).encode()


def die_obj(half: float = 0.25) -> bytes:
    """A die as a Wavefront OBJ file: a cube whose six flat sides show six different parts of a picture."""
    corners = [(x, y, z) for z in (-half, half) for y in (-half, half) for x in (-half, half)]
    sides = [(1, 3, 4, 2), (5, 6, 8, 7), (1, 2, 6, 5), (4, 3, 7, 8), (2, 4, 8, 6), (3, 1, 5, 7)]
    normals = [(0, 0, -1), (0, 0, 1), (0, -1, 0), (0, 1, 0), (1, 0, 0), (-1, 0, 0)]
    lines = [f"v {x} {y} {z}" for x, y, z in corners] + [f"vn {x} {y} {z}" for x, y, z in normals]
    for side in range(6):
        left, low = (side % 3) / 3, (side // 3) / 2
        for u, v in ((0, 0), (1, 0), (1, 1), (0, 1)):
            lines.append(f"vt {left + u / 3:.6f} {low + v / 2:.6f}")
    for side, (a, b, c, d) in enumerate(sides):
        a, b, c, d = (f"{v}/{4 * side + k}/{side + 1}" for k, v in enumerate((a, b, c, d), start=1))
        lines += [f"f {a} {b} {c}", f"f {a} {c} {d}"]
    return "\n".join(lines).encode()


def picture_png(width: int, height: int) -> bytes:
    """A picture without any symmetry, so that a flip or a swap of axes shows: ramps, a disc, a bar."""
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    image = np.stack([x, y, 0.5 * np.ones_like(x)], axis=-1)
    image[np.hypot(x - 0.3, y - 0.3) < 0.18] = (1, 1, 1)
    image[(np.abs(x - 0.75) < 0.06) & (y > 0.4)] = (0.1, 0.1, 0.1)
    file = io.BytesIO()
    Image.fromarray(np.round(255 * image).astype(np.uint8)).save(file, "png")
    return file.getvalue()
