"""The shapes of geoms: where a ray enters them, how far they reach, which way their surface looks.

Everything broadcasts, so the same few lines serve rays that share their origin (a camera or a lamp
looks), rays that share their direction (the sun shines), and rays that share neither.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from jaxrm.render.vectors import Vec

_TINY = 1e-12
_THIN = 1e-6  # metres; 1 / _THIN^4, which is in the gradient of a normal, is still a number of float32


class Solid(NamedTuple):
    """A geom as a ray sees it.

    Attributes:
      offset: from the geom's centre to the ray's origin, metres.
      x, y, z: the geom's axes, unit vectors.
      size: MuJoCo's sizes, metres.
    """

    offset: Vec
    x: Vec
    y: Vec
    z: Vec
    size: Vec

    def local(self, v: Vec) -> Vec:
        """A vector in the geom's own axes."""
        return Vec(v.dot(self.x), v.dot(self.y), v.dot(self.z))

    def world(self, v: Vec) -> Vec:
        """A vector given in the geom's axes."""
        return self.x.times(v.x).plus(self.y.times(v.y)).plus(self.z.times(v.z))


class Shape(NamedTuple):
    """What a convex kind of geom can do.

    Attributes:
      enter: (solid, unit ray) -> distance to the front face, and whether there is one.
      reach: (size, local unit vector) -> how far the geom reaches from its centre along that vector.
      normal: (size, local point on the surface) -> a local vector along the outward normal.
    """

    enter: Callable[[Solid, Vec], tuple[Array, Array]]
    reach: Callable[[Vec, Vec], Array]
    normal: Callable[[Vec, Vec], Vec]


def _enter_capsule(solid: Solid, ray: Vec) -> tuple[Array, Array]:
    """A ray that enters the infinite cylinder at height y enters the capsule through the sphere around
    the point of the axis at y, moved to the nearer end if y is beyond it: on the body the two meet in
    the same point. So one quadratic serves body and caps. (Closed form after Inigo Quilez,
    "capsule - intersection".)
    """
    radius2, half = solid.size.x**2, solid.size.y
    along, square = solid.offset.dot(solid.z), solid.offset.dot(solid.offset)
    d_axis, d_offset = ray.dot(solid.z), ray.dot(solid.offset)
    a = jnp.maximum(1.0 - d_axis * d_axis, 1e-7)
    b = d_offset - along * d_axis
    body = b * b - a * (square - along * along - radius2)
    height = along - (b + jnp.sqrt(jnp.maximum(body, _TINY))) / a * d_axis
    height = jnp.clip(height, -half, half)
    b = d_offset - height * d_axis
    sphere = b * b - (square - radius2 + height * (height - 2.0 * along))
    return -b - jnp.sqrt(jnp.maximum(sphere, _TINY)), (body > 0) & (sphere > 0)


def _reach_capsule(size: Vec, n: Vec) -> Array:
    return size.x + size.y * jnp.abs(n.z)


def _normal_capsule(size: Vec, p: Vec) -> Vec:
    return Vec(p.x, p.y, p.z - jnp.clip(p.z, -size.y, size.y))


def _enter_ellipsoid(solid: Solid, ray: Vec) -> tuple[Array, Array]:
    """In coordinates in which it is the unit sphere."""
    inverse = Vec(*(1.0 / jnp.maximum(s, _TINY) for s in solid.size))
    d, o = solid.local(ray).scaled(inverse), solid.local(solid.offset).scaled(inverse)
    a, b, miss = jnp.maximum(d.dot(d), _TINY), o.dot(d), o.cross(d)
    root = a - miss.dot(miss)  # b^2 - a (o.o - 1), which would lose all digits of a thin or distant one
    return (-b - jnp.sqrt(jnp.maximum(root, _TINY))) / a, root > 0


def _reach_ellipsoid(size: Vec, n: Vec) -> Array:
    n = n.scaled(size)
    return jnp.sqrt(jnp.maximum(n.dot(n), _TINY))


def _normal_ellipsoid(size: Vec, p: Vec) -> Vec:
    return Vec(*(x / jnp.maximum(s, _THIN) ** 2 for x, s in zip(p, size, strict=True)))


def _enter_cylinder(solid: Solid, ray: Vec) -> tuple[Array, Array]:
    """The stretch within the infinite cylinder, cut by the slab between the caps."""
    d, o, radius, half = solid.local(ray), solid.local(solid.offset), solid.size.x, solid.size.y
    a = jnp.maximum(d.x * d.x + d.y * d.y, 1e-9)
    b, c = o.x * d.x + o.y * d.y, o.x * o.x + o.y * o.y - radius * radius
    root = b * b - a * c
    half_chord = jnp.sqrt(jnp.maximum(root, _TINY)) / a
    middle, (low, high) = -b / a, _slab(o.z, d.z, half)
    enter, leave = jnp.maximum(middle - half_chord, low), jnp.minimum(middle + half_chord, high)
    return enter, (root > 0) & (enter < leave)


def _reach_cylinder(size: Vec, n: Vec) -> Array:
    flat = jnp.sqrt(jnp.maximum(n.x * n.x + n.y * n.y, _TINY))
    return size.x * flat + size.y * jnp.abs(n.z)


def _normal_cylinder(size: Vec, p: Vec) -> Vec:
    on_side = jnp.sqrt(jnp.maximum(p.x * p.x + p.y * p.y, _TINY)) - size.x >= jnp.abs(p.z) - size.y
    return Vec(jnp.where(on_side, p.x, 0.0), jnp.where(on_side, p.y, 0.0), jnp.where(on_side, 0.0, p.z))


def _enter_box(solid: Solid, ray: Vec) -> tuple[Array, Array]:
    slabs = [
        _slab(o, d, s)
        for o, d, s in zip(solid.local(solid.offset), solid.local(ray), solid.size, strict=True)
    ]
    (lx, hx), (ly, hy), (lz, hz) = slabs
    enter = jnp.maximum(jnp.maximum(lx, ly), lz)
    return enter, enter < jnp.minimum(jnp.minimum(hx, hy), hz)


def _slab(origin: Array, direction: Array, half: Array) -> tuple[Array, Array]:
    """Where a line is between -half and half of one coordinate."""
    safe = jnp.where(jnp.abs(direction) < 1e-9, 1e-9, direction)
    middle, spread = -origin / safe, half / jnp.abs(safe)
    return middle - spread, middle + spread


def _reach_box(size: Vec, n: Vec) -> Array:
    return size.x * jnp.abs(n.x) + size.y * jnp.abs(n.y) + size.z * jnp.abs(n.z)


def _normal_box(size: Vec, p: Vec) -> Vec:
    depth = Vec(*(jnp.abs(x) - s for x, s in zip(p, size, strict=True)))
    nearest = jnp.maximum(jnp.maximum(depth.x, depth.y), depth.z)
    on_x, on_y = depth.x >= nearest, depth.y >= nearest
    sides = (on_x, ~on_x & on_y, ~on_x & ~on_y)
    return Vec(*(jnp.where(on, jnp.where(x < 0, -1.0, 1.0), 0.0) for on, x in zip(sides, p, strict=True)))


# Kinds of solids by the name of the field of `Scene` that lists them; spheres are capsules without length.
SHAPES = {
    "capsules": Shape(_enter_capsule, _reach_capsule, _normal_capsule),
    "ellipsoids": Shape(_enter_ellipsoid, _reach_ellipsoid, _normal_ellipsoid),
    "cylinders": Shape(_enter_cylinder, _reach_cylinder, _normal_cylinder),
    "boxes": Shape(_enter_box, _reach_box, _normal_box),
}


def enter_plane(solid: Solid, ray: Vec) -> tuple[Array, Array]:
    """Where unit rays meet a plane's front; half lengths of 0 mean infinite."""
    slope = ray.dot(solid.z)
    front = slope < -1e-9
    distance = -solid.offset.dot(solid.z) / jnp.where(front, slope, -1.0)
    point = solid.offset.plus(ray.times(distance))
    for axis, half in ((solid.x, solid.size.x), (solid.y, solid.size.y)):
        front &= jnp.abs(point.dot(axis)) <= jnp.where(half > 0, half, jnp.inf)
    return distance, front
