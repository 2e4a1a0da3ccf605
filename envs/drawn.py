"""What every environment here does with its poses: coordinates that one scene draws from one camera."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8, UInt32

from envs.kinematics import Frames, Kinematics
from envs.types import State
from jaxrm.render import Camera, Scene, View, render
from jaxrm.types import Pose


class Drawn:
    """The part of `envs.types.Env` between a state and its picture.

    A subclass sets `scene`, `camera`, `episode_length` and `_kinematics`, and writes `_observe`.
    """

    scene: Scene
    camera: Camera
    episode_length: int
    _kinematics: Kinematics

    def _observe(self, physics: Any) -> Float[Array, "obs"]:
        raise NotImplementedError

    def _state(self, physics: Any, reward: Array, time: Array, key: Array, info: dict[str, Array]) -> State:
        """Of an episode that goes on, unless its time is over."""
        return State(
            data=physics,
            obs=self._observe(physics),
            reward=reward,
            terminated=jnp.bool_(False),
            truncated=time >= self.episode_length,
            time=time,
            key=key,
            info=info,
        )

    def _begin(self, physics: Any, reward: Array, key: Array) -> State:
        """The first state of an episode."""
        return self._state(physics, reward, jnp.int32(0), raw(key), {"nan_resets": jnp.int32(0)})

    def pose(self, state: State) -> Pose:
        return Pose(state.data.qpos, state.key)

    def pose_at(self, qpos: Float[Array, "nq"]) -> Pose:
        return Pose(jnp.asarray(qpos, float), jnp.zeros(2, jnp.uint32))

    def kinematics(self, pose: Pose) -> Frames:
        return self._kinematics(pose.qpos)

    def view(self, pose: Pose, camera: Camera | None = None) -> View:
        return self.scene.view(self.kinematics(pose), self.camera if camera is None else camera)

    def frame(self, pose: Pose, height: int, width: int) -> UInt8[Array, "h w 3"]:
        return render(self.scene, self.view(pose), height=height, width=width)


def raw(key: Array) -> UInt32[Array, "2"]:
    """A key of either kind as the numbers that it stands for."""
    return jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
