"""Lights: what they are, read from a model, and where they are at a pose."""

import dataclasses
import warnings
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
        kinds = mujoco.mjtLightType
        # MuJoCo's own renderer leaves point lights out; here they shine to all sides
        cutoff = np.where(m.light_type == kinds.mjLIGHT_POINT, 180.0, m.light_cutoff)
        image = m.light_type == kinds.mjLIGHT_IMAGE
        for i in np.flatnonzero(image & (m.light_active != 0)):
            warnings.warn(f"light {m.light(i).name or i!r} of type image is not drawn", stacklevel=4)
        return cls(
            ambient=jnp.asarray(m.light_ambient, jnp.float32).reshape(-1, 3),
            diffuse=jnp.asarray(m.light_diffuse, jnp.float32).reshape(-1, 3),
            specular=jnp.asarray(m.light_specular, jnp.float32).reshape(-1, 3),
            attenuation=jnp.asarray(m.light_attenuation, jnp.float32).reshape(-1, 3),
            cutoff=jnp.asarray(cutoff, jnp.float32),
            exponent=jnp.asarray(m.light_exponent, jnp.float32),
            headlight=jnp.asarray(headlight, jnp.float32),
            directional=tuple(bool(t == kinds.mjLIGHT_DIRECTIONAL) for t in m.light_type),
            shadow=tuple(bool(flag) for flag in m.light_castshadow),
            active=tuple(bool(flag) for flag in (m.light_active != 0) & ~image),
        )


@dataclasses.dataclass(frozen=True)
class LightRig:
    """How lights hang on bodies: MuJoCo computes their positions, MJX does not, so we do.

    Static and compared by value, so that scenes of the same model share compiled programs. Tuples
    with an entry per light; points and directions are triples.
    """

    mode: tuple[int, ...]
    body: tuple[int, ...]
    target: tuple[int, ...]
    pos: tuple[tuple[float, ...], ...]
    dir: tuple[tuple[float, ...], ...]
    pos0: tuple[tuple[float, ...], ...]
    dir0: tuple[tuple[float, ...], ...]
    poscom0: tuple[tuple[float, ...], ...]

    @classmethod
    def from_mujoco(cls, m: mujoco.MjModel) -> "LightRig":
        def triples(rows: np.ndarray) -> tuple[tuple[float, ...], ...]:
            return tuple(tuple(float(x) for x in row) for row in rows.reshape(-1, 3))

        return cls(
            mode=tuple(int(mode) for mode in m.light_mode),
            body=tuple(int(body) for body in m.light_bodyid),
            target=tuple(int(body) for body in m.light_targetbodyid),
            pos=triples(m.light_pos),
            dir=triples(m.light_dir),
            pos0=triples(m.light_pos0),
            dir0=triples(m.light_dir0),
            poscom0=triples(m.light_poscom0),
        )

    def place(self, data: Any) -> tuple[Float[Array, "lights 3"], Float[Array, "lights 3"]]:
        """Positions and unit directions after kinematics (`com_pos` too for lights in com modes)."""
        if not self.mode:
            return jnp.zeros((0, 3)), jnp.zeros((0, 3))
        pos, direction = zip(*[self._place_one(data, i) for i in range(len(self.mode))], strict=True)
        return jnp.stack(pos), jnp.stack(direction)

    def _place_one(self, data: Any, i: int) -> tuple[Array, Array]:
        mode, body = self.mode[i], self.body[i]
        if mode == _MODE.mjCAMLIGHT_TRACK:
            return data.xpos[body] + jnp.array(self.pos0[i]), jnp.array(self.dir0[i])
        if mode == _MODE.mjCAMLIGHT_TRACKCOM:
            return data.subtree_com[body] + jnp.array(self.poscom0[i]), jnp.array(self.dir0[i])
        frame = jnp.asarray(data.xmat[body]).reshape(3, 3)
        pos = data.xpos[body] + frame @ jnp.array(self.pos[i])
        if mode == _MODE.mjCAMLIGHT_FIXED or self.target[i] < 0:
            return pos, frame @ jnp.array(self.dir[i])
        com = mode == _MODE.mjCAMLIGHT_TARGETBODYCOM
        aim = (data.subtree_com if com else data.xpos)[self.target[i]] - pos
        return pos, aim * jax.lax.rsqrt(jnp.maximum(jnp.sum(aim * aim), 1e-20))
