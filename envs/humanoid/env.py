"""The humanoid as an environment: start, step, observation, drawing, judgement."""

import copy
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from mujoco import mjx

from envs import criteria, quaternion
from envs.drawn import Drawn
from envs.humanoid import body
from envs.humanoid.concepts import ALL
from envs.humanoid.meaning import Meaning, meaning_of
from envs.humanoid.measure import Measures, measure
from envs.kinematics import Kinematics
from envs.physics import Physics, is_sane, simulate
from envs.types import State
from jaxrm.render import Camera, Scene
from jaxrm.types import Pose

START_NOISE = 0.01  # rad, m and per second, uniform: Humanoid-v4's
MAX_SPEED = 200.0  # rad/s or m/s; beyond it the physics has come apart
ELSEWHERE = 0x656C7365  # stream of keys: starts of the task's own do not depend on whether there are others
VELOCITY_SCALE = 0.1  # keeps velocities in the observation near 1


class Humanoid(Drawn):
    """A task on the 17-actuator humanoid; see `envs.types.Env` for what the methods promise."""

    _start_elsewhere: tuple[Callable[[Array], Array], float] | None = None

    def __init__(
        self,
        name: str,
        goal: str,
        baseline: str,
        camera: Camera,
        bounds: tuple[criteria.Bound, ...],
        control: str,
        episode_length: int,
        skin: str = "robot",
    ):
        if episode_length < 1:
            raise ValueError(f"episode_length is {episode_length}; it must be at least 1")
        self.name, self.goal, self.baseline, self.camera = name, goal, baseline, camera
        self._judge_by(Meaning(bounds))
        self.episode_length = episode_length
        self.mj_model = body.make_spec(control, skin).compile()
        self.scene = Scene.from_mujoco(self.mj_model)
        self.action_size = self.mj_model.nu
        self._model = mjx.put_model(self.mj_model, impl="jax")
        self._data = mjx.make_data(self.mj_model, impl="jax")
        self._kinematics = Kinematics(self.mj_model)
        self._start = jnp.asarray(self.mj_model.qpos0).at[2].set(body.START_HEIGHT)
        low, high = self.mj_model.actuator_ctrlrange.T
        self._control_middle, self._control_reach = (
            jnp.asarray((low + high) / 2),
            jnp.asarray((high - low) / 2),
        )
        self.observation_size = self._observe(self._physics_at(self._start)).shape[0]

    def _judge_by(self, meaning: Meaning) -> None:
        self.bounds, self.denied = meaning
        # those that may count: where language knows all, its own, and tasks differ in their variables alone
        used = self.bounds + self.denied
        self.judged = ALL if set(used) <= set(ALL) else used
        self._chosen: Any = np.array([bound in self.bounds for bound in self.judged])
        self._denied: Any = np.array([bound in self.denied for bound in self.judged])

    @property
    def variables(self) -> Any:
        """Camera, and which bounds count for and against success."""
        return jax.tree.map(jnp.asarray, (self.camera, self._chosen, self._denied))

    def varied(self, variables: Any) -> "Humanoid":
        """The same body with another task's `variables`; they may be traced."""
        new = copy.copy(self)
        new.camera, new._chosen, new._denied = variables
        return new

    def told(self, sentence: str) -> "Humanoid":
        """The same body and camera, judged by what a sentence claims and denies; unchanged where nobody knows
        that."""
        meaning = meaning_of(sentence)
        if meaning is None:
            return self
        new = copy.copy(self)
        new.goal = sentence
        new._judge_by(meaning)
        return new

    def starting(self, elsewhere: Callable[[Array], Float[Array, "nq"]], share: float) -> "Humanoid":
        """The same task, of whose episodes a share starts where `elsewhere(key)` says: for training alone."""
        new = copy.copy(self)
        new._start_elsewhere = elsewhere, share
        return new

    def reset(self, key: Array) -> State:
        """Standing upright, or where `starting` says, with Humanoid-v4's noise."""
        key_qpos, key_qvel = jax.random.split(key)
        start = self._start
        if self._start_elsewhere is not None:
            elsewhere, share = self._start_elsewhere
            key_draw, key_whether = jax.random.split(jax.random.fold_in(key, ELSEWHERE))
            start = jnp.where(jax.random.bernoulli(key_whether, share), elsewhere(key_draw), start)
        qpos = start + _start_noise(key_qpos, self.mj_model.nq)
        qpos = qpos.at[3:7].divide(jnp.linalg.norm(qpos[3:7]))
        physics = self._physics_at(qpos)._replace(qvel=_start_noise(key_qvel, self.mj_model.nv))
        return self._begin(physics, self.progress(self.pose_at(qpos)), key)

    def step(self, state: State, action: Float[Array, "action"]) -> State:
        control = self._control_middle + self._control_reach * jnp.clip(action, -1, 1)
        physics = simulate(self._model, self._data, state.data, control, body.SUBSTEPS)
        bad = ~is_sane(physics, MAX_SPEED)
        physics = jax.tree.map(
            lambda new, start: jnp.where(bad, start, new), physics, self._physics_at(self._start)
        )
        info = state.info | {"nan_resets": state.info["nan_resets"] + bad}
        reward = self.progress(self.pose_at(physics.qpos))
        after = self._state(physics, reward, state.time + 1, state.key, info)
        return after._replace(terminated=bad)

    def _physics_at(self, qpos: Float[Array, "nq"]) -> Physics:
        still = jnp.zeros(self.mj_model.nv)
        return Physics(qpos, still, still)

    def _observe(self, physics: Physics) -> Float[Array, "obs"]:
        """Height, the torso's frame (the camera stands in the world's), joint angles, and velocities, the
        linear one in the torso's frame."""
        frame = quaternion.matrices(quaternion.unit(physics.qpos[3:7]))
        linear, angular_and_joints = physics.qvel[:3] @ frame, physics.qvel[3:] * VELOCITY_SCALE
        return jnp.concatenate(
            [physics.qpos[2:3], frame.reshape(9), physics.qpos[7:], linear, angular_and_joints]
        )

    def measures(self, pose: Pose) -> Measures:
        return measure(self.mj_model, self.kinematics(pose))

    def success(self, pose: Pose) -> Bool[Array, ""]:
        measures = self.measures(pose)
        denied = self._denied.any() & criteria.holds(self.judged, measures, self._denied)
        return criteria.holds(self.judged, measures, self._chosen) & ~denied

    def progress(self, pose: Pose) -> Float[Array, ""]:
        """`exp(-miss)`, see `criteria.degree`: 1 exactly where `success` holds; times 1 less that of what is
        denied, where anything is."""
        measures = self.measures(pose)
        denied = self._denied.any() * criteria.degree(self.judged, measures, self._denied)
        return criteria.degree(self.judged, measures, self._chosen) * (1 - denied)


def _start_noise(key: Array, size: int) -> Array:
    return jax.random.uniform(key, (size,), minval=-START_NOISE, maxval=START_NOISE)
