"""What lies between points and a light: hard shadows."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from jaxrm.render import trace
from jaxrm.render.scene import Scene
from jaxrm.render.vectors import Vec
from jaxrm.render.view import View


class Stadium(NamedTuple):
    """A capsule seen from a directional light: a segment in the light's (x, y), thick by the radius."""

    centre: Vec  # light coordinates; z points to the light
    axis: Vec
    inverse: Array  # 1 / |axis in (x, y)|^2
    half: Array
    radius2: Array


def shadowed(scene: Scene, view: View, light: int, points: Vec) -> Bool[Array, "pixels"]:
    """Whether capsules and spheres keep the light off `points` [pixels].

    Planes cast no shadow. As in MuJoCo, a directional light's shadows reach `scene.shadow_reach` to
    each side of it, and what is behind the light's position casts none.
    """
    if not scene.capsules:
        return jnp.zeros(points.x.shape, bool)
    if scene.lights.directional[light]:
        return _shadowed_by_sun(scene, view, light, points)
    return _shadowed_by_spot(scene, view, light, points)


def _shadowed_by_sun(scene: Scene, view: View, light: int, points: Vec) -> Bool[Array, "pixels"]:
    """In the light's own frame every shadow test is one of points against a segment in two dimensions.

    The line towards the light through a point meets the capsule where the point is within the
    stadium; as the capsule is convex and the point is not inside it, it lies wholly before or
    wholly behind the point, so any inner point on that line tells which.
    """
    ids = jnp.array(scene.capsules)
    frame = _frame_towards(-view.light_dir[light])
    origin = view.light_pos[light]
    centre, axis = Vec.of((view.geom_pos[ids] - origin) @ frame), Vec.of(view.geom_mat[ids][..., 2] @ frame)
    flat = axis.x**2 + axis.y**2
    geoms = Stadium(centre, axis, 1.0 / jnp.maximum(flat, 1e-7), scene.size[ids, 1], scene.size[ids, 0] ** 2)
    right, up, back = (Vec.of(frame[:, k]) for k in range(3))
    points = points.minus(Vec.of(origin))
    at = Vec(points.dot(right), points.dot(up), points.dot(back))

    def cover(dark: Array, c: Stadium) -> tuple[Array, None]:
        x, y = at.x - c.centre.x, at.y - c.centre.y
        height = jnp.clip((x * c.axis.x + y * c.axis.y) * c.inverse, -c.half, c.half)
        x, y, z = x - height * c.axis.x, y - height * c.axis.y, c.centre.z + height * c.axis.z
        return dark | ((x * x + y * y < c.radius2) & (z > at.z) & (z < 0)), None

    dark = jax.lax.scan(cover, jnp.zeros(points.x.shape, bool), geoms)[0]
    return dark & (jnp.maximum(jnp.abs(at.x), jnp.abs(at.y)) < scene.shadow_reach)


def _shadowed_by_spot(scene: Scene, view: View, light: int, points: Vec) -> Bool[Array, "pixels"]:
    """Whether the segment from a light at a point to `points` passes through a capsule.

    The rays start at the light, so the same test as for rays from the camera serves.
    """
    from_light = points.minus(Vec.of(view.light_pos[light]))
    reach = jnp.sqrt(jnp.maximum(from_light.dot(from_light), 1e-12))
    seen = trace.nearest_capsule(
        scene, view._replace(camera_pos=view.light_pos[light]), from_light.times(1 / reach)
    )
    return seen < reach * (1 - 1e-3)


def _frame_towards(direction: Array) -> Array:
    """An orthonormal frame (columns) whose z is the unit vector `direction`."""
    aside = jnp.where(jnp.abs(direction[2]) < 0.9, jnp.array([0.0, 0.0, 1.0]), jnp.array([1.0, 0.0, 0.0]))
    right = jnp.cross(aside, direction)
    right = right * jax.lax.rsqrt(jnp.maximum(jnp.sum(right * right), 1e-12))
    return jnp.stack([right, jnp.cross(direction, right), direction], axis=-1)
