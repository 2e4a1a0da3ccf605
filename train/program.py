"""The compiled program: iterations of unroll, reward, advantages and updates, sharded over a mesh.

Worlds, keys and minibatch shuffles belong to a virtual shard. Every device holds the same number
of virtual shards; only sums (gradients, statistics, figures) cross between them. So a run is the
same, up to the order of additions, on any number of devices that divides the number of shards.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from brax.training.acme import running_statistics
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array

from envs.types import Env, State
from train import ppo
from train.config import PolicyConfig
from train.networks import ActorCritic, init_statistics
from train.rewards import LoopReward
from train.rollout import (
    Transition,
    reset_worlds,
    scored_steps,
    spread_scores,
    stagger,
    unroll,
)

AXIS = "data"
FIGURES = (
    "reward",
    "truth",
    "success",
    "policy_loss",
    "value_loss",
    "entropy",
    "kl",
    "clipped",
    "grad_norm",
    "masked",
    "nan_resets",
)
FIGURES_PER_CALL = 256  # rows of figures that one host call can bring back


class TrainState(NamedTuple):
    """Everything that training goes on from. `worlds` and `keys` are [shards, ...]."""

    params: Any
    opt_state: Any
    obs_stats: running_statistics.RunningStatisticsState
    reward_stats: running_statistics.RunningStatisticsState
    reward_state: Any
    worlds: State
    keys: Array
    iteration: Array


_SHARDED: Any = TrainState._make(
    P(AXIS) if name in ("worlds", "keys") else P() for name in TrainState._fields
)


class Program(NamedTuple):
    """Compiled on first use.

    Attributes:
      init: `init(key) -> TrainState`.
      run: `run(state, weights, iterations) -> (state, figures)`; the state is donated; figures are
        float32 [FIGURES_PER_CALL] a name, a row an iteration.
      shardings: of a `TrainState`, a prefix tree.
    """

    init: Callable[[Array], TrainState]
    run: Any
    shardings: TrainState
    mesh: Mesh


def make_mesh(devices: list[Any] | None = None) -> Mesh:
    """All devices along `data`; `model` is there for large frozen encoders."""
    devices = jax.devices() if devices is None else devices
    return Mesh(np.array(devices).reshape(-1, 1), ("data", "model"))


def make_program(
    config: PolicyConfig, env: Env, networks: ActorCritic, reward: LoopReward, mesh: Mesh | None = None
) -> Program:
    """The training program of a run.

    Raises:
      ValueError: worlds, shards, devices and minibatches do not divide.
    """
    mesh = make_mesh() if mesh is None else mesh
    config.check_shapes(mesh.shape[AXIS])
    optimizer = ppo.make_optimizer(
        config.learning_rate,
        config.max_grad_norm,
        config.iterations * config.epochs * config.minibatches if config.decay else None,
    )
    shardings = jax.tree.map(
        lambda spec: NamedSharding(mesh, spec), _SHARDED, is_leaf=lambda x: isinstance(x, P)
    )

    def init(key: Array) -> TrainState:
        return _init_state(config, env, networks, reward, optimizer, key)

    def iterate(state: TrainState, weights: Any) -> tuple[TrainState, dict[str, Array]]:
        return _iteration(config, env, networks, reward, optimizer, state, weights)

    def many(state: TrainState, weights: Any, count: Array) -> tuple[TrainState, dict[str, Array]]:
        rows = {name: jnp.zeros(FIGURES_PER_CALL, jnp.float32) for name in FIGURES}

        def body(
            index: Array, carry: tuple[TrainState, dict[str, Array]]
        ) -> tuple[TrainState, dict[str, Array]]:
            state, rows = carry
            state, figures = iterate(state, weights)
            return state, {
                name: rows[name].at[index].set(figures[name].astype(jnp.float32)) for name in FIGURES
            }

        return jax.lax.fori_loop(0, count, body, (state, rows))

    sharded = jax.shard_map(
        many, mesh=mesh, in_specs=(_SHARDED, P(), P()), out_specs=(_SHARDED, P()), check_vma=False
    )
    return Program(
        init=jax.jit(init, out_shardings=shardings),
        run=jax.jit(sharded, donate_argnums=0),
        shardings=shardings,
        mesh=mesh,
    )


def _init_state(
    config: PolicyConfig,
    env: Env,
    networks: ActorCritic,
    reward: LoopReward,
    optimizer: optax.GradientTransformation,
    key: Array,
) -> TrainState:
    network_key, world_key, stagger_key, shard_key = jax.random.split(key, 4)
    params = networks.init(network_key)
    worlds = reset_worlds(env, jax.random.split(world_key, config.num_envs))
    worlds = stagger(env, worlds, jax.random.split(stagger_key, config.num_envs))
    return TrainState(
        params=params,
        opt_state=optimizer.init(params),
        obs_stats=init_statistics(worlds.obs[0]),
        reward_stats=init_statistics(jnp.zeros(())),
        reward_state=reward.state,
        worlds=jax.tree.map(lambda x: x.reshape(config.num_shards, -1, *x.shape[1:]), worlds),
        keys=jax.random.split(shard_key, config.num_shards),
        iteration=jnp.zeros((), jnp.int32),
    )


def _iteration(
    config: PolicyConfig,
    env: Env,
    networks: ActorCritic,
    reward: LoopReward,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    weights: Any,
) -> tuple[TrainState, dict[str, Array]]:
    """One iteration on this device's shards."""
    shards, per_shard = state.worlds.time.shape
    keys = jax.vmap(lambda key: jax.random.split(key, 4))(state.keys)
    worlds, steps = collect(config, env, networks, state, keys[:, 0], keys[:, 1])
    scores = judge(config, reward, state.reward_state, weights, steps)
    valid = steps.valid & jnp.isfinite(scores)
    scores = jnp.where(valid, scores, 0.0)
    weight = valid.astype(scores.dtype)

    reward_stats, learned = _normalize_rewards(config, state.reward_stats, scores, weight)
    samples = make_samples(config, networks, state, steps, learned, valid)
    by_shard = jax.tree.map(lambda x: split_shards(x, shards, per_shard), samples)
    params, opt_state, figures = ppo.update(
        state.params,
        state.opt_state,
        state.obs_stats,
        by_shard,
        keys[:, 2],
        networks=networks,
        optimizer=optimizer,
        costs=ppo.LossCosts(config.clip, config.value_cost, config.entropy_cost),
        epochs=config.epochs,
        minibatches=config.minibatches,
        axis=AXIS,
    )
    figures |= {
        "reward": ppo.weighted_mean(scores, weight, AXIS),
        "truth": ppo.weighted_mean(steps.truth, weight, AXIS),
        "success": _success_now(env, steps),
        "masked": ppo.total(~valid, AXIS),
        "nan_resets": ppo.total(worlds.info["nan_resets"], AXIS),
    }
    after = TrainState(
        params=params,
        opt_state=opt_state,
        obs_stats=running_statistics.update(state.obs_stats, steps.obs, weights=weight, pmap_axis_name=AXIS),
        reward_stats=reward_stats,
        reward_state=state.reward_state,
        worlds=jax.tree.map(lambda x: x.reshape(shards, per_shard, *x.shape[1:]), worlds),
        keys=keys[:, 3],
        iteration=state.iteration + 1,
    )
    return after, figures


def collect(
    config: PolicyConfig,
    env: Env,
    networks: ActorCritic,
    state: TrainState,
    reset_keys: Array,
    noise_keys: Array,
) -> tuple[State, Transition]:
    """An unroll of this device's worlds, flat [shards x worlds a shard].

    Start states for worlds whose episode ends are drawn once an unroll, not at each of its steps.
    """
    per_shard = state.worlds.time.shape[1]
    worlds = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), state.worlds)
    fresh_keys = jax.vmap(lambda key: jax.random.split(key, per_shard))(reset_keys)
    fresh = reset_worlds(env, fresh_keys.reshape(-1, fresh_keys.shape[-1]))
    shape = (config.unroll_length, per_shard, env.action_size)
    noise = jax.vmap(lambda key: jax.random.normal(key, shape, worlds.obs.dtype))(noise_keys)
    noise = noise.swapaxes(0, 1).reshape(config.unroll_length, -1, env.action_size)
    return unroll(env, networks, state.params, state.obs_stats, worlds, fresh, noise)


def judge(
    config: PolicyConfig, reward: LoopReward, reward_state: Any, weights: Any, steps: Transition
) -> Array:
    """The reward of every step: of the state it reached, the last of an episode included."""
    if reward.score is None:
        return steps.truth
    picks = np.array(scored_steps(config.unroll_length, config.reward_every))
    poses = jax.tree.map(lambda x: x[picks], steps.pose)
    scores = reward.score(weights, reward_state, poses)
    done = steps.terminated | steps.truncated
    return spread_scores(scores.astype(steps.truth.dtype), done, config.reward_every)


def make_samples(
    config: PolicyConfig,
    networks: ActorCritic,
    state: TrainState,
    steps: Transition,
    rewards: Array,
    valid: Array,
) -> ppo.Samples:
    """What the update learns from, [time, envs, ...]."""
    advantages, targets = ppo.generalized_advantages(
        rewards,
        networks.values(state.params, state.obs_stats, steps.obs),
        networks.values(state.params, state.obs_stats, steps.next_obs),
        steps.terminated,
        steps.truncated,
        valid,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
    )
    weight = valid.astype(rewards.dtype)
    advantages = ppo.normalize_advantages(advantages, weight, AXIS)
    return ppo.Samples(steps.obs, steps.action, steps.log_prob, advantages, targets, weight)


def _normalize_rewards(config: PolicyConfig, stats: Any, rewards: Array, weight: Array) -> tuple[Any, Array]:
    """Shifts and scales rewards by what was seen so far, so that returns are of order 1."""
    if not config.normalize_reward:
        return stats, rewards
    stats = running_statistics.update(stats, rewards, weights=weight, pmap_axis_name=AXIS)
    scale = (1.0 - config.gamma) / jnp.maximum(stats.std, 1e-4)
    return stats, ((rewards - stats.mean) * scale).astype(rewards.dtype)


def split_shards(x: Array, shards: int, per_shard: int) -> Array:
    """[time, shards x worlds, ...] -> [shards, time x worlds, ...]."""
    x = x.reshape(x.shape[0], shards, per_shard, *x.shape[2:])
    return x.swapaxes(0, 1).reshape(shards, -1, *x.shape[3:])


def _success_now(env: Env, steps: Transition) -> Array:
    """Share of worlds in which the predicate holds at the last step of the unroll."""
    poses = jax.tree.map(lambda x: x[-1], steps.pose)
    with jax.default_matmul_precision("highest"):
        holds = jax.vmap(env.success)(poses) & steps.valid[-1]
    return ppo.total(holds, AXIS) / ppo.total(jnp.ones_like(holds), AXIS)
