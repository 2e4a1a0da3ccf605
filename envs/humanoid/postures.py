"""Named postures of the humanoid and a sampler over everything between them.

A reward model trained on the named postures alone has valleys between them, which no policy crosses.
So most samples are mixtures; some are wild, off balance, in the air.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from envs.humanoid.contact import lowest
from envs.humanoid.env import Humanoid
from envs.quaternion import product


class Legs(NamedTuple):
    """Trunk and legs: joint angles in degrees, and the torso's forward lean.

    `right` and `left` are (hip_x, hip_z, hip_y, knee).
    """

    right: tuple[float, float, float, float]
    left: tuple[float, float, float, float] | None = None  # as the right
    bend: float = 0.0  # abdomen_y
    lean: float = 0.0


LEGS = {
    "standing": Legs((0, 0, 0, -2)),
    "kneeling": Legs((0, 0, 0, -90)),
    "kneeling apart": Legs((-15, -10, -10, -98), lean=5),
    "kneeling, sunk": Legs((-5, -5, -50, -125)),
    "sitting": Legs((0, 0, -90, -5)),
    "lotus": Legs((0, -60, -100, -157), bend=-45, lean=5),
    "squatting": Legs((-5, -10, -105, -125), bend=-15, lean=35),
    "half squat": Legs((-5, -5, -60, -75), bend=-5, lean=20),
    "splits": Legs((-5, -60, -88, -5)),
    "stance apart": Legs((-25, 0, 0, -5)),
    "on the back": Legs((0, 0, 0, -5), lean=-90),
    "face down": Legs((0, 0, 0, -5), lean=90),
    "bending": Legs((0, 0, -50, -5), bend=-55, lean=100),
    "on all fours": Legs((0, 0, -85, -90), lean=85),
    "right leg up": Legs((0, 0, -80, -100), (0, 0, 0, -2)),
    "left leg up": Legs((0, 0, 0, -2), (0, 0, -80, -100)),
    "right foot ahead": Legs((0, 0, -85, -88), (0, 0, 0, -92)),
    "left foot ahead": Legs((0, 0, 0, -92), (0, 0, -85, -88)),
    "stride": Legs((0, 0, -35, -25), (0, 0, 15, -20)),
}


class Arms(NamedTuple):
    """(shoulder1, shoulder2, elbow) in degrees; the left arm's are given as its mirror image's."""

    right: tuple[float, float, float]
    left: tuple[float, float, float] | None = None  # as the right


ARMS = {
    "hanging": Arms((35, -45, -80)),
    "raised": Arms((-85, 4.5, -73.3)),
    "sideways": Arms((-54.9, -44.1, -65.8)),
    "ahead": Arms((-2.1, 48.5, -90)),
    "at the hips": Arms((46.3, -71.8, -24.6)),
    "crossed": Arms((60, -5, -10), (60, -10, -30)),
    "crossed, the other way": Arms((60, -10, -30), (60, -5, -10)),
    "loose": Arms((0, 0, 0)),
}
MIRROR_ARM = np.array([-1.0, -1.0, 1.0])
LEG_JOINTS = ("hip_x", "hip_z", "hip_y", "knee")
ARM_JOINTS = ("shoulder1", "shoulder2", "elbow")


class Sampler:
    """Draws poses of a humanoid; `sample(key)` is pure and draws one."""

    def __init__(self, env: Humanoid):
        self.model = env.mj_model
        self._kinematics = env.kinematics
        self._pose_at = env.pose_at
        joints = [self.model.joint(index) for index in range(1, self.model.njnt)]
        self._names = [joint.name for joint in joints]
        self._low, self._high = jnp.array([joint.range for joint in joints]).T
        self._legs = jnp.stack([self.leg_joints(name) for name in LEGS])
        self._lean = jnp.deg2rad(jnp.array([legs.lean for legs in LEGS.values()]))
        self._arms = jnp.stack([self.arm_joints(name) for name in ARMS])

    def leg_joints(self, name: str) -> Float[Array, "joints"]:
        """Joint angles (rad, in qpos' order) of a named trunk and leg posture, arms zero."""
        legs = LEGS[name]
        angles = {"abdomen_y": legs.bend}
        for side, values in (("right", legs.right), ("left", legs.left or legs.right)):
            angles |= {f"{side}_{joint}": value for joint, value in zip(LEG_JOINTS, values, strict=True)}
        return self._joints(angles)

    def arm_joints(self, name: str) -> Float[Array, "joints"]:
        """Joint angles (rad, in qpos' order) of a named arm posture, the rest zero."""
        arms = ARMS[name]
        angles = {}
        for side, values in (("right", arms.right), ("left", np.array(arms.left or arms.right) * MIRROR_ARM)):
            angles |= {f"{side}_{joint}": value for joint, value in zip(ARM_JOINTS, values, strict=True)}
        return self._joints(angles)

    def _joints(self, angles: dict[str, float]) -> Float[Array, "joints"]:
        return jnp.deg2rad(jnp.array([float(angles.get(name, 0.0)) for name in self._names]))

    def qpos(self, joints: Array, lean: Array, roll: Array, yaw: Array, height: Array) -> Float[Array, "nq"]:
        """Puts a body of these joint angles on the floor, its lowest point at `height`."""
        turn = _about(2, yaw), _about(1, lean), _about(0, roll)
        quat = jnp.stack(product(product(turn[0], turn[1]), turn[2]))
        return self.settle(jnp.concatenate([jnp.array([0.0, 0.0, 1.0]), quat, joints]), height)

    def settle(self, qpos: Float[Array, "nq"], height: Array) -> Float[Array, "nq"]:
        """Joints within their ranges, the quaternion of unit norm, the lowest point at `height`."""
        quat = qpos[3:7] / jnp.linalg.norm(qpos[3:7])
        joints = jnp.clip(qpos[7:], self._low, self._high)
        qpos = jnp.concatenate([qpos[:3], quat, joints])
        return qpos.at[2].add(height - self.lowest(qpos))

    def lowest(self, qpos: Float[Array, "nq"]) -> Float[Array, ""]:
        """Height of the body's lowest point above the floor, metres; negative inside it."""
        return lowest(self.model, self._kinematics(self._pose_at(qpos)))

    def joints_and_lean(self, key: Array) -> tuple[Array, Array]:
        """Joint targets of a mixture of two leg and two arm postures, with noise; and the lean that fits."""
        keys = jax.random.split(key, 6)
        pair = jax.random.randint(keys[0], (2,), 0, len(LEGS))
        share = _share(keys[1])
        legs = self._legs[pair[0]] * (1 - share) + self._legs[pair[1]] * share
        lean = self._lean[pair[0]] * (1 - share) + self._lean[pair[1]] * share
        arms = self._mixed_arms(keys[2], keys[3])
        sigma = jax.random.choice(keys[4], jnp.array([0.02, 0.08, 0.2, 0.4]))
        noise = sigma * jax.random.normal(keys[5], legs.shape)
        return jnp.clip(legs + arms + noise, self._low, self._high), lean

    def _mixed_arms(self, key: Array, key_side: Array) -> Float[Array, "joints"]:
        """Both arms alike in two thirds of the draws, else each its own mixture."""

        def mixture(key: Array) -> Array:
            pick, share = jax.random.split(key)
            pair = jax.random.randint(pick, (2,), 0, len(ARMS))
            weight = _share(share)
            return self._arms[pair[0]] * (1 - weight) + self._arms[pair[1]] * weight

        one, other = jax.vmap(mixture)(jax.random.split(key))
        is_left = jnp.array([name.startswith("left") for name in self._names])
        alone = jax.random.bernoulli(key_side, 1 / 3)
        return jnp.where(is_left & alone, other, one)

    def sample(self, key: Array) -> Float[Array, "nq"]:
        """One pose: a mixture of postures, sometimes tilted, wild or in the air."""
        keys = jax.random.split(key, 8)
        joints, lean = self.joints_and_lean(keys[0])
        wild = jax.random.bernoulli(keys[1], 0.1)
        anything = jax.random.uniform(keys[2], joints.shape, minval=self._low, maxval=self._high)
        joints = jnp.where(wild, anything, joints)
        tilt = jax.random.choice(keys[3], jnp.array([0.03, 0.15, 0.5, 1.5])) * jax.random.normal(
            keys[4], (2,)
        )
        yaw = jax.random.uniform(keys[5], (), minval=-jnp.pi, maxval=jnp.pi)
        height = jnp.where(jax.random.bernoulli(keys[6], 0.85), 0.0, 0.25 * jax.random.uniform(keys[7]))
        return self.qpos(joints, lean + tilt[0], tilt[1], yaw, height)


def turn(qpos: Float[Array, "nq"], yaw: Array) -> Float[Array, "nq"]:
    """The same pose, turned about the vertical through the origin of its own coordinates."""
    return qpos.at[3:7].set(jnp.stack(product(_about(2, yaw), qpos[3:7])))


def _share(key: Array) -> Float[Array, ""]:
    """How much of the second posture: none in a third of the draws, else uniform."""
    pure, value = jax.random.uniform(key, (2,))
    return jnp.where(pure < 1 / 3, 0.0, value)


def _about(axis: int, angle: Array) -> Float[Array, "4"]:
    return jnp.zeros(4).at[0].set(jnp.cos(angle / 2)).at[1 + axis].set(jnp.sin(angle / 2))
