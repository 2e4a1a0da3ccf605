"""Cameras of the user's own, beside those that a model brings."""

import dataclasses
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Bool, Float

Point = Sequence[float] | Float[Array, "3"]

DEFAULT_FOVY = 45.0  # degrees, MuJoCo's own default


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Camera:
    """A camera that looks from `position` to `target`.

    Attributes:
      position: the eye, metres; in world coordinates, or relative to `body`.
      target: what is in the middle of the frame; likewise.
      fovy: vertical field of view, degrees.
      up: the direction that is up in the frame; where it is parallel to the line of sight,
        the world's y axis takes its place.
      body: name of a body that the camera follows (its position, not its orientation).
      level: follow `body` horizontally only; the z of `position` and `target` are then heights
        in the world.
    """

    position: Point
    target: Point
    fovy: float = DEFAULT_FOVY
    up: Point = (0.0, 0.0, 1.0)
    body: str | None = dataclasses.field(default=None, metadata={"static": True})
    level: bool = dataclasses.field(default=False, metadata={"static": True})

    @classmethod
    def free(
        cls,
        distance: float,
        azimuth: float,
        elevation: float,
        lookat: Sequence[float] = (0.0, 0.0, 0.0),
        body: str | None = None,
        level: bool = False,
        fovy: float = DEFAULT_FOVY,
    ) -> "Camera":
        """MuJoCo's free camera (`mjvCamera`).

        Args:
          distance: from eye to `lookat`, metres.
          azimuth: degrees; at 0 the camera looks along +x, at 90 along +y.
          elevation: degrees; negative looks down.
          lookat: a point in the world or, with `body`, an offset from that body's position.
          body: name of the body to follow.
          level: with `body`: follow horizontally only; the z of `lookat` is a height in the world.
          fovy: vertical field of view, degrees.
        """
        a, e = math.radians(azimuth), math.radians(elevation)
        forward = (math.cos(a) * math.cos(e), math.sin(a) * math.cos(e), math.sin(e))
        up = (-math.cos(a) * math.sin(e), -math.sin(a) * math.sin(e), math.cos(e))
        position = tuple(at - distance * step for at, step in zip(lookat, forward, strict=True))
        return cls(position, tuple(lookat), fovy, up, body, level)

    def mirrored(self) -> "Camera":
        """Its mirror image across the world's plane y = 0, or that through the body which it follows."""
        across = jnp.array([1.0, -1.0, 1.0])
        eye, target, up = (jnp.asarray(x) * across for x in (self.position, self.target, self.up))
        return dataclasses.replace(self, position=eye, target=target, up=up)

    def placed(self, body_pos: Float[Array, "3"] | None) -> tuple[Float[Array, "3"], Float[Array, "3 3"]]:
        """Position and frame in the world; `body_pos` is where the followed body is."""
        offset = jnp.zeros(3) if body_pos is None else jnp.asarray(body_pos, jnp.float32)
        if self.level:
            offset = offset * jnp.array([1.0, 1.0, 0.0])
        position = jnp.asarray(self.position, jnp.float32)
        target = jnp.asarray(self.target, jnp.float32)
        # the frame from the offsets, not from world positions: exact however far away the body is
        return position + offset, _look_along(target - position, jnp.asarray(self.up, jnp.float32))


def _look_along(forward: Float[Array, "3"], up: Float[Array, "3"]) -> Float[Array, "3 3"]:
    """A camera frame (columns right, up, backward) for a line of sight."""
    back = -_unit(forward)
    right = jnp.cross(up, back)
    parallel = jnp.sum(right * right) < 1e-8
    right = _unit(jnp.where(parallel, jnp.cross(jnp.array([0.0, 1.0, 0.0]), back), right))
    return jnp.stack([right, jnp.cross(back, right), back], axis=-1)


def _unit(v: Float[Array, "3"]) -> Float[Array, "3"]:
    return v * jax.lax.rsqrt(jnp.maximum(jnp.sum(v * v), 1e-20))


def plain_cameras(m: mujoco.MjModel) -> Bool[np.ndarray, "cameras"]:
    """Which of a model's cameras are perspective ones without lens intrinsics: all that can be drawn."""
    perspective = m.cam_projection == mujoco.mjtProjection.mjPROJ_PERSPECTIVE
    return perspective & np.all(m.cam_sensorsize == 0, axis=-1)
