"""What a run is made of: environment, learner, reward."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import envs
from envs.types import Env
from train import evaluation, ppo, rewards, sac
from train.config import PolicyConfig
from train.evaluation import Rollouts
from train.learner import Learner, TrainState
from train.networks import Actor, make_actor, make_actor_critic, make_twin_critic
from train.rewards import LoopReward

EVAL_BLOCK = 1024  # poses at a time for the predicate

# What a policy is judged with: its parameters, observation statistics, what the reward has learnt
Judged = tuple[Any, Any, Any]


@dataclasses.dataclass(frozen=True)
class Parts:
    """Built from a config, the same for all of its seeds."""

    config: PolicyConfig
    env: Env
    learner: Learner
    reward: LoopReward

    @classmethod
    def build(cls, config: PolicyConfig) -> "Parts":
        """Raises ValueError or FileNotFoundError where the task or the model is unknown or does not fit."""
        env = make_env(config)
        learner = make_learner(config, env.observation_size, env.action_size)
        return cls(config, env, learner, rewards.make(config, env))

    def compile_evaluate(self, judged: Judged, mesh: Mesh) -> Callable[[Judged, int], Rollouts]:
        """`evaluate(judged, seed) -> Rollouts`, compiled ahead, so that its time can be told from training's.

        `judged` gives shapes and shardings; see `judged_part`.
        """
        episodes, weights = self.config.eval_episodes, self.reward.weights
        actor = self.learner.actor
        evaluate: Any = evaluation.make_evaluate(self.env, actor, self.reward, mesh, block=EVAL_BLOCK)

        def keys_of(seed: int) -> Any:
            keys = evaluation.episode_keys(seed, episodes, mesh.shape["data"])
            return jax.device_put(keys, NamedSharding(mesh, PartitionSpec("data")))

        policy, stats, reward_state = judged
        compiled = evaluate.lower(policy, stats, weights, reward_state, keys_of(self.config.seed)).compile()

        def run(judged: Judged, seed: int) -> Rollouts:
            policy, stats, reward_state = judged
            rollouts = compiled(policy, stats, weights, reward_state, keys_of(seed))
            return jax.tree.map(lambda x: np.asarray(x)[:episodes], rollouts)

        return run


def judged_part(state: TrainState) -> Judged:
    return state.params["policy"], state.obs_stats, state.reward_state


def make_env(config: PolicyConfig) -> Env:
    """Raises ValueError where the task is unknown or takes no `control`."""
    if config.control is None:
        return envs.make(config.task)
    try:
        return envs.make(config.task, control=config.control)
    except TypeError as error:
        if "control" not in str(error):
            raise
        raise ValueError(f"task {config.task!r} has no choice of control") from error


def build_actor(config: PolicyConfig, observation_size: int, action_size: int) -> Actor:
    return make_actor(
        observation_size,
        action_size,
        hidden=config.policy_hidden,
        activation=config.activation,
        action_distribution=config.action_distribution,
    )


def make_learner(config: PolicyConfig, observation_size: int, action_size: int) -> Learner:
    actor = build_actor(config, observation_size, action_size)
    options: Any = {"hidden": config.value_hidden, "activation": config.activation}
    if config.algo == "sac":
        networks = make_twin_critic(actor, observation_size, action_size, **options)
        return sac.Sac(config, networks, action_size)
    return ppo.Ppo(config, make_actor_critic(actor, observation_size, **options))
