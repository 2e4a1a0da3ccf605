"""A policy judged from the task's own start: every step by the reward and by the predicate."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool, Float, UInt32

from envs.types import Env, State
from jaxrm import metrics
from jaxrm.types import Pose
from train.networks import Actor
from train.rewards import LoopReward, in_blocks
from train.rollout import reset_worlds, step_worlds

EVAL_STREAM = 0x65766C
SUCCESS_SHARE = 0.5  # of an episode's steps in which the predicate must hold


class Rollouts(NamedTuple):
    """Episodes of a policy; `steps` are the states reached by each step, the start is not among them.

    Attributes:
      qpos: generalised coordinates.
      key: of each episode.
      reward: as the run's own reward judges each state.
      truth: as the environment judges each step.
      success: whether the predicate holds.
      alive: False from the step on after which an episode was over early.
    """

    qpos: Float[Array, "episodes steps nq"]
    key: UInt32[Array, "episodes 2"]
    reward: Float[Array, "episodes steps"]
    truth: Float[Array, "episodes steps"]
    success: Bool[Array, "episodes steps"]
    alive: Bool[Array, "episodes steps"]


def make_evaluate(
    env: Env, actor: Actor, reward: LoopReward, mesh: Mesh, *, block: int
) -> Callable[..., Rollouts]:
    """Compiled `evaluate(policy, stats, weights, reward_state, keys) -> Rollouts`; actions are the mode.

    One episode a key, spread over `data`; their number must be a multiple of that axis' devices.
    """

    def evaluate(policy: Any, stats: Any, weights: Any, reward_state: Any, keys: Array) -> Rollouts:
        def on_step(carry: tuple[State, Array], _: None) -> tuple[tuple[State, Array], Any]:
            worlds, alive = carry
            after, valid = step_worlds(env, worlds, actor.act(policy, stats, worlds.obs, None))
            ok = alive & valid
            out = (jax.vmap(env.pose)(after), after.reward, ok)
            kept = jax.tree.map(lambda new, old: _where(alive, new, old), after, worlds)
            return (kept, ok & ~after.terminated), out

        start = (reset_worlds(env, keys), jnp.ones(len(keys), bool))
        _, (poses, truth, ok) = jax.lax.scan(on_step, start, None, length=env.episode_length)
        scores = truth if reward.score is None else reward.score(weights, reward_state, poses)
        with jax.default_matmul_precision("highest"):
            success = in_blocks(jax.vmap(env.success), poses, block)
        ok &= jnp.isfinite(scores)
        rollouts = Rollouts(
            qpos=poses.qpos.astype(jnp.float32),
            key=poses.key,
            reward=jnp.where(ok, scores, 0.0),
            truth=jnp.where(ok, truth, 0.0),
            success=success & ok,
            alive=ok,
        )
        swapped = jax.tree.map(lambda x: x.swapaxes(0, 1), rollouts)
        return swapped._replace(key=poses.key[0])

    everywhere, spread = P(), P("data")
    inputs = (everywhere, everywhere, everywhere, everywhere, spread)
    return jax.jit(jax.shard_map(evaluate, mesh=mesh, in_specs=inputs, out_specs=spread, check_vma=False))


def episode_keys(seed: int, episodes: int, devices: int) -> UInt32[Array, "episodes 2"]:
    """Keys of the episodes, and as many more as make a multiple of the devices."""
    # fold_in(key, i) is split(key)[i]: a number far from those that training splits off
    key = jax.random.fold_in(jax.random.PRNGKey(seed), EVAL_STREAM)
    padded = -(-episodes // devices) * devices
    return jax.vmap(lambda episode: jax.random.fold_in(key, episode))(jnp.arange(padded))


def summary(
    rollouts: Rollouts, threshold: float = math.nan, *, has_truth: bool = True
) -> dict[str, float | None]:
    """Mean reward a step, mean ground-truth return an episode, share of successful episodes and steps.

    `false_positives` is `jaxrm.metrics.false_positive_rate` by `threshold` (see `train/success.py`); None
    where it is not defined: there is no threshold, or the predicate fails nowhere. Without `has_truth` of the
    environment all but the reward are None.
    """
    success, alive = np.asarray(rollouts.success), np.asarray(rollouts.alive)
    wrong = metrics.false_positive_rate(np.asarray(rollouts.reward)[alive], success[alive], threshold)
    figures = {
        "reward": float(np.mean(np.asarray(rollouts.reward, np.float64))),
        "truth_return": float(np.mean(np.sum(np.asarray(rollouts.truth, np.float64), axis=1))),
        "success": float(np.mean(np.mean(success, axis=1) >= SUCCESS_SHARE)),
        "success_steps": float(np.mean(success)),
        "false_positives": None if math.isnan(wrong) else wrong,
    }
    return figures if has_truth else {name: figures[name] if name == "reward" else None for name in figures}


def save(rollouts: Rollouts, path: Any, *, has_truth: bool = True) -> None:
    """As `rollouts.npz`: qpos, key, reward, alive a step; with `has_truth` also truth, success a step, and
    `episode_success`."""
    arrays: dict[str, Any] = {name: np.asarray(x) for name, x in rollouts._asdict().items()}
    arrays["episode_success"] = np.mean(arrays["success"], axis=1) >= SUCCESS_SHARE
    unknown = () if has_truth else ("truth", "success", "episode_success")
    np.savez_compressed(path, **{name: x for name, x in arrays.items() if name not in unknown})


def _where(condition: Array, new: Array, old: Array) -> Array:
    return jnp.where(condition.reshape(condition.shape + (1,) * (new.ndim - condition.ndim)), new, old)


def pose_of(rollouts: Rollouts, episode: int) -> Pose:
    """The poses of one episode, [steps, ...]."""
    qpos: Any = np.asarray(rollouts.qpos[episode])
    key: Any = np.broadcast_to(np.asarray(rollouts.key[episode]), (len(qpos), 2))
    return Pose(qpos, key)
