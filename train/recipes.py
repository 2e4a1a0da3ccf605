"""What differs from task to task: the settings that a policy run takes where none are given.

`pendulum` reaches a mean return above -200 (of Gymnasium's reward) in about 20 s on 2 cores.
The humanoid settings bring `humanoid/kneeling` to its knees in 800,000 steps. At gamma 0.95, 700,000
steps and a constant rate, seed 0 knelt too, but toppled before the episode ended.
"""

from typing import Any

_RECIPES: dict[str, dict[str, Any]] = {
    "pendulum": {
        "steps": 1_000_000,
        "num_envs": 256,
        "unroll_length": 20,
        "gamma": 0.95,
        "learning_rate": 1e-3,
        "policy_hidden": (64, 64),
        "value_hidden": (64, 64),
    },
    "humanoid": {"steps": 800_000, "reward_every": 4, "gamma": 0.97},
}


_SAC: dict[str, dict[str, Any]] = {
    "pendulum": {
        "steps": 40_000,
        "num_envs": 16,
        "unroll_length": 4,
        "updates_per_step": 0.5,
        "learning_starts": 1_000,
        "gamma": 0.97,
        "learning_rate": 1e-3,
        "policy_hidden": (64, 64),
        "value_hidden": (64, 64),
        "replay_size": 40_000,
    },
    "humanoid": {"steps": 800_000, "reward_every": 4, "gamma": 0.97},
}

_DEFAULTS: dict[str, Any] = {
    "steps": 1_000_000,
    "num_envs": 256,
    "unroll_length": 20,
    "learning_rate": 7e-4,
    "gamma": 0.95,
    "normalize_reward": True,
    "policy_hidden": (128, 128),
    "value_hidden": (128, 128),
    "activation": "swish",
    "reward_every": 1,
    "epochs": 4,
    "minibatches": 8,
    "max_grad_norm": 1.0,
    "gae_lambda": 0.95,
    "entropy_cost": 1e-3,
    "updates_per_step": 1 / 32,
    "batch_size": 512,
    "learning_starts": 20_000,
    "replay_size": 1_000_000,
    "tau": 0.005,
    "temperature": 0.1,
    "tune_temperature": True,
}

_OF_SAC: dict[str, Any] = {"num_envs": 64, "learning_rate": 6e-4}


def of(task: str, algo: str = "ppo") -> dict[str, Any]:
    """All that a run takes where nothing is given: of the task, else of its body, else of the learner."""
    recipes, defaults = (_SAC, _DEFAULTS | _OF_SAC) if algo == "sac" else (_RECIPES, _DEFAULTS)
    return defaults | (recipes.get(task) or recipes.get(task.partition("/")[0], {}))
