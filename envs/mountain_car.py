"""Gymnasium's MountainCarContinuous-v0 in JAX: rock out of a valley, up to a flag; MuJoCo only draws it.

Equations, limits, start and time limit are those of
`gymnasium.envs.classic_control.continuous_mountain_car`. As in VLM-RM (arXiv 2310.12921) the goal does not
end the episode: a car that has reached it stays there.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from envs import mountain
from envs.classic import ClassicControl, Physics, pick_camera
from envs.kinematics import Frames
from jaxrm.render import Camera
from jaxrm.types import Pose

LEFT, RIGHT = -1.2, 0.6  # of the road
GOAL = 0.45
MAX_SPEED = 0.07  # a step
POWER = 0.0015  # of the engine, a step^2
GRAVITY = 0.0025  # a step^2
START = (-0.6, -0.4)
EPISODE_LENGTH = 999  # steps
CAMERAS = {"front": Camera(position=(-0.3, -3.0, 1.3), target=(-0.3, 0.0, 0.68), fovy=40.0)}


class MountainCar(ClassicControl):
    """The tasks `mountain-car` and `mountain-car/plain`, which differ in looks alone.

    The action is the engine's share of its power, right positive. `qpos` and observation are Gymnasium's: the
    position along x, and for the observation its speed a step.
    """

    goal = "a car at the peak of the mountain, next to the yellow flag"
    baseline = "a car in the mountain"
    observation_size = 2
    action_size = 1

    def __init__(
        self, plain: bool = False, episode_length: int = EPISODE_LENGTH, camera: str | Camera = "front"
    ) -> None:
        self.name = "mountain-car/plain" if plain else "mountain-car"
        model = mountain.make_model(plain, LEFT, RIGHT, GOAL)
        super().__init__(model, pick_camera(camera, CAMERAS), episode_length)
        self._road = self.mj_model.body("road").id
        self._car = self.mj_model.body("car").id

    def _start(self, key: Array) -> Physics:
        """At rest in the valley, as in Gymnasium."""
        low, high = START
        return Physics(jax.random.uniform(key, (1,), minval=low, maxval=high), jnp.zeros(1))

    def _advance(self, physics: Physics, action: Float[Array, "1"]) -> Physics:
        place, speed = physics
        new_speed = speed + POWER * action - GRAVITY * jnp.cos(3 * place)
        new_speed = jnp.clip(new_speed, -MAX_SPEED, MAX_SPEED)
        new_place = jnp.clip(place + new_speed, LEFT, RIGHT)
        new_speed = jnp.where((new_place == LEFT) & (new_speed < 0), 0.0, new_speed)
        arrived = place >= GOAL
        return Physics(jnp.where(arrived, place, new_place), jnp.where(arrived, 0.0, new_speed))

    def _observe(self, physics: Physics) -> Float[Array, "2"]:
        return jnp.concatenate([physics.qpos, physics.qvel])

    def success(self, pose: Pose) -> Bool[Array, ""]:
        """At the flag or beyond, x >= 0.45: Gymnasium's goal."""
        return pose.qpos[0] >= GOAL

    def progress(self, pose: Pose) -> Float[Array, ""]:
        """Height above the valley over the flag's: .73 at the left end, 1 from the flag on."""
        bottom, top = mountain.LOWEST, mountain.height(GOAL)
        share = (mountain.height(pose.qpos[0]) - bottom) / (top - bottom)
        return jnp.where(self.success(pose), 1.0, jnp.clip(share, 0.0, 1.0))

    def sample(self, key: Array) -> Float[Array, "1"]:
        """Anywhere on the road."""
        return jax.random.uniform(key, (1,), minval=LEFT, maxval=RIGHT)

    def kinematics(self, pose: Pose) -> Frames:
        """The drawing's joint slides along x; height and tilt are those of the road there."""
        place = pose.qpos[0]
        half = -0.5 * jnp.arctan(mountain.slope(place))  # about y, which points away from the camera
        lifted = jnp.array([0.0, 0, 0, 1, 0, 0, 0]).at[2].set(mountain.height(place))
        tilted = jnp.zeros(7).at[3].set(jnp.cos(half)).at[5].set(jnp.sin(half))
        return self._kinematics(pose.qpos, {self._road: lifted, self._car: tilted})
