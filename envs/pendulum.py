"""Gymnasium's Pendulum-v1 in JAX: swing a rod up and hold it; MuJoCo only draws it.

Equations, limits, reward and time limit are those of `gymnasium.envs.classic_control.pendulum`.
"""

import jax
import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Bool, Float

from envs.classic import ClassicControl, Physics, wrap_angle
from jaxrm.render import Camera
from jaxrm.types import Pose

GRAVITY = 10.0  # m/s^2
MASS = 1.0  # kg
LENGTH = 1.0  # m
TIME_STEP = 0.05  # s
MAX_SPEED = 8.0  # rad/s
MAX_TORQUE = 2.0  # N m
EPISODE_LENGTH = 200  # steps
UPRIGHT = 0.2  # rad: within this of upright counts as success

# A hinge at 1.5 m about the y axis; angle 0 points up and grows clockwise as the camera sees it.
_DRAWING = """
<mujoco model="pendulum">
  <visual><headlight ambient=".3 .3 .3" diffuse=".4 .4 .4" specular="0 0 0"/></visual>
  <asset>
    <texture type="skybox" builtin="gradient" rgb1=".75 .85 .95" rgb2=".35 .5 .7" width="64" height="64"/>
  </asset>
  <worldbody>
    <light directional="true" pos="0 -2 4" dir=".2 .4 -1" diffuse=".6 .6 .6"/>
    <camera name="side" pos="0 -4 1.5" xyaxes="1 0 0 0 0 1" fovy="45"/>
    <geom name="floor" type="plane" size="4 4 .1" rgba=".55 .6 .65 1"/>
    <body pos="0 0 1.5">
      <geom name="axle" type="sphere" size=".08" rgba=".1 .1 .1 1" contype="0" conaffinity="0"/>
      <body name="rod">
        <joint name="hinge" type="hinge" axis="0 1 0"/>
        <geom name="rod" type="capsule" fromto="0 0 0 0 0 1" size=".07" mass="1" rgba=".8 .3 .3 1"
              contype="0" conaffinity="0"/>
      </body>
    </body>
  </worldbody>
</mujoco>
"""


class Pendulum(ClassicControl):
    """The task `pendulum`; implements `envs.types.Env`."""

    name = "pendulum"
    goal = "a pendulum pointing straight up"
    baseline = "a pendulum"
    observation_size = 3
    action_size = 1

    def __init__(self) -> None:
        camera = Camera(position=(0.0, -4.0, 1.5), target=(0.0, 0.0, 1.5), fovy=45.0)
        super().__init__(mujoco.MjModel.from_xml_string(_DRAWING), camera, EPISODE_LENGTH)

    def _start(self, key: Array) -> Physics:
        """Any angle, speed up to 1 rad/s, uniform, as in Gymnasium."""
        limits = jnp.array([jnp.pi, 1.0])
        angle, speed = jax.random.uniform(key, (2,), minval=-limits, maxval=limits)
        return Physics(angle[None], speed[None])

    def _advance(self, physics: Physics, action: Float[Array, "1"]) -> Physics:
        """One step of 0.05 s; the action is the torque over 2 N m."""
        angle, speed = physics
        gravity = 3 * GRAVITY / (2 * LENGTH) * jnp.sin(angle)
        acceleration = gravity + 3 / (MASS * LENGTH**2) * MAX_TORQUE * action
        speed = jnp.clip(speed + acceleration * TIME_STEP, -MAX_SPEED, MAX_SPEED)
        return Physics(angle + speed * TIME_STEP, speed)

    def _observe(self, physics: Physics) -> Float[Array, "3"]:
        return jnp.concatenate([jnp.cos(physics.qpos), jnp.sin(physics.qpos), physics.qvel])

    def _reward(self, before: Physics, action: Array, after: Physics) -> Float[Array, ""]:
        """Gymnasium's: minus the cost of the state left and of the torque used."""
        del after
        torque = MAX_TORQUE * action
        return -(wrap_angle(before.qpos) ** 2 + 0.1 * before.qvel**2 + 0.001 * torque**2)[0]

    def success(self, pose: Pose) -> Bool[Array, ""]:
        """Within 0.2 rad of upright."""
        return jnp.abs(wrap_angle(pose.qpos[0])) <= UPRIGHT

    def progress(self, pose: Pose) -> Float[Array, ""]:
        """1 within 0.2 rad of upright, falling linearly to 0 where the rod hangs."""
        distance = jnp.abs(wrap_angle(pose.qpos[0]))
        return jnp.clip((jnp.pi - distance) / (jnp.pi - UPRIGHT), 0.0, 1.0)

    def sample(self, key: Array) -> Float[Array, "1"]:
        """Any angle."""
        return jax.random.uniform(key, (1,), minval=-jnp.pi, maxval=jnp.pi)


def make() -> Pendulum:
    return Pendulum()
