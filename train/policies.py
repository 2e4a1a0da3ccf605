"""Programs around a policy: train it, load it, judge it again."""

import dataclasses
import hashlib
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float
from rich.console import Console
from tensorboardX import SummaryWriter

import envs
from envs.types import Env
from train import evaluation, rewards, video
from train.checkpoint import Checkpoints
from train.config import PolicyConfig
from train.evaluation import Rollouts
from train.folder import RunFolder
from train.networks import ActorCritic, init_statistics, make_actor_critic
from train.program import FIGURES_PER_CALL, Program, TrainState, make_program
from train.rewards import LoopReward
from train.status import StatusLine, announce, training_line

EVAL_BLOCK = 1024  # poses at a time for the predicate


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run: where it lies, what was asked and what came out (`result.json`)."""

    folder: Path
    config: PolicyConfig
    result: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class _Parts:
    """What a run is made of."""

    config: PolicyConfig
    env: Env
    networks: ActorCritic
    reward: LoopReward

    @classmethod
    def build(cls, config: PolicyConfig) -> "_Parts":
        env = make_env(config)
        networks = build_networks(config, env.observation_size, env.action_size)
        return cls(config, env, networks, rewards.make(config, env))

    def compile_evaluate(self, state: TrainState, mesh: Mesh) -> Callable[[TrainState], Rollouts]:
        """Compiled ahead, so that its time can be told from training's."""
        episodes = self.config.eval_episodes
        evaluate: Any = evaluation.make_evaluate(self.env, self.networks, self.reward, mesh, block=EVAL_BLOCK)
        keys = evaluation.episode_keys(self.config.seed, episodes, mesh.shape["data"])
        keys = jax.device_put(keys, NamedSharding(mesh, PartitionSpec("data")))
        weights = self.reward.weights
        arguments = (state.params, state.obs_stats, weights, state.reward_state, keys)
        compiled = evaluate.lower(*arguments).compile()

        def run(state: TrainState) -> Rollouts:
            rollouts = compiled(state.params, state.obs_stats, weights, state.reward_state, keys)
            return jax.tree.map(lambda x: np.asarray(x)[:episodes], rollouts)

        return run


def policy(config: PolicyConfig) -> Run:
    """Trains a policy and leaves everything in the run's folder.

    Raises:
      ValueError: a setting is unknown or does not fit; on `resume`, the config is another one.
      FileExistsError: the folder exists and `resume` is not set.
      FileNotFoundError: `resume` is set and there is no run.
    """
    began = time.monotonic()
    config.validate()
    folder = RunFolder(config.folder)
    folder.check(config)
    parts = _Parts.build(config)
    program = make_program(config, parts.env, parts.networks, parts.reward)
    folder.create(config)
    console = Console()
    told = f'"{parts.reward.goal}"' if parts.reward.goal else "the ground truth"
    announce(console, f"{config.task}: {told} -> {folder.path}")
    if config.goal is not None:
        console.print(f"  note       success is still that of {parts.env.goal!r}", highlight=False)
    with Checkpoints(folder.checkpoints, writes=True) as checkpoints:
        return _Session(parts, program, folder, checkpoints, console, began).train()


def evaluate(run: str | Path) -> dict[str, float]:
    """Judges the newest policy of a run again and writes `rollouts.npz` and `eval.json` anew.

    Raises:
      FileNotFoundError: there is no run, or it has no checkpoint yet.
    """
    folder = RunFolder(Path(run))
    config = folder.read_config()
    parts = _Parts.build(config)
    program = make_program(config, parts.env, parts.networks, parts.reward)
    state, about = _load_state(folder, program)
    if about["weights"] != tree_digest(parts.reward.weights):
        raise ValueError(f"cannot judge {str(folder.path)!r} again: the weights of {config.model!r} changed")
    rollouts = parts.compile_evaluate(state, program.mesh)(state)
    evaluation.save(rollouts, folder.rollouts)
    figures = evaluation.summary(rollouts)
    folder.write_result(figures, "eval.json")
    return figures


def load_policy(run: str | Path) -> Callable[..., Float[Array, "*batch action"]]:
    """The newest policy of a run, as `policy(obs [*batch, observation], key) -> action [*batch, action]`.

    Without a key, or with None, the action is the mode of the policy's distribution.

    Raises:
      FileNotFoundError: there is no run, or it has no checkpoint yet.
    """
    folder = RunFolder(Path(run))
    config = folder.read_config()
    if not folder.checkpoints.is_dir():
        raise FileNotFoundError(f"no checkpoint in {str(folder.path)!r}")
    with Checkpoints(folder.checkpoints) as checkpoints:
        about = checkpoints.about()
        networks = build_networks(config, about["observation_size"], about["action_size"])
        obs = jax.ShapeDtypeStruct((about["observation_size"],), jnp.dtype(about["dtype"]))
        like = jax.eval_shape(lambda key: (networks.init(key), init_statistics(obs)), jax.random.PRNGKey(0))
        here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), like)
        params, stats = checkpoints.restore_policy(like)
    act = jax.jit(networks.act)

    def policy(obs: Float[Array, "*batch obs"], key: Array | None = None) -> Float[Array, "*batch action"]:
        return act(params, stats, obs, key)

    return policy


def make_env(config: PolicyConfig) -> Env:
    """Raises ValueError where the task is unknown or takes no `control`."""
    if config.control is None:
        return envs.make(config.task)
    try:
        return envs.make(config.task, control=config.control)
    except TypeError as error:
        if "control" not in str(error):
            raise
        raise ValueError(f"task {config.task!r} has no choice of control") from error


def build_networks(config: PolicyConfig, observation_size: int, action_size: int) -> ActorCritic:
    return make_actor_critic(
        observation_size,
        action_size,
        policy_hidden=config.policy_hidden,
        value_hidden=config.value_hidden,
        activation=config.activation,
        action_distribution=config.action_distribution,
    )


class _Session:
    """One stretch of training, from the start or from a checkpoint to the end."""

    def __init__(
        self,
        parts: _Parts,
        program: Program,
        folder: RunFolder,
        checkpoints: Checkpoints,
        console: Console,
        began: float,
    ) -> None:
        self.parts, self.program, self.folder = parts, program, folder
        self.checkpoints, self.console = checkpoints, console
        self.config = parts.config
        self.began = began
        self.compile_seconds = 0.0
        self.train_seconds = 0.0
        self.digest = tree_digest(parts.reward.weights)

    def train(self) -> Run:
        state = self._restore_or_init()
        compiling = time.monotonic()
        with ThreadPoolExecutor() as threads:  # XLA compiles a program on one core, so two at a time
            judging = threads.submit(self.parts.compile_evaluate, state, self.program.mesh)
            lowered = self.program.run.lower(state, self.parts.reward.weights, jnp.int32(0))
            advance, judge = lowered.compile(), judging.result()
        self.compile_seconds += time.monotonic() - compiling
        self.console.print(f"  compiled   in {self.compile_seconds:.0f} s", highlight=False)
        start = self._first_row(state, judge)
        with StatusLine(self.console) as status, self._tensorboard(int(state.iteration)) as board:
            state, last = self._advance(state, advance, status, board)
        return self._finish(state, judge(state), start, last)

    def _restore_or_init(self) -> TrainState:
        if self.checkpoints.latest() is None:
            self.folder.metrics.unlink(missing_ok=True)
            return self.program.init(jax.random.PRNGKey(self.config.seed))
        state, about = self.checkpoints.restore(state_like(self.program))
        if about["weights"] != self.digest:
            raise ValueError(
                f"cannot resume {str(self.folder.path)!r}: the weights of {self.config.model!r} changed"
            )
        self.began -= about["wall_seconds"]
        self.train_seconds, self.compile_seconds = about["train_seconds"], about["compile_seconds"]
        self.folder.cut_metrics(int(state.iteration))
        self.console.print(f"  resumed    at iteration {int(state.iteration)}", highlight=False)
        return state

    def _first_row(self, state: TrainState, judge: Callable[[TrainState], Rollouts]) -> dict[str, Any]:
        """How the untrained policy does; read again on resume."""
        rows = self.folder.read_metrics()
        if rows and rows[0]["iteration"] == 0:
            return rows[0]
        rollouts = judge(state)
        row = {
            "iteration": 0,
            "env_steps": 0,
            **{f"eval/{k}": v for k, v in evaluation.summary(rollouts).items()},
        }
        self.folder.append_metrics([row])
        self._video(rollouts, "start")
        return row

    def _advance(
        self, state: TrainState, advance: Any, status: StatusLine, board: SummaryWriter
    ) -> tuple[TrainState, dict[str, Any]]:
        """Host calls until the last iteration; how many iterations a call has changes nothing."""
        config = self.config
        iteration, calls, count = int(state.iteration), 0, 1
        last: dict[str, Any] = {}
        while iteration < config.iterations:
            count = min(count, config.iterations - iteration, FIGURES_PER_CALL)
            called = time.monotonic()
            state, figures = advance(state, self.parts.reward.weights, jnp.int32(count))
            rows = self._rows({k: np.asarray(v) for k, v in figures.items()}, iteration, count)
            seconds = time.monotonic() - called
            self.train_seconds += seconds
            self._log(rows, board)
            iteration, calls, last = iteration + count, calls + 1, rows[-1]
            rate = count * config.steps_per_iteration / seconds
            left = (config.iterations - iteration) * seconds / count
            total = config.iterations * config.steps_per_iteration
            line = training_line(last["env_steps"], total, rate, last["reward"], last["success"], left)
            status.show(line, last=iteration == config.iterations)
            if calls % config.calls_per_checkpoint == 0 or iteration == config.iterations:
                self.checkpoints.save(state, self._about())
            count = max(1, round(config.seconds_per_call * count / seconds))
        return state, last or self.folder.read_metrics()[-1]

    def _rows(self, figures: dict[str, np.ndarray], iteration: int, count: int) -> list[dict[str, Any]]:
        return [
            {
                "iteration": iteration + row + 1,
                "env_steps": (iteration + row + 1) * self.config.steps_per_iteration,
                **{name: column[row].item() for name, column in figures.items()},
            }
            for row in range(count)
        ]

    def _log(self, rows: list[dict[str, Any]], board: SummaryWriter) -> None:
        self.folder.append_metrics(rows)
        for row in rows:
            for name, value in row.items():
                if name not in ("iteration", "env_steps"):
                    board.add_scalar(f"train/{name}", value, row["env_steps"])

    def _tensorboard(self, iteration: int) -> SummaryWriter:
        purge = (iteration + 1) * self.config.steps_per_iteration if iteration else None
        return SummaryWriter(str(self.folder.path), purge_step=purge)

    def _about(self) -> dict[str, Any]:
        env = self.parts.env
        return {
            "observation_size": env.observation_size,
            "action_size": env.action_size,
            "dtype": str(jnp.zeros(()).dtype),
            "weights": self.digest,
            "wall_seconds": time.monotonic() - self.began,
            "train_seconds": self.train_seconds,
            "compile_seconds": self.compile_seconds,
        }

    def _video(self, rollouts: Rollouts, name: str) -> None:
        if self.config.video_episodes > 0:
            video.write_episodes(
                self.parts.env,
                rollouts,
                self.folder.videos / f"{name}.mp4",
                episodes=self.config.video_episodes,
                size=self.config.video_size,
            )

    def _finish(
        self, state: TrainState, rollouts: Rollouts, start: dict[str, Any], last: dict[str, Any]
    ) -> Run:
        config, end = self.config, evaluation.summary(rollouts)
        evaluation.save(rollouts, self.folder.rollouts)
        self._video(rollouts, "end")
        env_steps = int(state.iteration) * config.steps_per_iteration
        result = {
            "task": config.task,
            "goal": self.parts.reward.goal,
            "reward": self.parts.reward.name,
            "seed": config.seed,
            "env_steps": env_steps,
            "wall_seconds": round(time.monotonic() - self.began, 2),
            "train_seconds": round(self.train_seconds, 2),
            "compile_seconds": round(self.compile_seconds, 2),
            "env_steps_per_second": round(env_steps / max(self.train_seconds, 1e-9), 1),
            **{f"{name}_start": start[f"eval/{name}"] for name in end},
            **{f"{name}_end": value for name, value in end.items()},
            "nan_resets": int(last["nan_resets"]),
            "weights": self.digest,
            "device": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
            "versions": versions(),
        }
        self.folder.write_result(result)
        self.console.print(
            f"success {result['success_start']:.0%} -> {result['success_end']:.0%},"
            f" reward {result['reward_start']:.3f} -> {result['reward_end']:.3f},"
            f" {result['wall_seconds']:.0f} s: {self.folder.path}",
            highlight=False,
        )
        return Run(self.folder.path, config, result)


def state_like(program: Program) -> TrainState:
    """Shapes and shardings of a training state, nothing computed."""
    shapes = jax.eval_shape(program.init, jax.random.PRNGKey(0))
    return TrainState(
        *(
            jax.tree.map(lambda x, s=sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), part)
            for part, sharding in zip(shapes, program.shardings, strict=True)
        )
    )


def _load_state(folder: RunFolder, program: Program) -> tuple[TrainState, dict[str, Any]]:
    if not folder.checkpoints.is_dir():
        raise FileNotFoundError(f"no checkpoint in {str(folder.path)!r}")
    with Checkpoints(folder.checkpoints) as checkpoints:
        return checkpoints.restore(state_like(program))


def tree_digest(tree: Any) -> str:
    """Of all arrays of a tree, in order."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()[:16]


def versions() -> dict[str, str]:
    names = ("jax", "jaxlib", "mujoco", "mujoco-mjx", "brax", "flax", "optax")
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in names}}
