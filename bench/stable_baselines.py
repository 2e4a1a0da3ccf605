"""Stable-Baselines3 on our environments, with our settings: the peer of the learners.

    python -m bench.stable_baselines pendulum --algo sac --seed 0        (extras `parity` and `peers`)

The worlds are stepped as one batch by our environment's compiled step; observations and rewards are
normalised by Stable-Baselines3's own wrapper, which scales rewards by the deviation of returns and does not
shift them; its PPO clips a Gaussian's actions where ours squashes them. Other settings are our recipe's.
Judged as our policies are: 100 episodes from the starts of `train policy --seed`, the mode of the policy. For
tasks of classic control, where nothing terminates. Prints a line of JSON.
"""

import json
import time
from dataclasses import dataclass
from typing import Any, Literal

import gymnasium
import jax
import numpy as np
import torch
import tyro
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

import envs
from envs.types import Env, State, episode_done, reset_where_done
from train.rl import evaluation, recipes
from train.rl.rollout import stagger

EPISODES = 100
ACTIVATIONS = {"swish": torch.nn.SiLU, "relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "elu": torch.nn.ELU}


@dataclass(frozen=True)
class Config:
    """Train with Stable-Baselines3 on the ground truth."""

    task: tyro.conf.Positional[str]
    algo: Literal["ppo", "sac"] = "ppo"
    seed: int = 0
    steps: int | None = None
    """Environment steps; the recipe's without."""


def main(config: Config) -> None:
    recipe = recipes.of([config.task], config.algo)
    steps = config.steps or recipe["steps"]
    env = envs.make(config.task)
    worlds = VecNormalize(
        Worlds(env, recipe["num_envs"], config.seed),
        norm_reward=recipe["normalize_reward"],
        gamma=recipe["gamma"],
    )
    learner = make_learner(config, recipe, steps, worlds)
    began = time.perf_counter()
    learner.learn(steps)
    seconds = time.perf_counter() - began
    returns, success = judge(env, learner, worlds, config.seed)
    print(
        json.dumps(
            {
                "steps": int(learner.num_timesteps),
                "truth_return": float(returns.mean()),
                "success": float(success.mean()),
                "train_seconds": round(seconds, 1),
            }
        )
    )


def make_learner(config: Config, recipe: dict[str, Any], steps: int, worlds: VecEnv) -> Any:
    """With the settings of our recipe, as far as both have them."""
    values = "vf" if config.algo == "ppo" else "qf"
    networks = {
        "activation_fn": ACTIVATIONS[recipe["activation"]],
        "net_arch": {"pi": list(recipe["policy_hidden"]), values: list(recipe["value_hidden"])},
    }
    unroll, rate = recipe["num_envs"] * recipe["unroll_length"], recipe["learning_rate"]
    common: dict[str, Any] = {
        "policy": "MlpPolicy",
        "env": worlds,
        "learning_rate": (lambda left: left * rate) if recipe["decay"] else rate,
        "gamma": recipe["gamma"],
        "policy_kwargs": networks,
        "seed": config.seed,
        "device": "cpu",
    }
    if config.algo == "ppo":
        return PPO(
            **common,
            n_steps=recipe["unroll_length"],
            batch_size=unroll // recipe["minibatches"],
            n_epochs=recipe["epochs"],
            gae_lambda=recipe["gae_lambda"],
            ent_coef=recipe["entropy_cost"],
            max_grad_norm=recipe["max_grad_norm"],
        )
    return SAC(
        **common,
        buffer_size=recipe["replay_size"],
        learning_starts=recipe["learning_starts"],
        batch_size=recipe["batch_size"],
        tau=recipe["tau"],
        train_freq=recipe["unroll_length"],
        gradient_steps=round(unroll * recipe["updates_per_step"]),
        ent_coef=f"auto_{recipe['temperature']}",
    )


class Worlds(VecEnv):
    """`count` worlds of one of our environments; those whose episode ended begin anew."""

    def __init__(self, env: Env, count: int, seed: int):
        infinite = np.full(env.observation_size, np.inf, np.float32)
        one = np.ones(env.action_size, np.float32)
        super().__init__(count, gymnasium.spaces.Box(-infinite, infinite), gymnasium.spaces.Box(-one, one))
        self.key = jax.random.key(seed)
        self._reset = jax.jit(lambda key: _begin(env, count, key))
        self._step = jax.jit(lambda state, action, key: _step(env, state, action, key))

    def reset(self) -> np.ndarray:
        self.key, key = jax.random.split(self.key)
        self.state = self._reset(key)
        return np.asarray(self.state.obs)

    def step_async(self, actions: np.ndarray) -> None:
        self.actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        self.key, key = jax.random.split(self.key)
        self.state, last = self._step(self.state, self.actions, key)
        obs, reward, truncated, terminated = map(
            np.asarray, (last.obs, last.reward, last.truncated, last.terminated)
        )
        done = np.asarray(episode_done(last))
        infos: list[dict[str, Any]] = [{} for _ in done]
        for world in np.flatnonzero(done):
            infos[world] = {
                "terminal_observation": obs[world],
                "TimeLimit.truncated": bool(truncated[world] and not terminated[world]),
            }
        return np.asarray(self.state.obs), reward, done, infos

    def close(self) -> None:
        pass

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        if attr_name != "render_mode":
            raise AttributeError(attr_name)
        return [None] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **options: Any) -> list[Any]:
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs


def _begin(env: Env, count: int, key: Any) -> State:
    """First episodes of a length of their own, as ours are, or all time limits would come at once."""
    reset_key, stagger_key = jax.random.split(key)
    worlds = jax.vmap(env.reset)(jax.random.split(reset_key, count))
    return stagger(env, worlds, jax.random.split(stagger_key, count))


def _step(env: Env, state: State, action: Any, key: Any) -> tuple[State, State]:
    """The state to go on with, and the one that the step reached."""
    last = jax.vmap(env.step)(state, action)
    return reset_where_done(last, jax.vmap(env.reset)(jax.random.split(key, len(action)))), last


def judge(env: Env, learner: Any, worlds: VecNormalize, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return and success of every episode."""
    state = jax.jit(jax.vmap(env.reset))(evaluation.episode_keys(seed, EPISODES, 1))
    step = jax.jit(jax.vmap(env.step))
    success_of = jax.jit(jax.vmap(lambda state: env.success(env.pose(state))))
    rewards, successes = [], []
    for _ in range(env.episode_length):
        actions, _ = learner.predict(worlds.normalize_obs(np.asarray(state.obs)), deterministic=True)
        state = step(state, actions)
        rewards.append(np.asarray(state.reward))
        successes.append(np.asarray(success_of(state)))
    success = evaluation.episode_success(np.stack(successes, axis=1), ordered=False)
    return np.sum(rewards, axis=0, dtype=np.float64), np.asarray(success)


if __name__ == "__main__":
    main(tyro.cli(Config, prog="python -m bench.stable_baselines"))
