"""What tasks of classic control share: few numbers of state, equations of their own, MuJoCo for drawing."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Bool, Float

from envs.drawn import Drawn
from envs.kinematics import Kinematics
from envs.types import State
from jaxrm.render import Camera, Scene
from jaxrm.types import Pose


class Physics(NamedTuple):
    """Coordinates of the drawing's joints and their rates, metres or radians, and per second."""

    qpos: Float[Array, "*batch nq"]
    qvel: Float[Array, "*batch nq"]


class ClassicControl(Drawn):
    """The common part of `envs.types.Env`. A time limit truncates; nothing terminates.

    A subclass sets `name`, `goal`, `baseline`, `observation_size`, `action_size` and writes `_start`,
    `_advance`, `_observe`, `success`, `progress` and `sample`.
    """

    name: str
    goal: str
    baseline: str
    observation_size: int
    action_size: int

    def __init__(self, mj_model: mujoco.MjModel, camera: Camera, episode_length: int) -> None:
        if episode_length < 1:
            raise ValueError(f"episode_length is {episode_length}; it must be at least 1")
        self.mj_model, self.camera, self.episode_length = mj_model, camera, episode_length
        self.scene = Scene.from_mujoco(mj_model)
        self._kinematics = Kinematics(mj_model)

    def _start(self, key: Array) -> Physics:
        raise NotImplementedError

    def _advance(self, physics: Physics, action: Float[Array, "action"]) -> Physics:
        """One control step; `action` lies in [-1, 1]."""
        raise NotImplementedError

    def _reward(self, before: Physics, action: Array, after: Physics) -> Float[Array, ""]:
        """Of the state reached, unless a task says otherwise."""
        del before, action
        return self.progress(self.pose_at(after.qpos))

    def success(self, pose: Pose) -> Bool[Array, ""]:
        raise NotImplementedError

    def progress(self, pose: Pose) -> Float[Array, ""]:
        raise NotImplementedError

    def sample(self, key: Array) -> Float[Array, "nq"]:
        """Coordinates of any state that a task is about; for the training of reward models. Pure."""
        raise NotImplementedError

    def reset(self, key: Array) -> State:
        physics = self._start(jax.random.split(key)[1])
        reward = self._reward(physics, jnp.zeros(self.action_size), physics)
        return self._begin(physics, reward, key)

    def step(self, state: State, action: Float[Array, "action"]) -> State:
        action = jnp.clip(action, -1.0, 1.0)
        physics = self._advance(state.data, action)
        reward = self._reward(state.data, action, physics)
        return self._state(physics, reward, state.time + 1, state.key, state.info)


def pick_camera(camera: str | Camera, presets: dict[str, Camera]) -> Camera:
    """Raises ValueError where there is no preset of that name."""
    if isinstance(camera, Camera):
        return camera
    if camera not in presets:
        raise ValueError(f"camera must be one of {', '.join(presets)} or a Camera, not {camera!r}")
    return presets[camera]


def wrap_angle(angle: Array) -> Array:
    """To [-pi, pi)."""
    return jnp.mod(angle + jnp.pi, 2 * jnp.pi) - jnp.pi
