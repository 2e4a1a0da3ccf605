"""Lights: what they are, read from a model, and where they are at a pose."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Float

_MODE = mujoco.mjtCamLight


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Lights:
    """The lights of a model, in its order, and the headlight, which shines along the line of sight.

    Attributes:
      ambient, diffuse, specular: colours [lights, 3].
      attenuation: constant, linear and quadratic fall-off of spot lights, per metre.
      cutoff: half angle of a spot light's cone, degrees; beyond 90 it is a point light.
      exponent: how a spot light fades from its axis.
      headlight: ambient, diffuse and specular colours; zeros where it is off.
      directional, shadow, active: one flag per light.
    """

    ambient: Float[Array, "lights 3"]
    diffuse: Float[Array, "lights 3"]
    specular: Float[Array, "lights 3"]
    attenuation: Float[Array, "lights 3"]
    cutoff: Float[Array, "lights"]
    exponent: Float[Array, "lights"]
    headlight: Float[Array, "3 3"]
    directional: tuple[bool, ...] = dataclasses.field(metadata={"static": True})
    shadow: tuple[bool, ...] = dataclasses.field(metadata={"static": True})
    active: tuple[bool, ...] = dataclasses.field(metadata={"static": True})

    @classmethod
    def from_mujoco(cls, m: mujoco.MjModel) -> "Lights":
        head = m.vis.headlight
        headlight = np.stack([head.ambient, head.diffuse, head.specular]) * bool(head.active)
        if not head.active and not np.any(m.light_active):
            headlight = np.array([[0.3] * 3, [0.0] * 3, [0.0] * 3])  # MuJoCo's light where there is none
        return cls(
            ambient=jnp.asarray(m.light_ambient, jnp.float32).reshape(-1, 3),
            diffuse=jnp.asarray(m.light_diffuse, jnp.float32).reshape(-1, 3),
            specular=jnp.asarray(m.light_specular, jnp.float32).reshape(-1, 3),
            attenuation=jnp.asarray(m.light_attenuation, jnp.float32).reshape(-1, 3),
            cutoff=jnp.asarray(m.light_cutoff, jnp.float32),
            exponent=jnp.asarray(m.light_exponent, jnp.float32),
            headlight=jnp.asarray(headlight, jnp.float32),
            directional=tuple(bool(t == mujoco.mjtLightType.mjLIGHT_DIRECTIONAL) for t in m.light_type),
            shadow=tuple(bool(flag) for flag in m.light_castshadow),
            active=tuple(bool(flag) for flag in m.light_active),
        )


class LightRig:
    """How lights hang on bodies: MuJoCo computes their positions, MJX does not, so we do.

    Static: built once from a model and compared by identity inside compiled functions.
    """

    def __init__(self, m: mujoco.MjModel):
        self.mode = tuple(int(mode) for mode in m.light_mode)
        self.body = tuple(int(body) for body in m.light_bodyid)
        self.target = tuple(int(body) for body in m.light_targetbodyid)
        self.pos, self.dir = np.array(m.light_pos, np.float32), np.array(m.light_dir, np.float32)
        self.pos0, self.dir0 = np.array(m.light_pos0, np.float32), np.array(m.light_dir0, np.float32)
        self.poscom0 = np.array(m.light_poscom0, np.float32)

    def place(self, data: Any) -> tuple[Float[Array, "lights 3"], Float[Array, "lights 3"]]:
        """Positions and unit directions after `mjx.kinematics` (`com_pos` too for lights in com modes)."""
        if not self.mode:
            return jnp.zeros((0, 3)), jnp.zeros((0, 3))
        pos, direction = zip(*[self._place_one(data, i) for i in range(len(self.mode))], strict=True)
        return jnp.stack(pos), jnp.stack(direction)

    def _place_one(self, data: Any, i: int) -> tuple[Array, Array]:
        mode, body = self.mode[i], self.body[i]
        if mode == _MODE.mjCAMLIGHT_TRACK:
            return data.xpos[body] + self.pos0[i], jnp.asarray(self.dir0[i])
        if mode == _MODE.mjCAMLIGHT_TRACKCOM:
            return data.subtree_com[body] + self.poscom0[i], jnp.asarray(self.dir0[i])
        frame = jnp.asarray(data.xmat[body]).reshape(3, 3)
        pos = data.xpos[body] + frame @ self.pos[i]
        if mode == _MODE.mjCAMLIGHT_FIXED or self.target[i] < 0:
            return pos, frame @ self.dir[i]
        com = mode == _MODE.mjCAMLIGHT_TARGETBODYCOM
        aim = (data.subtree_com if com else data.xpos)[self.target[i]] - pos
        return pos, aim * jax.lax.rsqrt(jnp.maximum(jnp.sum(aim * aim), 1e-20))
