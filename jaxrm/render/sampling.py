"""Colours of image textures at the points that rays hit: trilinear samples of mipmaps.

The mapping is that of MuJoCo's renderer: two-dimensional textures are laid around the geom or follow the
texture coordinates of a mesh, cube textures are seen from the geom's centre.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Int, UInt32

from jaxrm.render.faces import Corner
from jaxrm.render.scene import Scene
from jaxrm.render.shapes import SHAPES, Solid
from jaxrm.render.vectors import Vec, look_up, once
from jaxrm.render.world import World


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
    corner: Corner | None
    ray: Vec
    normal: Vec
    width: Array


def colour(world: World, seen: Seen) -> Vec:
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


def _steps(world: World, seen: Seen) -> list[Vec]:
    """How a point moves in the geom's axes under a step of one pixel to the right, and of one up, metres."""
    slope = seen.ray.dot(seen.normal)
    slope = jnp.where(jnp.abs(slope) < 1e-3, -1e-3, slope)
    steps = []
    for k in range(2):
        step = Vec(*(world.view.camera_mat[seen.frame, j, k] for j in range(3)))
        step = step.minus(seen.ray.times(step.dot(seen.normal) / slope)).times(seen.width)
        steps.append(seen.solid.local(step))
    return steps


def _on_surface(world: World, seen: Seen, index: Array, steps: list[Vec]) -> tuple[Array, Array, Array]:
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


def _unroll(scene: Scene, seen: Seen, point: Vec) -> tuple[Array, Array]:
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


def _around(world: World, seen: Seen, index: Array, steps: list[Vec]) -> tuple[Array, Array, Array, Array]:
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
    scene: Scene, texture: Int[Array, "*rays"], u: Array, v: Array, rho: Array, face: Int[Array, "*rays"]
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
