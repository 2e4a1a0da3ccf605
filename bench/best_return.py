"""The best return that a task of two coordinates allows: dynamic programming on a grid, then played.

    python -m bench.best_return pendulum mountain-car

What a policy's return is to be judged by. Values of every time of an episode are made backwards from its end
on a grid of place and speed, linear between grid points; then each start is played with the action that
promises most by them. The return of that play is a bound from below: grid and actions are finite.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float

import envs
from envs.classic import ClassicControl, Physics, wrap_angle
from envs.mountain_car import LEFT, MAX_SPEED, RIGHT
from envs.pendulum import MAX_SPEED as PENDULUM_SPEED
from train.rl import evaluation

# Bounds of place and speed, and whether the place is an angle.
SPACES = {
    "pendulum": ((-np.pi, np.pi), (-PENDULUM_SPEED, PENDULUM_SPEED), True),
    "mountain-car": ((LEFT, RIGHT), (-MAX_SPEED, MAX_SPEED), False),
}


@dataclass(frozen=True)
class Config:
    """Print the best mean return that dynamic programming finds."""

    tasks: tyro.conf.Positional[tuple[str, ...]] = tuple(SPACES)
    points: int = 401
    """Of the grid, for place and speed each."""
    actions: int = 21
    seed: int = 0
    """Of the 100 starts, the same as those that `train policy --seed` is judged from."""


def main(config: Config) -> None:
    for task in config.tasks:
        keys = evaluation.episode_keys(config.seed, 100, 1)
        found = best_returns(task, keys, points=config.points, actions=config.actions)
        print(f"{task}: {found.mean():.2f}, from {found.min():.2f} to {found.max():.2f}")


def best_returns(task: str, keys: Array, *, points: int, actions: int) -> Float[Array, "starts"]:
    """The returns of the episodes that begin with `keys`, uint32 [starts, 2].

    Raises:
      ValueError: the task has not two coordinates.
    """
    if task not in SPACES:
        raise ValueError(f"no grid for {task!r}; there is one for {', '.join(SPACES)}")
    env = envs.make(task)
    return _play(env, task, _values(env, task, points, actions), keys, actions)


def _grid(task: str, points: int) -> Physics:
    place, speed = (jnp.linspace(*limits, points) for limits in SPACES[task][:2])
    place, speed = jnp.meshgrid(place, speed, indexing="ij")
    return Physics(place[..., None], speed[..., None])


def _read(task: str, values: Float[Array, "p p"], physics: Physics) -> Float[Array, "..."]:
    """Values at states between the grid's points."""
    places, speeds, angle = SPACES[task]
    place = wrap_angle(physics.qpos) if angle else physics.qpos
    coordinates = [
        (x[..., 0] - low) / (high - low) * (values.shape[0] - 1)
        for x, (low, high) in ((place, places), (physics.qvel, speeds))
    ]
    return map_coordinates(values, coordinates, order=1, mode="nearest")


def _outcomes(env: ClassicControl, physics: Physics, actions: int) -> tuple[Physics, Array]:
    """Where every action leads from one state, and its reward; leading axis: actions."""
    state = env.reset(jax.random.key(0))._replace(data=physics)
    choices = jnp.linspace(-1.0, 1.0, actions)[:, None]
    after = jax.vmap(lambda action: env.step(state, action))(choices)
    return after.data, after.reward


def _values(env: ClassicControl, task: str, points: int, actions: int) -> Float[Array, "time p p"]:
    """`values[t]`: the best return from step t + 1 on, of the state that step t reached."""
    after, reward = jax.jit(jax.vmap(jax.vmap(lambda at: _outcomes(env, at, actions))))(_grid(task, points))

    @jax.jit
    def backwards(after: Physics, reward: Array, last: Array) -> Array:
        def back(values: Array, _: None) -> tuple[Array, Array]:
            return (reward + _read(task, values, after)).max(axis=-1), values

        return jax.lax.scan(back, last, length=env.episode_length)[1]

    return backwards(after, reward, jnp.zeros((points, points)))[::-1]


def _play(env: ClassicControl, task: str, values: Array, keys: Array, actions: int) -> Float[Array, "starts"]:
    def step(physics: Physics, values: Array) -> tuple[Physics, Array]:
        after, reward = jax.vmap(lambda at: _outcomes(env, at, actions))(physics)
        best = jnp.argmax(reward + _read(task, values, after), axis=1)
        pick = jax.vmap(lambda options, i: options[i])
        return jax.tree.map(lambda x: pick(x, best), after), pick(reward, best)

    starts = jax.vmap(env.reset)(keys).data
    _, rewards = jax.jit(lambda at, values: jax.lax.scan(step, at, values))(starts, values)
    return rewards.sum(axis=0)


if __name__ == "__main__":
    main(tyro.cli(Config, prog="python -m bench.best_return"))
