"""Where bodies and geoms are at one pose: MuJoCo's forward kinematics in few array operations.

`mjx.kinematics` writes the tree out joint by joint, thousands of operations for a humanoid, and every
program that draws, measures or differentiates a pose compiles them. Here all joints turn at once, and frames
are joined to those of their ancestors by doubling: each round every body takes its ancestor's frame and then
looks twice as far up, so that the depth of the tree counts by its logarithm.

A frame is seven numbers, position and quaternion (w, x, y, z). Frames lie with their components first,
[7, n]: what is done to one is done to all in one vector operation.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Float

from envs import quaternion

_JOINT = mujoco.mjtJoint
_FREE, _BALL, _SLIDE, _HINGE = _JOINT.mjJNT_FREE, _JOINT.mjJNT_BALL, _JOINT.mjJNT_SLIDE, _JOINT.mjJNT_HINGE
_STILL = np.array([0.0, 0, 0, 1, 0, 0, 0])  # the frame that moves nothing

FramesArray = Float[Array, "7 n"]


class Frames(NamedTuple):
    """Positions in the world, metres, and rotation matrices; names as in MuJoCo."""

    xpos: Float[Array, "bodies 3"]
    xmat: Float[Array, "bodies 3 3"]
    geom_xpos: Float[Array, "geoms 3"]
    geom_xmat: Float[Array, "geoms 3 3"]


class Kinematics:
    """Forward kinematics of one model; a call is pure and looks at one pose.

    Raises:
      ValueError: the model has mocap bodies.
    """

    def __init__(self, m: mujoco.MjModel):
        if m.nmocap:
            raise ValueError("mocap bodies are placed from outside: use mjx.kinematics")
        self._joints = _Joints(m)
        self._bodies = np.concatenate([m.body_pos, m.body_quat], axis=1).T
        self._bodies[:, m.jnt_bodyid[m.jnt_type == _FREE]] = _STILL[:, None]  # their joint says it all
        self._geoms = np.concatenate([m.geom_pos, m.geom_quat], axis=1).T
        self._geom_bodies = m.geom_bodyid.copy()
        self._ancestors = _doubled(m.body_parentid)

    def __call__(self, qpos: Float[Array, "nq"], moved: dict[int, Any] | None = None) -> Frames:
        """Frames at `qpos`, in its precision; quaternions need no unit norm, and one of zeros turns nothing.

        Args:
          moved: body -> frame [7] in its parent's, in place of the model's own; not of free bodies.
        """
        bodies = jnp.asarray(self._bodies, qpos.dtype)
        for body, frame in (moved or {}).items():
            bodies = bodies.at[:, body].set(frame)
        bodies = self._joints.bend(bodies, qpos)
        for ancestors in self._ancestors:
            bodies = _join(_take(bodies, ancestors), bodies)
        geoms = _join(_take(bodies, self._geom_bodies), jnp.asarray(self._geoms, qpos.dtype))
        return Frames(
            bodies[:3].T, quaternion.matrices(bodies[3:]), geoms[:3].T, quaternion.matrices(geoms[3:])
        )


class _Joints:
    """The joints of all bodies; `slots[k]` has every body's k-th, or the last place, where nothing moves."""

    def __init__(self, m: mujoco.MjModel):
        kind, first = m.jnt_type, m.jnt_qposadr.copy()
        self._first, self._rest = first, m.qpos0[first]
        self._axis, self._anchor = m.jnt_axis.T.copy(), m.jnt_pos.T.copy()
        self._hinge, self._slide = kind == _HINGE, kind == _SLIDE
        self._free = np.flatnonzero(kind == _FREE)
        self._round = np.flatnonzero((kind == _BALL) | (kind == _FREE))
        self._quats = first[self._round] + np.where(kind[self._round] == _FREE, 3, 0) + np.arange(4)[:, None]
        places = np.arange(m.body_jntnum.max(initial=0))[:, None]
        self._slots = np.where(places < m.body_jntnum, m.body_jntadr + places, m.njnt)

    def bend(self, bodies: FramesArray, qpos: Float[Array, "nq"]) -> FramesArray:
        """The bodies' own frames, moved by their joints one after the other."""
        moves = jnp.concatenate([self._moves(qpos), jnp.asarray(_STILL[:, None], qpos.dtype)], axis=1)
        for slot in self._slots:
            bodies = _join(bodies, _take(moves, slot))
        return bodies

    def _moves(self, qpos: Float[Array, "nq"]) -> FramesArray:
        axis, anchor = jnp.asarray(self._axis, qpos.dtype), jnp.asarray(self._anchor, qpos.dtype)
        bent = qpos[self._first] - jnp.asarray(self._rest, qpos.dtype)
        half = jnp.where(self._hinge, bent, 0) / 2
        turn = jnp.concatenate([jnp.cos(half)[None], axis * jnp.sin(half)])
        if len(self._round):
            quats = qpos[self._quats]
            square = (quats**2).sum(axis=0)
            none = square == 0  # as in MuJoCo, no turn
            unit = quats / jnp.sqrt(jnp.where(none, 1, square))
            turn = turn.at[:, self._round].set(unit.at[0].add(none))
        # about the anchor: to it, turned, and back
        shift = anchor - jnp.stack(_rotate(turn, anchor)) + axis * jnp.where(self._slide, bent, 0)
        if len(self._free):
            shift = shift.at[:, self._free].set(qpos[self._first[self._free] + np.arange(3)[:, None]])
        return jnp.concatenate([shift, turn])


def _doubled(parents: np.ndarray) -> list[np.ndarray]:
    """Of every body its ancestor 1, 2, 4, ... levels up, until all are the world, body 0."""
    rounds = [parents.copy()]
    while rounds[-1].any():
        rounds.append(rounds[-1][rounds[-1]])
    return rounds[:-1]


def _take(frames: FramesArray, index: np.ndarray) -> FramesArray:
    """`frames[:, index]` as a product, which is computed once.

    XLA fuses a gather into each of its uses, and every round would compute the rounds before anew for each
    of them. The slope of a product is a product, too, and no scatter.
    """
    pick = np.eye(frames.shape[1])[:, index]
    return jnp.matmul(frames, jnp.asarray(pick, frames.dtype), precision="highest")


def _join(outer: FramesArray, inner: FramesArray) -> FramesArray:
    """The frames `inner`, given in the frames `outer`, in what those are given in."""
    turned = _rotate(outer[3:], inner[:3])
    return jnp.stack(
        [
            *(here + there for here, there in zip(outer[:3], turned, strict=True)),
            *quaternion.product(outer[3:], inner[3:]),
        ]
    )


def _rotate(turn: Float[Array, "4 n"], v: Float[Array, "3 n"]) -> list[Array]:
    """Components of v + 2 u x (u x v + w v), u the vector part."""
    w, *u = turn
    inner = [c + w * x for c, x in zip(_cross(u, v), v, strict=True)]
    return [x + 2 * c for x, c in zip(v, _cross(u, inner), strict=True)]


def _cross(a: Any, b: Any) -> list[Array]:
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
