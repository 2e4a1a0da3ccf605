"""What a run is made of: environment, learner, reward."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import envs
import jaxrm
from envs.humanoid.concepts import ALL
from envs.humanoid.env import Humanoid
from envs.mjcf import MjcfEnv
from envs.types import Env, has_truth, is_ordered, told, variables_of
from train.origin import body_digest, tree_digest
from train.rl import evaluation, likelihood, ppo, rewards, sac
from train.rl.config import PolicyConfig
from train.rl.evaluation import Rollouts
from train.rl.learner import Learner, TrainState
from train.rl.networks import Actor, make_actor, make_actor_critic, make_twin_critic
from train.rl.rewards import LoopReward

_CHOICES = ("control", "camera", "skin", "substeps", "episode_length")  # settings that are the environment's
EVAL_BLOCK = 1024  # poses at a time for the predicate

# What a policy is judged with: its parameters, observation statistics, what the reward has learnt
Judged = tuple[Any, Any, Any]


@dataclasses.dataclass(frozen=True)
class Parts:
    """Built from a config, the same for all of its runs; `reward` is theirs, see `rewards.join_rewards`.

    `tasks` share a body and differ in their variables alone.
    """

    config: PolicyConfig
    tasks: tuple[Env, ...]
    learner: Learner
    reward: LoopReward

    @classmethod
    def build(cls, config: PolicyConfig) -> "Parts":
        """Raises ValueError or FileNotFoundError where the task or the model is unknown or does not fit."""
        each = config.of_tasks()
        tasks = tuple(map(make_env, each))
        if config.also:
            check_together(tasks)
        env = tasks[0]
        if config.reward == "truth" and not has_truth(env):
            raise ValueError(f"{config.task!r} has no ground truth: train it by a sentence, with --goal")
        for alone, task in zip(each, tasks, strict=True):
            if config.reward == "truth" and alone.goals and task.goal not in alone.goals:
                raise ValueError(f"reward 'truth' cannot measure {alone.goals[0]!r}: leave out the goal")
        learner = make_learner(config, env.observation_size, env.action_size)
        return cls(config, tasks, learner, make_reward(config, tasks))

    @property
    def env(self) -> Env:
        """The first task; the others judge otherwise, see `train.rl.program.Frozen`."""
        return self.tasks[0]

    def env_of(self, run: int) -> Env:
        """The environment of one run of `config.of_runs()`, by its place there."""
        return self.tasks[run // self.config.seeds]

    def origin_of(self, run: int) -> dict[str, Any]:
        """What a checkpoint of one run is good for alone: the reward's weights, the body, and its camera."""
        env = self.env_of(run)
        camera = getattr(env, "camera", None)  # one of a user's own that draws by itself may have none
        return {
            "weights": tree_digest(self.reward.of_run(run).weights),
            "body": body_digest(env.mj_model),
            "camera": tree_digest(camera),
        }

    def check_origin(self, about: dict[str, Any], now: dict[str, Any], refused: str) -> None:
        """Raises ValueError, `refused` and why, where a checkpoint has another origin than the one of now.

        A checkpoint of an earlier version does not say which body and camera; one of another MuJoCo cannot
        tell.
        """
        if about["weights"] != now["weights"]:
            raise ValueError(f"{refused}: the weights of {self.config.model!r} changed")
        body = about.get("body")
        if body and body["mujoco"] == now["body"]["mujoco"] and body != now["body"]:
            raise ValueError(f"{refused}: the body of {str(self.config.mjcf or self.config.task)!r} changed")
        if about.get("camera") not in (None, now["camera"]):
            raise ValueError(f"{refused}: the camera of {self.config.task!r} is another now")

    def compile_evaluate(self, judged: Judged, mesh: Mesh) -> Callable[[Judged, int, int], Rollouts]:
        """`evaluate(judged, seed, run) -> Rollouts`, compiled ahead, so that its time can be told from
        training's.

        `judged` gives shapes and shardings; see `judged_part`.
        """
        episodes = self.config.eval_episodes
        actor = self.learner.actor
        between = self.config.reward_between
        evaluate: Any = evaluation.make_evaluate(
            self.env, actor, self.reward, mesh, block=EVAL_BLOCK, between=between
        )

        def keys_of(seed: int) -> Any:
            keys = evaluation.episode_keys(seed, episodes, mesh.shape["data"])
            return jax.device_put(keys, NamedSharding(mesh, PartitionSpec("data")))

        def frozen_of(run: int) -> tuple[Any, Any]:
            return variables_of(self.env_of(run)), self.reward.of_run(run).weights

        policy, stats, reward_state = judged
        keys = keys_of(self.config.seed)
        compiled = evaluate.lower(policy, stats, *frozen_of(0), reward_state, keys).compile()

        def judge(judged: Judged, seed: int, run: int) -> Rollouts:
            policy, stats, reward_state = judged
            rollouts = compiled(policy, stats, *frozen_of(run), reward_state, keys_of(seed))
            return jax.tree.map(lambda x: np.asarray(x)[:episodes], rollouts)

        return judge


def check_together(tasks: Sequence[Env]) -> None:
    """Raises ValueError where a task cannot share a program with others of its body."""
    for task in tasks:
        if not isinstance(task, Humanoid) or is_ordered(task):
            raise ValueError(f"{task.name!r} cannot share a program: only postures of the humanoid can")
        if task.judged is not ALL:
            raise ValueError(
                f"{task.name!r} cannot share a program: it has bounds that envs.humanoid.concepts lacks"
            )


def judged_part(state: TrainState) -> Judged:
    return state.params["policy"], state.obs_stats, state.reward_state


def make_env(config: PolicyConfig) -> Env:
    """The task, or the body of the user's own. Where a sentence takes the place of the task's own and says
    something else, success is of what it says, as far as the environment knows.

    Raises:
      FileNotFoundError: there is no such model.
      ValueError: the task is unknown, or has no choice of what is given; the model cannot be used.
    """
    options: dict[str, Any] = {name: getattr(config, name) for name in _CHOICES}
    options = {name: value for name, value in options.items() if value is not None}
    try:
        if config.mjcf is None:
            env = envs.make(config.task, **options)
            return told(env, config.goals[0]) if len(config.goals) == 1 else env
        return MjcfEnv(config.mjcf, "; ".join(config.goals), **options)
    except TypeError as error:
        refused = [name for name in options if f"argument '{name}'" in str(error)]
        if not refused:
            raise
        raise ValueError(f"task {config.task!r} has no choice of {refused[0]}") from error


def make_reward(config: PolicyConfig, tasks: Sequence[Env]) -> LoopReward:
    """The reward that a config asks for, of all its tasks.

    Raises:
      FileNotFoundError: there is no such model.
      ValueError: the reward is unknown, or the models cannot take the sentence.
    """
    if config.reward == "truth":
        return rewards.truth_reward()._replace(goals=config.goals)
    if config.reward == "clip":
        checkpoint = jaxrm.load_clip(config.model, resize=config.resize)
        each = [
            rewards.clip_reward(config, env, checkpoint, alone.goals)
            for alone, env in zip(config.of_tasks(), tasks, strict=True)
        ]
        return rewards.join_rewards(each, config.seeds) if config.also else each[0]
    if config.reward == "likelihood":
        return likelihood.make(config, tasks[0])
    raise ValueError(f"unknown reward {config.reward!r}")


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
        networks = make_twin_critic(
            actor, observation_size, action_size, **options, layer_norm=config.layer_norm
        )
        return sac.Sac(config, networks, action_size)
    return ppo.Ppo(config, make_actor_critic(actor, observation_size, **options))
