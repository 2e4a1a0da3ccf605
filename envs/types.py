"""What an environment is: a frozen state, a protocol, and the reset that keeps the true final state."""

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Bool, Float, Int, UInt8, UInt32

from jaxrm.render import Camera
from jaxrm.types import Pose


class State(NamedTuple):
    """One world between two steps.

    Attributes:
      data: what the physics needs to go on; has at least `qpos` and `qvel`.
      obs: what the policy sees, float32 [observation_size].
      reward: the ground-truth reward of this state.
      terminated: the task ended here (a bad state, NaN): no value beyond it.
      truncated: the time limit was reached; the task would have gone on.
      time: steps since the episode began, int32.
      key: the episode's key, uint32 [2].
      info: counters such as `nan_resets`.
    """

    data: Any
    obs: Float[Array, "*batch obs"]
    reward: Float[Array, "*batch"]
    terminated: Bool[Array, "*batch"]
    truncated: Bool[Array, "*batch"]
    time: Int[Array, "*batch"]
    key: UInt32[Array, "*batch 2"]
    info: dict[str, Any]


class Env(Protocol):
    """A task on a body. Every method is pure and looks at one world; callers `vmap`."""

    name: str
    goal: str
    baseline: str
    camera: Camera
    mj_model: mujoco.MjModel
    observation_size: int
    action_size: int
    episode_length: int

    def reset(self, key: Array) -> State:
        """The start of an episode, `key` its key: that of any of its poses gives the start again."""
        ...

    def step(self, state: State, action: Float[Array, "action"]) -> State:
        """One control step; actions outside [-1, 1] are clipped."""
        ...

    def pose(self, state: State) -> Pose: ...

    def pose_at(self, qpos: Float[Array, "nq"]) -> Pose: ...

    def frame(self, pose: Pose, height: int, width: int) -> UInt8[Array, "h w 3"]:
        """Draws a pose from the task's own camera."""
        ...

    def success(self, pose: Pose) -> Bool[Array, ""]: ...

    def progress(self, pose: Pose) -> Float[Array, ""]:
        """From 0 (nothing of it) to 1 (every threshold of `success` met)."""
        ...


def has_truth(env: Env) -> bool:
    """Whether success, progress and reward of an environment mean anything.

    One that knows its body and no task says `has_truth = False`: a sentence alone can train it.
    """
    return getattr(env, "has_truth", True)


def variables_of(env: Env) -> Any:
    """What may differ between tasks that share a program: arrays, an argument of it; or nothing."""
    return getattr(env, "variables", ())


def varied(env: Env, variables: Any) -> Env:
    """The environment with `variables` of another, which may be traced."""
    vary = getattr(env, "varied", None)
    return env if vary is None else vary(variables)


def told(env: Env, sentence: str) -> Env:
    """The environment of another goal: success and progress are of what the sentence claims.

    Unchanged where it cannot tell what that is, as without a method `told`.
    """
    tell = getattr(env, "told", None)
    return env if tell is None else tell(sentence)


def is_ordered(env: Env) -> bool:
    """Whether success of a task is one of the order in which things happened, not of a posture.

    Such an environment remembers in its state what it needs: `past(state)`, and judges with it,
    `success(pose, past)`: whether all that was done up to this state carries out the task.
    """
    return hasattr(env, "past")


def past_of(env: Env, state: State) -> tuple[Any, ...]:
    """What success depends on besides the pose, so that `env.success(pose, *past)` serves every task."""
    return (env.past(state),) if is_ordered(env) else ()  # pyright: ignore[reportAttributeAccessIssue]


def episode_done(state: State) -> Bool[Array, "*batch"]:
    return state.terminated | state.truncated


def reset_where_done(state: State, fresh: State) -> State:
    """Replaces worlds whose episode is over by `fresh` ones; both are batched [envs, ...].

    The caller still holds `state`, the true final state: its reward counts and its value
    bootstraps a truncation. Counters in `info` go on.
    """
    done = episode_done(state)

    def pick(new: Array, old: Array) -> Array:
        return jnp.where(done.reshape(done.shape + (1,) * (old.ndim - done.ndim)), new, old)

    return jax.tree.map(pick, fresh, state)._replace(info=state.info)
