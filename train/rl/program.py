"""The compiled program: iterations of unroll, reward and learning, sharded over a mesh.

Worlds, keys and a learner's memory belong to a virtual shard. Every device holds the same number of virtual
shards; only sums (gradients, statistics, figures) cross between them. So a run is the same, up to the order
of additions, on any number of devices that divides the number of shards.

Several runs, a task and a seed each, are a batch axis in front of everything but `iteration`: one program,
compiled once, and no number of one run reaches another.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from brax.training.acme import running_statistics
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array

from envs.types import Env, State, has_truth, variables_of, varied
from train.mesh import make_mesh
from train.rl import success
from train.rl.config import PolicyConfig
from train.rl.learner import Experience, Learner, TrainState
from train.rl.networks import init_statistics
from train.rl.rewards import Looks, LoopReward
from train.rl.rollout import (
    Transition,
    first_looks,
    last_scores,
    reset_worlds,
    scored_steps,
    spread_scores,
    stagger,
    successes,
    unroll,
)
from train.rl.starts import vary_starts
from train.sums import AXIS, total, weighted_mean

FIGURES = ("reward", "truth", "success", "false_positives", "masked", "nan_resets")
FIGURES_PER_CALL = 256  # rows of figures that one host call can bring back
REWARD_STREAM = 0x72657764  # of keys that the reward learns with; see `evaluation.episode_keys`
_OF_SHARDS = ("memory", "worlds", "last_score", "reward_memory", "keys")


class Frozen(NamedTuple):
    """What a program takes as arguments and never changes, so that it is compiled once for all such.

    Attributes:
      env: `variables` of the environment; of several tasks, with an axis for the runs.
      reward: weights of the reward.
    """

    env: Any
    reward: Any


class Program(NamedTuple):
    """Compiled on first use.

    Attributes:
      init: `init(key) -> TrainState`; with several runs, of a key for each.
      run: `run(state, frozen, iterations) -> (state, figures)`; the state is donated; figures are
        float32 [FIGURES_PER_CALL] a name, a row an iteration; with several runs [FIGURES_PER_CALL, runs].
      frozen: of the tasks and the reward that the program was made with.
      shardings: of a `TrainState`, a prefix tree.
      runs: how many; with 1 there is no axis for them.
    """

    init: Callable[[Array], TrainState]
    run: Any
    frozen: Frozen
    shardings: TrainState
    mesh: Mesh
    runs: int


def make_program(
    config: PolicyConfig,
    env: Env,
    learner: Learner,
    reward: LoopReward,
    mesh: Mesh | None = None,
    tasks: Sequence[Env] = (),
) -> Program:
    """The training program of a run; or of several, `config.seeds` of each of `tasks`, which may differ from
    `env` in their `variables` alone. Without, all are of `env`.

    Raises:
      ValueError: worlds, shards, devices and batches do not divide, or the task has no varied starts.
    """
    mesh = make_mesh() if mesh is None else mesh
    config.check_shapes(mesh.shape[AXIS])
    tasks, env = tasks or [env], vary_starts(env, config.varied_starts)
    names = (*FIGURES, *learner.figures, *reward.figures)
    runs = config.runs
    specs = _specs(runs)
    shardings = jax.tree.map(
        lambda spec: NamedSharding(mesh, spec), specs, is_leaf=lambda x: isinstance(x, P)
    )

    def init(key: Array, variables: Any) -> TrainState:
        return _init_state(config, varied(env, variables), learner, reward, key)

    def iterate(state: TrainState, frozen: Frozen) -> tuple[TrainState, dict[str, Array]]:
        return _iteration(config, varied(env, frozen.env), learner, reward, state, frozen.reward)

    frozen = Frozen(_variables_of_runs(config, tasks), reward.weights)
    if runs > 1:
        # an axis for all runs of what is theirs
        axes: Any = TrainState._make(None if name == "iteration" else 0 for name in TrainState._fields)
        init = jax.vmap(init, out_axes=axes)
        iterate = jax.vmap(iterate, in_axes=(axes, Frozen(0, reward.axes)), out_axes=(axes, 0))
    many = _repeated(iterate, names, () if runs == 1 else (runs,))
    sharded = jax.shard_map(
        many, mesh=mesh, in_specs=(specs, P(), P()), out_specs=(specs, P()), check_vma=False
    )
    begin = jax.jit(init, out_shardings=shardings)
    return Program(
        init=lambda key: begin(key, frozen.env),
        run=jax.jit(sharded, donate_argnums=0),
        frozen=frozen,
        shardings=shardings,
        mesh=mesh,
        runs=runs,
    )


def _repeated(
    iterate: Callable[[TrainState, Frozen], tuple[TrainState, dict[str, Array]]],
    names: Sequence[str],
    row: tuple[int, ...],
) -> Callable[[TrainState, Frozen, Array], tuple[TrainState, dict[str, Array]]]:
    """`count` iterations, and a row of figures of each, as `Program.run` gives them."""

    def many(state: TrainState, frozen: Frozen, count: Array) -> tuple[TrainState, dict[str, Array]]:
        rows = {name: jnp.zeros((FIGURES_PER_CALL, *row), jnp.float32) for name in names}

        def body(
            index: Array, carry: tuple[TrainState, dict[str, Array]]
        ) -> tuple[TrainState, dict[str, Array]]:
            state, rows = carry
            state, figures = iterate(state, frozen)
            return state, {
                name: rows[name].at[index].set(figures[name].astype(jnp.float32)) for name in names
            }

        return jax.lax.fori_loop(0, count, body, (state, rows))

    return many


def _variables_of_runs(config: PolicyConfig, tasks: Sequence[Env]) -> Any:
    """Of one run; with several, of all seeds of the first task, then of the next."""
    if config.runs == 1:
        return variables_of(tasks[0])
    each = map(variables_of, tasks)
    return jax.tree.map(lambda *leaves: jnp.repeat(jnp.stack(leaves), config.seeds, axis=0), *each)


def _specs(runs: int) -> Any:
    """Where the leaves of a training state lie: what belongs to shards is spread over `data`."""
    spread = P(AXIS) if runs == 1 else P(None, AXIS)
    return TrainState._make(spread if name in _OF_SHARDS else P() for name in TrainState._fields)


def _init_state(
    config: PolicyConfig, env: Env, learner: Learner, reward: LoopReward, key: Array
) -> TrainState:
    network_key, world_key, stagger_key, shard_key = jax.random.split(key, 4)
    params, opt_state = learner.init(network_key)
    worlds = reset_worlds(env, jax.random.split(world_key, config.num_envs))
    # where looks divide an episode, each ends in one: else three worlds in four never see their last state
    looks = 1 if reward.score is None else math.gcd(config.reward_every, env.episode_length)
    stride = max(reward.stride, looks)
    worlds = stagger(env, worlds, jax.random.split(stagger_key, config.num_envs), stride)
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), worlds)
    reward_memory = reward.begin(config.num_envs)
    worlds, reward_memory = jax.tree.map(
        lambda x: x.reshape(config.num_shards, -1, *x.shape[1:]), (worlds, reward_memory)
    )
    return TrainState(
        params=params,
        opt_state=opt_state,
        memory=learner.init_memory(one.obs, jax.eval_shape(env.pose, one)),
        obs_stats=init_statistics(worlds.obs[0, 0]),
        reward_stats=init_statistics(jnp.zeros(())),
        reward_state=reward.state,
        success=success.none_seen(worlds.reward.dtype),
        worlds=worlds,
        last_score=jnp.full_like(worlds.reward, jnp.nan),
        reward_memory=reward_memory,
        keys=jax.random.split(shard_key, config.num_shards),
        iteration=jnp.zeros((), jnp.int32),
    )


def _iteration(
    config: PolicyConfig, env: Env, learner: Learner, reward: LoopReward, state: TrainState, weights: Any
) -> tuple[TrainState, dict[str, Array]]:
    """One iteration on this device's shards."""
    shape = state.worlds.time.shape  # shards, worlds a shard
    keys = jax.vmap(lambda key: jax.random.split(key, 4))(state.keys)
    worlds, steps = collect(config, env, learner, state, keys[:, 0], keys[:, 1])
    scores, last_score, reward_memory = judge(config, env, reward, state, weights, steps)
    valid = steps.valid & jnp.isfinite(scores)
    scores = jnp.where(valid, scores, 0.0)
    weight = valid.astype(scores.dtype)

    if config.normalize_reward:
        reward_stats = running_statistics.update(
            state.reward_stats, scores, weights=weight, pmap_axis_name=AXIS
        )
        state = state._replace(reward_stats=reward_stats)
    params, opt_state, memory, figures = learner.learn(state, Experience(steps, scores, valid), keys[:, 2])
    reward_keys = jax.vmap(lambda key: jax.random.fold_in(key, REWARD_STREAM))(keys[:, 3])
    reward_state, learnt = reward.learn(
        weights, state.reward_state, reward_memory, reward_keys, state.iteration
    )
    holds = _success_now(env, steps)
    seen, false_positives = success.update(state.success, scores[-1], holds, valid[-1], AXIS)
    figures |= learnt | {
        "reward": weighted_mean(scores, weight, AXIS),
        "truth": weighted_mean(steps.truth, weight, AXIS),
        "success": total(holds, AXIS) / total(jnp.ones_like(holds), AXIS),
        "false_positives": false_positives,
        "masked": total(~valid, AXIS),
        "nan_resets": total(worlds.info["nan_resets"], AXIS),
    }
    if not has_truth(env):
        figures |= dict.fromkeys(("truth", "success", "false_positives"), jnp.full((), jnp.nan))
    after = state._replace(
        params=params,
        opt_state=opt_state,
        memory=memory,
        obs_stats=running_statistics.update(state.obs_stats, steps.obs, weights=weight, pmap_axis_name=AXIS),
        reward_state=reward_state,
        success=seen,
        worlds=jax.tree.map(lambda x: x.reshape(*shape, *x.shape[1:]), worlds),
        last_score=last_score.reshape(shape),
        reward_memory=jax.tree.map(lambda x: x.reshape(*shape, *x.shape[1:]), reward_memory),
        keys=keys[:, 3],
        iteration=state.iteration + 1,
    )
    return after, figures


def collect(
    config: PolicyConfig,
    env: Env,
    learner: Learner,
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
    return unroll(env, lambda obs, noise: learner.explore(state, obs, noise), worlds, fresh, noise)


def judge(
    config: PolicyConfig, env: Env, reward: LoopReward, state: TrainState, weights: Any, steps: Transition
) -> tuple[Array, Array, Any]:
    """The reward of every step: of the state it reached, the last of an episode included.

    Returns:
      Scores [time, envs], NaN where none belongs to the step's episode; those to go on from, [envs]; and what
      the reward remembers, leaves [envs, ...].
    """
    done = steps.terminated | steps.truncated
    memory = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), state.reward_memory)
    if reward.score is None:
        return steps.truth, last_scores(steps.truth, done), memory
    every, before = config.reward_every, state.last_score.reshape(-1)
    picks = np.array(scored_steps(config.unroll_length, every))
    poses = jax.tree.map(lambda x: x[picks], steps.pose)
    looks = Looks(poses, first_looks(done, every), done[-1])
    scores, memory = reward.read(env, weights, state.reward_state, memory, looks)
    # where a world went bad the pose is that of a fresh one, and no step before it shall be judged by that
    scores = jnp.where(steps.valid[picks], scores, jnp.nan)
    between = reward.between(config.reward_between)
    spread = spread_scores(scores.astype(steps.truth.dtype), done, every, before, between)
    return spread, last_scores(spread, done), memory


def _success_now(env: Env, steps: Transition) -> Array:
    """Worlds in which the predicate holds at the last step of the unroll, which is always scored."""
    poses, past = jax.tree.map(lambda x: x[-1], (steps.pose, steps.past))
    return successes(env, poses, past) & steps.valid[-1]


def state_like(program: Program) -> TrainState:
    """Shapes and shardings of a training state, nothing computed."""
    key = jax.random.PRNGKey(0)
    shapes = jax.eval_shape(program.init, key if program.runs == 1 else jnp.stack([key] * program.runs))
    return TrainState(
        *(
            jax.tree.map(lambda x, s=sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), part)
            for part, sharding in zip(shapes, program.shardings, strict=True)
        )
    )


def split_runs(state: TrainState, runs: int) -> list[TrainState]:
    """The states of single runs; copies where there are several."""
    if runs == 1:
        return [state]
    rest = state._replace(iteration=())
    return [
        jax.tree.map(lambda x, i=index: x[i], rest)._replace(iteration=state.iteration)
        for index in range(runs)
    ]


def join_runs(states: list[TrainState], program: Program) -> TrainState:
    """The inverse of `split_runs`."""
    if len(states) == 1:
        return states[0]
    together = jax.jit(
        lambda states: jax.tree.map(lambda *x: jnp.stack(x), *states)._replace(iteration=states[0].iteration),
        out_shardings=program.shardings,
        donate_argnums=0,
    )
    return together(states)
