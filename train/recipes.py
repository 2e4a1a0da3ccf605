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


def of(task: str) -> dict[str, Any]:
    """The recipe of a task, or of its body, or nothing."""
    return _RECIPES.get(task) or _RECIPES.get(task.partition("/")[0], {})
