"""Gymnasium's Pendulum-v1 in JAX: swing a rod up and hold it; MuJoCo only draws it.

Equations, limits, reward and time limit are those of `gymnasium.envs.classic_control.pendulum`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Bool, Float, UInt8
from mujoco import mjx

from envs.types import State
from jaxrm.render import Camera, Scene, render
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


class Physics(NamedTuple):
    """Angle [1] in rad, 0 upright, not wrapped; angular speed [1] in rad/s."""

    qpos: Float[Array, "*batch 1"]
    qvel: Float[Array, "*batch 1"]


class Pendulum:
    """The task `pendulum`; implements `envs.types.Env`."""

    name = "pendulum"
    goal = "a pendulum pointing straight up"
    baseline = "a pendulum"
    observation_size = 3
    action_size = 1
    episode_length = EPISODE_LENGTH

    def __init__(self) -> None:
        self.camera = Camera(position=(0.0, -4.0, 1.5), target=(0.0, 0.0, 1.5), fovy=45.0)
        self.mj_model = mujoco.MjModel.from_xml_string(_DRAWING)
        self._scene = Scene.from_mujoco(self.mj_model)
        self._model = mjx.put_model(self.mj_model)
        self._data = mjx.make_data(self._model)

    def reset(self, key: Array) -> State:
        """Any angle, speed up to 1 rad/s, uniform, as in Gymnasium."""
        episode_key, start_key = jax.random.split(key)
        limits = jnp.array([jnp.pi, 1.0])
        angle, speed = jax.random.uniform(start_key, (2,), minval=-limits, maxval=limits)
        data = Physics(angle[None], speed[None])
        return State(
            data=data,
            obs=_observe(data),
            reward=jnp.zeros_like(angle),
            terminated=jnp.zeros((), bool),
            truncated=jnp.zeros((), bool),
            time=jnp.zeros((), jnp.int32),
            key=episode_key,
            info={"nan_resets": jnp.zeros((), jnp.int32)},
        )

    def step(self, state: State, action: Float[Array, "1"]) -> State:
        """One step of 0.05 s; `action` in [-1, 1] is the torque over 2 N m.

        The reward is Gymnasium's: minus the cost of the state left and of the torque used.
        """
        angle, speed = state.data.qpos, state.data.qvel
        torque = MAX_TORQUE * jnp.clip(action, -1.0, 1.0)
        cost = _wrap(angle) ** 2 + 0.1 * speed**2 + 0.001 * torque**2
        acceleration = 3 * GRAVITY / (2 * LENGTH) * jnp.sin(angle) + 3 / (MASS * LENGTH**2) * torque
        speed = jnp.clip(speed + acceleration * TIME_STEP, -MAX_SPEED, MAX_SPEED)
        data = Physics(angle + speed * TIME_STEP, speed)
        time = state.time + 1
        return state._replace(
            data=data,
            obs=_observe(data),
            reward=-cost[0],
            truncated=time >= self.episode_length,
            time=time,
        )

    def pose(self, state: State) -> Pose:
        return Pose(state.data.qpos, state.key)

    def pose_at(self, qpos: Float[Array, "1"]) -> Pose:
        return Pose(jnp.asarray(qpos), jnp.zeros(2, jnp.uint32))

    def frame(self, pose: Pose, height: int, width: int) -> UInt8[Array, "h w 3"]:
        """Draws the rod from the side, upright at the top of the picture."""
        data = mjx.kinematics(self._model, self._data.replace(qpos=pose.qpos))
        return render(self._scene, self._scene.view(data, camera=self.camera), height=height, width=width)

    def success(self, pose: Pose) -> Bool[Array, ""]:
        """Within 0.2 rad of upright."""
        return jnp.abs(_wrap(pose.qpos[0])) <= UPRIGHT

    def progress(self, pose: Pose) -> Float[Array, ""]:
        """1 within 0.2 rad of upright, falling linearly to 0 where the rod hangs."""
        distance = jnp.abs(_wrap(pose.qpos[0]))
        return jnp.clip((jnp.pi - distance) / (jnp.pi - UPRIGHT), 0.0, 1.0)


def make() -> Pendulum:
    return Pendulum()


def _wrap(angle: Array) -> Array:
    """To [-pi, pi)."""
    return jnp.mod(angle + jnp.pi, 2 * jnp.pi) - jnp.pi


def _observe(data: Physics) -> Float[Array, "3"]:
    return jnp.concatenate([jnp.cos(data.qpos), jnp.sin(data.qpos), data.qvel])
