"""What judges the stored poses inside the loop: frozen weights, a state that learns, a pure score."""

import math
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
      goals: the sentences; none for the ground truth.
    """

    name: str
    weights: Any
    state: Any
    score: Score | None
    goals: tuple[str, ...]


def truth_reward() -> LoopReward:
    """The environment's own reward of every step."""
    return LoopReward("truth", (), (), None, ())


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
    """How much the frame of a pose, drawn at the model's own size, looks like the goal sentences."""
    goals = config.goals or (env.goal,)
    checkpoint = jaxrm.load_clip(config.model)
    reward = clip.ClipReward.create(
        checkpoint,
        goal=goals,
        baseline=(config.baseline or env.baseline) if config.alpha > 0 else None,
        negatives=config.negatives,
        alpha=config.alpha,
        allow_unknown_words=config.allow_unknown_words,
    )
    settings, size = reward.settings, reward.settings.images.size
    block = max(1, config.reward_batch // config.seeds)  # seeds are a batch axis of every block

    def score(weights: Any, state: Any, poses: Pose) -> Array:
        def judge(block: Pose) -> Array:
            with jax.default_matmul_precision("highest"):
                frames = jax.vmap(lambda pose: env.frame(pose, size, size))(block)
            return clip.score(weights, state, frames, settings)

        return in_blocks(judge, poses, block)

    return LoopReward(f"clip ({config.model})", reward.weights, clip.INITIAL_STATE, score, goals)


def scale_rewards(config: PolicyConfig, stats: Any, rewards: Array) -> Array:
    """Shifted and scaled by what was seen so far, so that returns are of order 1; or as they are."""
    if not config.normalize_reward:
        return rewards
    scale = (1.0 - config.gamma) / jnp.maximum(stats.std, 1e-4)
    return ((rewards - stats.mean) * scale).astype(rewards.dtype)


def in_blocks(judge: Callable[[Any], Any], items: Any, block: int) -> Any:
    """`judge` over items [*batch, ...], at most `block` at a time, so that memory is set by one number.

    Args:
      judge: items [n, ...] -> results [n, ...].
      items: poses, whose batch axes are those of `qpos` but the last; or frames, [*batch, h, w, 3].
    """
    batch = items.qpos.shape[:-1] if isinstance(items, Pose) else items.shape[:-3]
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[len(batch) :]), items)
    count = math.prod(batch)
    blocks = -(-count // block)
    size = -(-count // blocks)
    picks = jnp.minimum(jnp.arange(blocks * size), count - 1).reshape(blocks, size)
    judged = jax.lax.map(lambda pick: judge(jax.tree.map(lambda x: x[pick], flat)), picks)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:count].reshape(*batch, *x.shape[2:]), judged)
