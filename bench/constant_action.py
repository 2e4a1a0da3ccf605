"""How far does no learning get? The best constant action of a random search, beside which a policy is judged.

    python -m bench.constant_action humanoid/kneeling --candidates 2048

Every candidate holds one action for an episode from the task's own start; the best one by success in
that episode is judged again on fresh episodes, since the best of many is lucky.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import tyro
from jaxtyping import Array, Float

import envs


@dataclass(frozen=True)
class Config:
    task: tyro.conf.Positional[str] = "humanoid/kneeling"
    control: str = "position"
    candidates: int = 2048
    episodes: int = 100
    seed: int = 0


def main(config: Config) -> None:
    env = envs.make(config.task, control=config.control)
    key_action, key_search, key_judge = jax.random.split(jax.random.key(config.seed), 3)
    actions = jax.random.uniform(key_action, (config.candidates, env.action_size), minval=-1, maxval=1)
    judge = jax.jit(partial(share_of_steps, env))
    shares = judge(actions, jax.random.split(key_search, config.candidates))
    best = actions[jnp.argmax(shares)]
    again = judge(jnp.tile(best, (config.episodes, 1)), jax.random.split(key_judge, config.episodes))
    print(f"{config.task} by {config.control}: {config.candidates} constant actions, seed {config.seed}")
    print(f"  candidates that succeed: {(shares >= 0.5).mean():.1%}, mean share of steps {shares.mean():.3f}")
    print(
        f"  the best one again: success {(again >= 0.5).mean():.1%}, mean share of steps {again.mean():.3f}"
    )


def share_of_steps(env: envs.Env, actions: Float[Array, "n action"], keys: Array) -> Float[Array, "n"]:
    """Share of an episode's steps in which the predicate holds, one constant action a world."""

    def step(state, _):
        state = jax.vmap(env.step)(state, actions)
        return state, jax.vmap(lambda state: env.success(env.pose(state)))(state)

    _, success = jax.lax.scan(step, jax.vmap(env.reset)(keys), None, env.episode_length)
    return success.mean(0)


if __name__ == "__main__":
    main(tyro.cli(Config))
