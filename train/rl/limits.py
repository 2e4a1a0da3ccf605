"""What settings of a policy run may be: numbers in their ranges; and beside which others they do anything."""

import difflib
import math
from collections.abc import Callable
from numbers import Integral
from typing import Any, get_type_hints

_WHOLE = (int, int | None, tuple[int, ...])  # types of settings
SEEDS = 2**32  # that a key tells apart

_Range = tuple[Callable[[float], bool], tuple[str, ...]]
_RANGES: dict[str, _Range] = {
    "at least 1": (
        lambda x: x >= 1,
        ("steps", "seeds", "num_envs", "num_shards", "unroll_length", "epochs", "minibatches", "batch_size",
         "replay_size", "reward_every", "reward_batch", "eval_episodes", "calls_per_checkpoint", "video_size",
         "frame_size", "likelihood_frames", "policy_hidden", "value_hidden"),
    ),
    "at least 2": (lambda x: x >= 2, ("interface_films",)),  # half kinematic, half under physics
    "at least 0": (
        lambda x: x >= 0,
        ("learning_starts", "video_episodes", "seconds_per_call", "update_interface_every", "keep_episodes",
         "entropy_cost", "value_cost"),
    ),
    "above 0": (
        lambda x: x > 0,
        ("learning_rate", "interface_learning_rate", "max_grad_norm", "clip", "temperature",
         "updates_per_step"),
    ),
    "at least 0 and at most 1": (lambda x: 0 <= x <= 1, ("gae_lambda", "alpha", "varied_starts")),
    "at least 0 and below 1": (lambda x: 0 <= x < 1, ("gamma",)),
    "above 0 and at most 1": (lambda x: 0 < x <= 1, ("tau",)),
}  # fmt: skip

# A setting, its values beside which others do anything, and those others.
_ONLY: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("algo", ("ppo",), ("epochs", "minibatches", "max_grad_norm", "gae_lambda", "entropy_cost", "value_cost",
                        "clip")),
    ("algo", ("sac",), ("updates_per_step", "batch_size", "learning_starts", "replay_size", "tau",
                        "temperature", "layer_norm", "tune_temperature")),
    ("reward", ("likelihood",), ("lm", "lm_dtype", "interface", "likelihood_form", "likelihood_difference",
                                 "likelihood_start", "likelihood_frames", "update_interface_every",
                                 "interface_learning_rate", "interface_films", "keep_episodes")),
    ("reward", ("clip", "likelihood"), ("model", "reward_every", "reward_between", "allow_unknown_words")),
    ("reward", ("clip",), ("alpha", "negatives", "both_sides", "frame_size", "resize")),
    ("reward", ("clip", "truth"), ("varied_starts",)),
)  # fmt: skip
# A setting, another, and the value of that beside which it does nothing.
_IDLE = (
    ("reward_between", "reward_every", 1),
    ("interface_learning_rate", "update_interface_every", 0),
    ("interface_films", "update_interface_every", 0),
    ("baseline", "alpha", 0),
    ("resize", "frame_size", None),
)


def check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    """Raises ValueError where `value` is not `known`, suggesting the nearest."""
    if value not in known:
        near = difflib.get_close_matches(value, known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
        raise ValueError(f"unknown {name} {value!r}: {hint}")


def check_numbers(config: Any) -> None:
    """Raises ValueError naming a setting that is out of its range or not finite, widths of layers too."""
    for words, (holds, names) in _RANGES.items():
        for name in names:
            value = getattr(config, name)
            if not all(map(holds, _several(value))):
                raise ValueError(f"{name} is {value}; it must be {words}")
    for name, value in vars(config).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name} is {value}; it must be finite")
    for name, kind in get_type_hints(type(config)).items():
        if kind in _WHOLE and not all(isinstance(x, Integral) for x in _several(getattr(config, name))):
            raise ValueError(f"{name} is {getattr(config, name)}; it must be a whole number")
    if not 0 <= config.seed <= SEEDS - config.seeds:
        raise ValueError(f"seed is {config.seed}; it and all seeds of the run must lie in 0 to {SEEDS - 1}")


def _several(value: Any) -> tuple | list:
    if value is None:
        return ()
    return value if isinstance(value, tuple | list) else (value,)


def check_use(config: Any, usual: Any) -> None:
    """Refuses what would silently do nothing.

    Args:
      usual: what the same task, learner and reward have where nothing else is given.

    Raises:
      ValueError: naming the setting, and what it belongs to.
    """
    given = {name for name, value in vars(config).items() if value != getattr(usual, name)}
    for other, values, names in _ONLY:
        value = getattr(config, other)
        if value not in values and (useless := [name for name in names if name in given]):
            known = " or ".join(map(repr, values))
            raise ValueError(f"{useless[0]} is of no use to {other} {value!r}, only to {known}")
    for name, other, value in _IDLE:
        if name in given and getattr(config, other) == value:
            beside = f"without {other}" if value is None else f"with {other} {value}"
            raise ValueError(f"{name} is of no use {beside}")
