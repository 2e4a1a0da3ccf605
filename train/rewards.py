"""What judges the stored poses inside the loop: frozen weights, a state that learns, a pure score."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import jaxrm
from envs.types import Env
from jaxrm.rewards import clip
from jaxrm.types import Pose
from train.config import PolicyConfig

Score = Callable[[Any, Any, Pose], Float[Array, "time envs"]]


class LoopReward(NamedTuple):
    """A reward as the loop takes it.

    Attributes:
      name: for people and for `result.json`.
      weights: frozen pytree, an argument of the compiled program.
      state: what the reward learns; part of the training state. Empty where it learns nothing.
      score: `score(weights, state, poses [time, envs]) -> [time, envs]`, pure; None means the
        environment's own ground-truth reward, which the unroll has stored.
      goal: the sentence, or None.
    """

    name: str
    weights: Any
    state: Any
    score: Score | None
    goal: str | None


def truth_reward() -> LoopReward:
    """The environment's own reward of every step."""
    return LoopReward("truth", (), (), None, None)


def make(config: PolicyConfig, env: Env) -> LoopReward:
    """The reward that a config asks for.

    Raises:
      FileNotFoundError: there is no such model.
      ValueError: the reward is unknown, or the model cannot take the sentence.
    """
    if config.reward == "truth":
        return truth_reward()
    if config.reward == "clip":
        return clip_reward(config, env)
    raise ValueError(f"unknown reward {config.reward!r}")


def clip_reward(config: PolicyConfig, env: Env) -> LoopReward:
    """How much the frame of a pose, drawn at the model's own size, looks like the goal sentence."""
    goal = env.goal if config.goal is None else config.goal
    checkpoint = jaxrm.load_clip(config.model)
    reward = clip.ClipReward.create(
        checkpoint,
        goal=goal,
        baseline=env.baseline if config.alpha > 0 else None,
        alpha=config.alpha,
        allow_unknown_words=config.allow_unknown_words,
    )
    settings, size = reward.settings, reward.settings.images.size

    def score(weights: Any, state: Any, poses: Pose) -> Array:
        def judge(block: Pose) -> Array:
            with jax.default_matmul_precision("highest"):
                frames = jax.vmap(lambda pose: env.frame(pose, size, size))(block)
            return clip.score(weights, frames, settings)

        return in_blocks(judge, poses, config.reward_batch)

    return LoopReward(f"clip ({config.model})", reward.weights, (), score, goal)


def in_blocks(judge: Callable[[Pose], Array], poses: Pose, block: int) -> Array:
    """`judge` over poses [*batch], at most `block` at a time, so that memory is set by one number.

    Args:
      judge: poses [n] -> [n].
    """
    batch = poses.qpos.shape[:-1]
    flat = jax.tree.map(lambda x: x.reshape(-1, x.shape[-1]), poses)
    count = flat.qpos.shape[0]
    blocks = -(-count // block)
    size = -(-count // blocks)
    picks = jnp.minimum(jnp.arange(blocks * size), count - 1).reshape(blocks, size)
    judged = jax.lax.map(lambda pick: judge(jax.tree.map(lambda x: x[pick], flat)), picks)
    return judged.reshape(-1)[:count].reshape(batch)
