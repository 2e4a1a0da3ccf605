"""Image textures: mipmaps in one array of words, and trilinear samples of them.

The mapping is that of MuJoCo's renderer: two-dimensional textures are laid around the geom or follow the
texture coordinates of a mesh, cube textures are seen from the geom's centre.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jax import Array
from jaxtyping import Int, UInt32

from jaxrm.render.shapes import SHAPES, Solid
from jaxrm.render.vectors import Vec, look_up, once

if TYPE_CHECKING:
    from jaxrm.render.mesh import Corner
    from jaxrm.render.scene import Scene
    from jaxrm.render.world import World


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


class Seen(NamedTuple):
    """Points on geoms, per ray.

    Attributes:
      frame: which frame the ray belongs to.
      geom: what it hits.
      solid: that geom.
      local: the point hit, in the geom's axes.
      corner: what the faces of meshes say there; None without meshes.
      ray: unit vectors from the camera.
      normal: of the surface.
      width: of a pixel there across the line of sight, metres.
    """

    frame: Int[Array, "tiles 1"]
    geom: Int[Array, "tiles rays"]
    solid: Solid
    local: Vec
    corner: "Corner | None"
    ray: Vec
    normal: Vec
    width: Array


def colour(world: "World", seen: Seen) -> Vec:
    """The texture's colour at each point, from 0 to 1; any where the geom has no texture."""
    scene, index = world.scene, world.index(seen.frame, seen.geom)
    texture = jnp.maximum(look_up(jnp.array(scene.texture_of), seen.geom), 0)
    cubes = {scene.textures[number].cube for number in scene.texture_of if number >= 0}
    steps = _steps(world, seen)
    if cubes == {True}:
        return sample(scene, texture, *_around(world, seen, index, steps))
    flat = *_on_surface(world, seen, index, steps), jnp.zeros_like(texture)
    if cubes == {False}:
        return sample(scene, texture, *flat)
    cube = look_up(jnp.array([t.cube for t in scene.textures]), texture)
    around = _around(world, seen, index, steps)
    return sample(scene, texture, *(jnp.where(cube, a, b) for a, b in zip(around, flat, strict=True)))


def _steps(world: "World", seen: Seen) -> list[Vec]:
    """How a point moves in the geom's axes under a step of one pixel to the right, and of one up, metres."""
    slope = seen.ray.dot(seen.normal)
    slope = jnp.where(jnp.abs(slope) < 1e-3, -1e-3, slope)
    steps = []
    for k in range(2):
        step = Vec(*(world.view.camera_mat[seen.frame, j, k] for j in range(3)))
        step = step.minus(seen.ray.times(step.dot(seen.normal) / slope)).times(seen.width)
        steps.append(seen.solid.local(step))
    return steps


def _on_surface(world: "World", seen: Seen, index: Array, steps: list[Vec]) -> tuple[Array, Array, Array]:
    """u, v and texture coordinates per pixel of a two-dimensional texture."""
    scene = world.scene
    repeat = [look_up(scene.texture_repeat[..., k].reshape(-1), index) for k in range(2)]
    places = [seen.local, *(seen.local.plus(step) for step in steps)]
    here, right, up = ([c * r for c, r in zip(_unroll(scene, seen, p), repeat, strict=True)] for p in places)

    for axis, half in enumerate((seen.solid.size.x, seen.solid.size.y)):
        # the middle of a texture lies at the centre of an infinite plane
        endless = scene.is_any(scene.planes, seen.geom) & (half <= 0)
        for place in (here, right, up):
            place[axis] = place[axis] + jnp.where(endless, 0.5, 0.0)
    u, v = here

    def moved(to: list[Array]) -> Array:
        du, dv = to[0] - u, to[1] - v
        return (du - repeat[0] * jnp.round(du / repeat[0])) ** 2 + dv**2  # not around the seam

    rho = jnp.sqrt(jnp.maximum(moved(right), moved(up)) + 1e-20)
    if seen.corner is not None and scene.by_texcoord:
        follows = scene.is_any(scene.by_texcoord, seen.geom)
        longest = jnp.sqrt(jnp.maximum(*(step.dot(step) for step in steps)) + 1e-20)
        u, v = (
            jnp.where(follows, c * r, other)
            for c, r, other in zip((seen.corner.u, seen.corner.v), repeat, (u, v), strict=True)
        )
        rho = jnp.where(follows, seen.corner.density * longest * jnp.maximum(*repeat), rho)
    return u, v, rho


def _unroll(scene: "Scene", seen: Seen, point: Vec) -> tuple[Array, Array]:
    """Texture coordinates of one repeat at a local point near the one seen, as MuJoCo lays them on geoms."""
    size = seen.solid.size
    at = Vec(*(x / jnp.where(s > 0, s, 1.0) for x, s in zip(point, size, strict=True)))
    # planes, and meshes without coordinates of their own: projected along z
    finite = [jnp.where(s > 0, 0.5, 0.0) for s in (size.x, size.y)]
    u, v = finite[0] + 0.5 * at.x, finite[1] - 0.5 * at.y
    if scene.boxes:
        n, box = SHAPES["boxes"].normal(size, seen.local), scene.is_any(scene.boxes, seen.geom)
        across, down = jnp.where(n.x != 0, at.y, at.x), jnp.where(n.z != 0, at.y, at.z)
        u, v = jnp.where(box, 0.5 + 0.5 * across, u), jnp.where(box, 0.5 - 0.5 * down, v)
    if scene.ellipsoids:
        egg = scene.is_any(scene.ellipsoids, seen.geom)
        u, v = jnp.where(egg, _turn(at), u), jnp.where(egg, 0.5 - _asin(at.z) / jnp.pi, v)
    if scene.cylinders:
        n, can = SHAPES["cylinders"].normal(size, seen.local), scene.is_any(scene.cylinders, seen.geom)
        flat, tall = 0.5 + 0.5 * at.x, point.z / jnp.maximum(size.y, 1e-9)
        radial = point.y / jnp.maximum(size.x, 1e-9)
        u = jnp.where(can, jnp.where(n.z != 0, flat, _turn(point)), u)
        v = jnp.where(can, jnp.where(n.z != 0, 0.5 + 0.5 * radial, 0.5 - 0.5 * tall), v)
    if scene.capsules:
        rod = scene.is_any(scene.capsules, seen.geom)
        beyond = point.z - jnp.clip(point.z, -size.y, size.y)
        rise = _asin(beyond / jnp.maximum(size.x, 1e-9)) / (0.5 * jnp.pi)  # from -1 to 1 at the poles
        along = 0.5 - 0.5 * point.z / jnp.maximum(size.y, 1e-9)
        cap = jnp.where(rise > 0, 1.0 - rise, -rise)
        ball = size.y <= 0
        height = jnp.where(ball, 0.5 - 0.5 * rise, jnp.where(beyond == 0, along, cap))
        u, v = jnp.where(rod, _turn(point), u), jnp.where(rod, height, v)
    return u, v


def _turn(point: Vec) -> Array:
    """Share of a turn about z, from 0 to 1."""
    on_axis = (point.x == 0) & (point.y == 0)
    share = jnp.arctan2(point.y, jnp.where(on_axis, 1e-9, point.x)) / (2 * jnp.pi)
    return jnp.where(share < 0, share + 1.0, share)


def _asin(x: Array) -> Array:
    return jnp.arcsin(jnp.clip(x, -1.0 + 1e-6, 1.0 - 1e-6))


def _around(world: "World", seen: Seen, index: Array, steps: list[Vec]) -> tuple[Array, Array, Array, Array]:
    """u, v, texture coordinates per pixel, and face of a cube around the geom, as `sample` takes them."""
    scene, size, z = world.scene, seen.solid.size, seen.local.z
    scale = world.vec(scene.texture_scale, index)
    # MuJoCo draws the caps of a capsule as half spheres with coordinates of their own
    beyond = jnp.abs(z) - size.y
    cap = jnp.sign(z) * size.y * (1.0 + beyond / jnp.maximum(size.x, 1e-9))
    on_cap = scene.is_any(scene.capsules, seen.geom) & (beyond > 0) & (size.y > 0)
    at = seen.local._replace(z=jnp.where(on_cap, cap, z))
    u, v, face, depth = cube_face(at.scaled(scale))
    right, up = (step.scaled(scale) for step in steps)
    longest = jnp.maximum(right.dot(right), up.dot(up))
    return u, v, 0.5 * jnp.sqrt(longest + 1e-20) / depth, face


def cube_face(v: Vec) -> tuple[Array, Array, Array, Array]:
    """Where vectors from a cube's centre leave it: u, v, number of the face, depth along its axis."""
    ax, ay, az = (jnp.abs(c) for c in v)
    on_x, on_y = (ax >= ay) & (ax >= az), (ay > ax) & (ay >= az)
    depth = jnp.maximum(jnp.maximum(ax, jnp.maximum(ay, az)), 1e-9)
    sign_x, sign_z = jnp.where(v.x < 0, -1.0, 1.0), jnp.where(v.z < 0, -1.0, 1.0)
    s = jnp.where(on_x, -sign_x * v.z, jnp.where(on_y, v.x, sign_z * v.x))
    t = jnp.where(on_y, jnp.where(v.y < 0, -v.z, v.z), -v.y)
    face = jnp.where(on_x, v.x < 0, jnp.where(on_y, 2 + (v.y < 0), 4 + (v.z < 0)))
    return 0.5 * (s / depth + 1.0), 0.5 * (t / depth + 1.0), face.astype(jnp.int32), depth


def sample(
    scene: "Scene", texture: Int[Array, "*rays"], u: Array, v: Array, rho: Array, face: Int[Array, "*rays"]
) -> Vec:
    """Trilinear samples, colours from 0 to 1.

    Args:
      texture: numbers in `scene.textures`.
      u, v: texture coordinates; 2d textures repeat, the faces of cubes end.
      rho: how far texture coordinates move from pixel to pixel.
      face: of cubes; 0 for 2d textures.
    """
    textures = scene.textures
    deepest = max(len(t.levels) for t in textures)
    starts = jnp.array([(*t.levels, *[t.levels[-1]] * (deepest - len(t.levels))) for t in textures])
    width, height = (
        look_up(jnp.array([getattr(t, side) for t in textures]), texture) for side in ("width", "height")
    )
    last = look_up(jnp.array([len(t.levels) - 1 for t in textures]), texture)
    repeats = look_up(jnp.array([not t.cube for t in textures]), texture)
    size = jnp.maximum(width, height).astype(jnp.float32)
    level = jnp.clip(jnp.log2(jnp.maximum(rho * size, 1e-6)), 0.0, last.astype(jnp.float32))
    # what the eight texels have in common is computed once, not eight times
    u, v, face, level, width, height = once((u, v, face, level, width, height))

    def at(level: Array) -> Vec:
        w, h = jnp.maximum(width >> level, 1), jnp.maximum(height >> level, 1)
        first = look_up(starts.reshape(-1), texture * deepest + level) + face * w * h
        places = once((*_corners(u, w, repeats), *_corners(v, h, repeats), first, w))
        left, right, across, top, bottom, down, first, w = places
        row = [first + y * w for y in (top, bottom)]
        colours = [
            tuple(_unpack(look_up(scene.assets.texels, start + x)) for x in (left, right)) for start in row
        ]
        return _mix(
            _mix(colours[0][0], colours[0][1], across), _mix(colours[1][0], colours[1][1], across), down
        )

    fine = jnp.floor(level).astype(jnp.int32)
    return _mix(at(fine), at(jnp.minimum(fine + 1, last)), level - fine)


def _corners(u: Array, n: Array, repeats: Array) -> tuple[Array, Array, Array]:
    """The two texels of a row of n between which a texture coordinate lies, and how far on it is."""
    # wrapped as a fraction: a remainder of integers is one of a CPU's slowest instructions
    x = jnp.where(repeats, u - jnp.floor(u), u) * n - 0.5
    floor = jnp.floor(x)
    low = floor.astype(jnp.int32)
    left = jnp.where(repeats & (low < 0), n - 1, jnp.clip(low, 0, n - 1))
    right = jnp.where(repeats & (low >= n - 1), 0, jnp.clip(low + 1, 0, n - 1))
    return left, right, x - floor


def _mix(a: Vec, b: Vec, share: Array) -> Vec:
    return a.plus(b.minus(a).times(share))


def _unpack(words: UInt32[Array, "rays"]) -> Vec:
    return Vec(*((words >> shift & 255).astype(jnp.float32) * (1 / 255) for shift in (0, 8, 16)))
