"""The settings of a policy run."""

import dataclasses
import difflib
from pathlib import Path
from typing import TypeVar

import tyro

from train import recipes
from train.networks import ACTIVATIONS, DISTRIBUTIONS

__all__ = ["PolicyConfig", "check_choice"]

T = TypeVar("T")
REWARDS = ("clip", "truth")
ALGORITHMS = ("ppo", "sac")


def check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    """Raises ValueError where `value` is not `known`, suggesting the nearest."""
    if value not in known:
        near = difflib.get_close_matches(value, known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
        raise ValueError(f"unknown {name} {value!r}: {hint}")


def _default(value: T) -> T:
    """`value`, marked as not given, so that the task's recipe may replace it."""
    kind = type(value)
    return type(f"Default{kind.__name__}", (kind,), {"is_default": True})(value)  # type: ignore[operator]


@dataclasses.dataclass(frozen=True)
class PolicyConfig:
    """Train a policy on a task. What is not given comes from the task's recipe (`train/recipes.py`)."""

    task: tyro.conf.Positional[str]
    """Name of the task, or `module:factory` for one of your own."""
    goal: str | None = None
    """A sentence that replaces the task's own prompt."""
    reward: str = "clip"
    """clip: the sentence; truth: the task's ground-truth reward."""
    model: str = "scene-clip"
    """A CLIP: a directory, a model that comes with us, or a hub id."""
    alpha: float = 0.0
    """Strength of goal-baseline regularisation; 0 is the cosine with the goal."""
    allow_unknown_words: bool = False
    """Take a sentence with words that the model never saw."""
    control: str | None = None
    """How actions move the body, e.g. position or torque; by default the task's own."""
    algo: str = "ppo"
    """The learner; sac is not there yet."""
    steps: int = _default(1_000_000)
    """Environment steps, over all worlds."""
    seed: int = 0
    """The first seed."""
    seeds: int = 1
    """How many seeds to train in one program; only 1 so far."""
    out: Path | None = None
    """The run's folder; by default runs/TASK-seedS."""
    resume: bool = False
    """Go on with the run in `out`."""

    num_envs: int = _default(256)
    """Worlds in parallel."""
    num_shards: int = 8
    """Virtual shards; a multiple of the devices. Results depend on it, not on the devices."""
    unroll_length: int = _default(20)
    """Steps of each world an iteration."""
    epochs: int = _default(4)
    """Passes over an iteration's samples."""
    minibatches: int = _default(8)
    """Updates a pass."""
    learning_rate: float = _default(7e-4)
    """Of Adam."""
    decay: bool = True
    """Let the learning rate fall linearly to 0 over the run."""
    max_grad_norm: float = _default(1.0)
    """Gradients are clipped to this global norm."""
    gamma: float = _default(0.95)
    """Discount a step."""
    gae_lambda: float = _default(0.95)
    """Of the advantages: 0 trusts the value function, 1 the returns."""
    entropy_cost: float = _default(1e-3)
    """Weight of the policy's entropy in the loss."""
    value_cost: float = 0.5
    """Weight of the value function's error in the loss."""
    clip: float = 0.2
    """Range of the probability ratio."""
    normalize_reward: bool = True
    """Shift and scale rewards by their running mean and deviation before learning."""
    policy_hidden: tuple[int, ...] = _default((128, 128))
    """Widths of the policy's hidden layers."""
    value_hidden: tuple[int, ...] = _default((128, 128))
    """Widths of the value function's hidden layers."""
    activation: str = "swish"
    """Of the hidden layers."""
    action_distribution: str = "tanh-normal"
    """Of the sampled actions."""

    reward_every: int = _default(1)
    """Judge every so many steps; between them, the line between two scores of an episode."""
    reward_batch: int = 256
    """Poses drawn and judged at a time: sets the memory of the reward."""

    eval_episodes: int = 100
    """Episodes from the task's own start, before and after training."""
    video_episodes: int = 4
    """Episodes in a video; 0 makes none."""
    video_size: int = 256
    """Height and width of an episode's frames."""
    seconds_per_call: float = 3.0
    """About how often the program brings news."""
    calls_per_checkpoint: int = 10
    """How often the training state is saved, counted in calls of the program."""

    def __post_init__(self) -> None:
        if self.out is not None:
            object.__setattr__(self, "out", Path(self.out))
        recipe = recipes.of(self.task)
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if getattr(value, "is_default", False):
                value = recipe.get(field.name, type(value).__mro__[1](value))
                object.__setattr__(self, field.name, value)

    def validate(self) -> None:
        """Refuses settings that cannot be trained with.

        Raises:
          ValueError: with what is wrong, and the nearest thing that is right.
        """
        check_choice("algo", self.algo, ALGORITHMS)
        check_choice("reward", self.reward, REWARDS)
        check_choice("activation", self.activation, ACTIVATIONS)
        check_choice("action_distribution", self.action_distribution, DISTRIBUTIONS)
        if self.algo == "sac":
            raise ValueError("algo 'sac' is not there yet; use 'ppo'")
        if self.seeds != 1:
            raise ValueError(
                "several seeds in one program are not there yet; run them one by one with --seed"
            )
        if not 0 <= self.gamma < 1:
            raise ValueError(f"gamma is {self.gamma}; it must be at least 0 and below 1")
        for name in ("gae_lambda", "alpha"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie in 0 to 1")
        if self.alpha and self.reward != "clip":
            raise ValueError(f"alpha is of no use to reward {self.reward!r}")
        if self.goal is not None and not self.goal.strip():
            raise ValueError("goal is empty: say what you want in a sentence")
        if self.goal is not None and self.reward == "truth":
            raise ValueError("goal is of no use to reward 'truth', which knows the task's own goal alone")
        positive = ("steps", "num_envs", "num_shards", "unroll_length", "epochs", "minibatches")
        for name in (*positive, "reward_every", "reward_batch", "eval_episodes", "calls_per_checkpoint"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.unroll_length % self.reward_every:
            raise ValueError(
                f"reward_every {self.reward_every} does not divide unroll_length {self.unroll_length}"
            )

    def check_shapes(self, devices: int) -> None:
        """Refuses worlds, shards, devices and minibatches that do not divide.

        Raises:
          ValueError: naming the numbers.
        """
        if self.num_shards % devices:
            raise ValueError(f"num_shards {self.num_shards} is no multiple of the {devices} devices")
        if self.num_envs % self.num_shards:
            raise ValueError(f"num_envs {self.num_envs} is no multiple of num_shards {self.num_shards}")
        samples = self.num_envs // self.num_shards * self.unroll_length
        if samples % self.minibatches:
            raise ValueError(f"{self.minibatches} minibatches do not divide the {samples} samples of a shard")

    @property
    def steps_per_iteration(self) -> int:
        return self.num_envs * self.unroll_length

    @property
    def iterations(self) -> int:
        return -(-self.steps // self.steps_per_iteration)

    @property
    def folder(self) -> Path:
        return self.out or Path("runs") / f"{self.task.replace('/', '-').replace(':', '-')}-seed{self.seed}"
