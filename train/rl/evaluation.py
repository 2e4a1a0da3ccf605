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

from envs.types import Env, State, is_ordered, past_of, varied
from jaxrm import metrics
from jaxrm.types import Pose
from train.rl.networks import Actor
from train.rl.rewards import Looks, LoopReward, in_blocks
from train.rl.rollout import first_looks, reset_worlds, spread_scores, step_worlds, successes

EVAL_STREAM = 0x65766C
SUCCESS_SHARE = 0.5  # of an episode's steps in which the predicate must hold


class Rollouts(NamedTuple):
    """Episodes of a policy; `steps` are the states reached by each step, the start is not among them.

    Attributes:
      qpos: generalised coordinates.
      key: of each episode.
      reward: as the run's own reward judges each state.
      truth: as the environment judges each step.
      success: whether the predicate holds; of a task of order, for what was done up to this step.
      alive: False from the step on after which an episode was over early, and where the reward is not finite.
      episode_success: whether the episode as a whole is a success.
    """

    qpos: Float[Array, "episodes steps nq"]
    key: UInt32[Array, "episodes 2"]
    reward: Float[Array, "episodes steps"]
    truth: Float[Array, "episodes steps"]
    success: Bool[Array, "episodes steps"]
    alive: Bool[Array, "episodes steps"]
    episode_success: Bool[Array, "episodes"]


def make_evaluate(
    env: Env, actor: Actor, reward: LoopReward, mesh: Mesh, *, block: int, between: str = "linear"
) -> Callable[..., Rollouts]:
    """Compiled `evaluate(policy, stats, variables, weights, reward_state, keys) -> Rollouts`.

    Actions are the mode. `variables` are the environment's (`envs.types.variables_of`). One episode a key,
    spread over `data`; their number must be a multiple of that axis' devices. `between` two looks of a reward
    of trajectories a step gets what `spread_scores` says.

    Raises:
      ValueError: such looks do not end with the episode.
    """
    stride = reward.stride
    if env.episode_length % stride:
        raise ValueError(f"{stride} steps from look to look do not divide an episode of {env.episode_length}")

    body = env

    def evaluate(
        policy: Any, stats: Any, variables: Any, weights: Any, reward_state: Any, keys: Array
    ) -> Rollouts:
        env = varied(body, variables)

        def on_step(carry: tuple[State, Array], _: None) -> tuple[tuple[State, Array], Any]:
            worlds, alive = carry
            after, valid = step_worlds(env, worlds, actor.act(policy, stats, worlds.obs, None))
            ok = alive & valid
            seen = jax.vmap(lambda state: (env.pose(state), past_of(env, state)))(after)
            out = (*seen, after.reward, ok)
            kept = jax.tree.map(lambda new, old: _where(alive, new, old), after, worlds)
            return (kept, ok & ~after.terminated), out

        start = (reset_worlds(env, keys), jnp.ones(len(keys), bool))
        _, (poses, past, truth, ok) = jax.lax.scan(on_step, start, None, length=env.episode_length)
        scores = truth if reward.score is None else _judge(env, reward, weights, reward_state, poses, between)
        success = in_blocks(lambda seen: successes(env, *seen), (poses, past), block, axes=2)
        scored = ok & jnp.isfinite(scores)
        by_step = dict(
            qpos=poses.qpos.astype(jnp.float32),
            reward=jnp.where(scored, scores, 0.0),
            truth=jnp.where(ok & jnp.isfinite(truth), truth, 0.0),
            success=success & ok,
            alive=scored,
        )
        return Rollouts(
            **jax.tree.map(lambda x: x.swapaxes(0, 1), by_step),
            key=poses.key[0],
            episode_success=episode_success(by_step["success"].T, ordered=is_ordered(env)),
        )

    everywhere, spread = P(), P("data")
    inputs = (everywhere, everywhere, everywhere, everywhere, everywhere, spread)
    return jax.jit(jax.shard_map(evaluate, mesh=mesh, in_specs=inputs, out_specs=spread, check_vma=False))


def _judge(
    env: Env, reward: LoopReward, weights: Any, reward_state: Any, poses: Pose, between: str
) -> Float[Array, "steps episodes"]:
    """Of one episode a world, begun with its first pose."""
    done = jnp.zeros(poses.qpos.shape[:2], bool).at[-1].set(True)
    last = reward.stride - 1
    looks = Looks(
        jax.tree.map(lambda x: x[last :: reward.stride], poses), first_looks(done, reward.stride), done[-1]
    )
    scores, _ = reward.read(env, weights, reward_state, reward.begin(done.shape[1]), looks)
    nothing = jnp.full(done.shape[1], jnp.nan)
    return spread_scores(scores, done, reward.stride, nothing, reward.between(between))


def episode_success(success: Bool[Array, "episodes steps"], *, ordered: bool) -> Bool[Array, "episodes"]:
    """Of an episode: the predicate holds in at least half of its steps, or where it is one of the order in
    which things happened, after the last."""
    return success[:, -1] if ordered else success.mean(axis=1) >= SUCCESS_SHARE


def episode_keys(seed: int, episodes: int, devices: int) -> UInt32[Array, "episodes 2"]:
    """Keys of the episodes, and as many more as make a multiple of the devices."""
    # fold_in(key, i) is split(key)[i]: a number far from those that training splits off
    key = jax.random.fold_in(jax.random.PRNGKey(seed), EVAL_STREAM)
    padded = -(-episodes // devices) * devices
    return jax.vmap(lambda episode: jax.random.fold_in(key, episode))(jnp.arange(padded))


def summary(
    rollouts: Rollouts, threshold: float = math.nan, *, stride: int = 1, has_truth: bool = True
) -> dict[str, float | None]:
    """Mean reward of the steps that have one, None where none has; mean ground-truth return an episode, share
    of successful episodes and steps.

    `false_positives` is `jaxrm.metrics.false_positive_rate` by `threshold` (see `train/rl/success.py`); None
    where it is not defined: there is no threshold, or the predicate fails nowhere. It is of the steps at
    which the reward looked, every `stride`-th (`LoopReward.stride`). Without `has_truth` of the environment
    all but the reward are None.
    """
    success, looked = np.asarray(rollouts.success), np.array(rollouts.alive)
    looked[:, np.arange(looked.shape[1]) % stride != stride - 1] = False
    wrong = metrics.false_positive_rate(np.asarray(rollouts.reward)[looked], success[looked], threshold)
    rewards = np.asarray(rollouts.reward, np.float64)[np.asarray(rollouts.alive)]
    figures = {
        "reward": float(np.mean(rewards)) if len(rewards) else None,
        "truth_return": float(np.mean(np.sum(np.asarray(rollouts.truth, np.float64), axis=1))),
        "success": float(np.mean(rollouts.episode_success)),
        "success_steps": float(np.mean(success)),
        "false_positives": None if math.isnan(wrong) else wrong,
    }
    return figures if has_truth else {name: figures[name] if name == "reward" else None for name in figures}


def save(rollouts: Rollouts, path: Any, *, has_truth: bool = True) -> None:
    """As `rollouts.npz`: qpos, key, reward, alive a step; with `has_truth` also truth, success a step, and
    `episode_success`."""
    arrays: dict[str, Any] = {name: np.asarray(x) for name, x in rollouts._asdict().items()}
    unknown = () if has_truth else ("truth", "success", "episode_success")
    np.savez_compressed(path, **{name: x for name, x in arrays.items() if name not in unknown})


def _where(condition: Array, new: Array, old: Array) -> Array:
    return jnp.where(condition.reshape(condition.shape + (1,) * (new.ndim - condition.ndim)), new, old)


def pose_of(rollouts: Rollouts, episode: int) -> Pose:
    """The poses of one episode, [steps, ...]."""
    qpos: Any = np.asarray(rollouts.qpos[episode])
    key: Any = np.broadcast_to(np.asarray(rollouts.key[episode]), (len(qpos), 2))
    return Pose(qpos, key)
