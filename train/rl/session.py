"""One stretch of training on the host: calls of the program, figures, checkpoints, films, results.

Every task and seed has a run's folder of its own, the same as that of a single run: a seat.
"""

import contextlib
import dataclasses
import math
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from tensorboardX import SummaryWriter

from envs.types import Env, has_truth
from train.films import episodes
from train.rl import evaluation, video
from train.rl.checkpoint import Checkpoints
from train.rl.config import PolicyConfig
from train.rl.evaluation import Rollouts
from train.rl.folder import RunFolder
from train.rl.learner import TrainState
from train.rl.parts import Parts, judged_part
from train.rl.program import FIGURES_PER_CALL, Program, join_runs, make_program, split_runs, state_like
from train.rl.status import StatusLine, training_line

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Seat:
    """A run's own config, folder, checkpoints and environment; `number` is its place in the program."""

    config: PolicyConfig
    folder: RunFolder
    checkpoints: Checkpoints
    number: int
    env: Env

    def first_row(self, judge: Callable[[], Rollouts]) -> Row:
        """How the untrained policy does; read again on resume."""
        rows = self.folder.read_metrics()
        if rows and rows[0]["iteration"] == 0:
            return rows[0]
        rollouts = judge()
        summary = evaluation.summary(rollouts, has_truth=has_truth(self.env))
        figures = {f"eval/{k}": v for k, v in summary.items()}
        row = {"iteration": 0, "env_steps": 0, **figures}
        self.folder.append_metrics([row])
        self.film(rollouts, "start")
        return row

    def log(self, rows: list[Row], board: SummaryWriter) -> None:
        self.folder.append_metrics(rows)
        for row in rows:
            for name, value in row.items():
                if name not in ("iteration", "env_steps") and value is not None:
                    board.add_scalar(f"train/{name}", value, row["env_steps"])

    def board(self, iteration: int) -> SummaryWriter:
        purge = (iteration + 1) * self.config.steps_per_iteration if iteration else None
        return SummaryWriter(str(self.folder.path), purge_step=purge)

    def film(self, rollouts: Rollouts, name: str) -> None:
        if self.config.video_episodes > 0:
            video.write_episodes(
                self.env,
                rollouts,
                self.folder.videos / f"{name}.mp4",
                episodes=self.config.video_episodes,
                size=self.config.video_size,
            )


class Session:
    """From the start or from a checkpoint to the end, for one run or several in one program."""

    def __init__(
        self, parts: Parts, program: Program, seats: list[Seat], console: Console, began: float
    ) -> None:
        self.parts, self.program, self.seats = parts, program, seats
        self.config, self.console, self.began = parts.config, console, began
        self.compile_seconds = 0.0
        self.train_seconds = 0.0
        self.origins = [parts.origin_of(seat.number) for seat in seats]

    def train(self) -> list[Row]:
        """Trains to the end; the results of all seats, as written to their folders."""
        state = self._restore_or_init()
        compiling = time.monotonic()
        with ThreadPoolExecutor() as threads:  # XLA compiles a program on one core, so two at a time
            judged = judged_part(split_runs(state._replace(memory=()), self.program.runs)[0])
            judging = threads.submit(self.parts.compile_evaluate, judged, self.program.mesh)
            lowered = self.program.run.lower(state, self.program.frozen, jnp.int32(0))
            advance, judge = lowered.compile(), judging.result()
        self.compile_seconds += time.monotonic() - compiling
        self.console.print(f"  compiled   in {self.compile_seconds:.0f} s", highlight=False)
        starts = [
            seat.first_row(lambda one=one, seat=seat: judge(judged_part(one), seat.config.seed, seat.number))
            for seat, one in self._each(state)
        ]
        with StatusLine(self.console) as status, contextlib.ExitStack() as stack:
            boards = [stack.enter_context(seat.board(int(state.iteration))) for seat in self.seats]
            state, lasts = self._advance(state, advance, status, boards)
        results = []
        for (seat, one), start, last in zip(self._each(state), starts, lasts, strict=True):
            rollouts = judge(judged_part(one), seat.config.seed, seat.number)
            results.append(self._finish(seat, one, rollouts, start, last))
        return results

    def _each(self, state: TrainState) -> list[tuple[Seat, TrainState]]:
        """Seats with their own state, all but its memory."""
        states = split_runs(state._replace(memory=()), self.program.runs)
        return list(zip(self.seats, states, strict=True))

    def _restore_or_init(self) -> TrainState:
        latest = [seat.checkpoints.latest() for seat in self.seats]
        iterations = [iteration for iteration in latest if iteration is not None]
        if len(iterations) < len(latest):  # killed before each seed had its first checkpoint
            for seat in self.seats:
                seat.checkpoints.clear()
                seat.folder.metrics.unlink(missing_ok=True)
            keys = [jax.random.PRNGKey(seat.config.seed) for seat in self.seats]
            return self.program.init(keys[0] if self.program.runs == 1 else jnp.stack(keys))
        common = min(iterations)  # a kill may have come between two seeds' checkpoints
        single = dataclasses.replace(self.config, also=(), seeds=1)
        parts = self.parts
        one = make_program(single, parts.env, parts.learner, parts.reward, self.program.mesh)
        like, states, about = state_like(one), [], {}
        for seat, origin in zip(self.seats, self.origins, strict=True):
            about = seat.checkpoints.about(common)
            parts.check_origin(about, origin, f"cannot resume {str(seat.folder.path)!r}")
            state, _ = seat.checkpoints.restore(like, common)
            seat.checkpoints.clear(after=common)
            seat.folder.cut_metrics(common)
            states.append(state)
        self.began -= about["wall_seconds"]
        self.train_seconds, self.compile_seconds = about["train_seconds"], about["compile_seconds"]
        self.console.print(f"  resumed    at iteration {common}", highlight=False)
        return join_runs(states, self.program)

    def _advance(
        self, state: TrainState, advance: Any, status: StatusLine, boards: list[SummaryWriter]
    ) -> tuple[TrainState, list[Row]]:
        """Host calls until the last iteration; how many iterations a call has changes nothing."""
        config = self.config
        iteration, calls, count = int(state.iteration), 0, 1
        lasts: list[Row] = []
        while iteration < config.iterations:
            count = min(count, self._until_kept(iteration), FIGURES_PER_CALL)
            called = time.monotonic()
            state, figures = advance(state, self.program.frozen, jnp.int32(count))
            rows = self._rows({k: np.asarray(v) for k, v in figures.items()}, iteration, count)
            self._check_scored(rows)
            seconds = time.monotonic() - called
            self.train_seconds += seconds
            for seat, board, of_seat in zip(self.seats, boards, rows, strict=True):
                seat.log(of_seat, board)
            iteration, calls, lasts = iteration + count, calls + 1, [of_seat[-1] for of_seat in rows]
            left = (config.iterations - iteration) * seconds / count
            self._show(status, lasts, count / seconds, left, last=iteration == config.iterations)
            if self.parts.reward.keep and iteration in episodes.moments(config.iterations):
                self._keep(state)
            if calls % config.calls_per_checkpoint == 0 or iteration == config.iterations:
                self._save(state)
            count = max(1, round(config.seconds_per_call * count / seconds))
        return state, lasts or [seat.folder.read_metrics()[-1] for seat in self.seats]

    def _save(self, state: TrainState) -> None:
        for seat in self.seats:  # no run may drop its old checkpoint while another still needs its own
            seat.checkpoints.wait()
        for seat, one in zip(self.seats, split_runs(state, self.program.runs), strict=True):
            seat.checkpoints.save(one, self._about(seat))

    def _until_kept(self, iteration: int) -> int:
        """Iterations until episodes are kept, or the end."""
        last = self.config.iterations
        stops = episodes.moments(last) if self.parts.reward.keep else (last,)
        return min(stop for stop in stops if stop > iteration) - iteration

    def _keep(self, state: TrainState) -> None:
        """Running episodes; a resumed run writes the same ones again."""
        assert self.parts.reward.keep is not None
        for seat, one in self._each(state):
            name = f"{int(state.iteration):09}.npz"  # in the order of time
            self.parts.reward.keep(one.reward_memory, seat.folder.episodes / name)

    def _rows(self, figures: dict[str, np.ndarray], iteration: int, count: int) -> list[list[Row]]:
        """Rows of each seat; a figure that is not defined is None."""
        columns = {name: x.reshape(len(x), len(self.seats)) for name, x in figures.items()}

        def row_of(seat: int, row: int) -> Row:
            values = {name: column[row, seat].item() for name, column in columns.items()}
            return {
                "iteration": iteration + row + 1,
                "env_steps": (iteration + row + 1) * self.config.steps_per_iteration,
                **{name: None if math.isnan(value) else value for name, value in values.items()},
            }

        return [[row_of(seat, row) for row in range(count)] for seat in range(len(self.seats))]

    def _check_scored(self, rows: list[list[Row]]) -> None:
        """Raise a ValueError where no step of an iteration counted: nothing was learnt from, and all that is
        normalised by what was seen is lost."""
        for row in (row for of_seat in rows for row in of_seat):
            if row["masked"] == self.config.steps_per_iteration:
                raise ValueError(
                    f"no step of iteration {row['iteration']} counts: its physics or its reward "
                    f"({self.parts.reward.name}) is not finite anywhere; what was learnt until the last "
                    "checkpoint is kept"
                )

    def _show(
        self, status: StatusLine, lasts: list[Row], iterations_per_second: float, left: float, *, last: bool
    ) -> None:
        per_iteration = self.config.steps_per_iteration * len(self.seats)
        steps, total = (per_iteration * x for x in (lasts[0]["iteration"], self.config.iterations))
        reward, success = (_mean([row[name] for row in lasts]) for name in ("reward", "success"))
        rate = per_iteration * iterations_per_second
        status.show(training_line(steps, total, rate, reward, success, left), last=last)

    def _about(self, seat: Seat) -> Row:
        env = self.parts.env
        return {
            "observation_size": env.observation_size,
            "action_size": env.action_size,
            "dtype": str(jnp.zeros(()).dtype),
            **self.origins[seat.number],
            "wall_seconds": time.monotonic() - self.began,
            "train_seconds": self.train_seconds,
            "compile_seconds": self.compile_seconds,
        }

    def _finish(self, seat: Seat, state: TrainState, rollouts: Rollouts, start: Row, last: Row) -> Row:
        config, threshold = seat.config, float(state.success.threshold)
        known = has_truth(self.parts.env)
        end = evaluation.summary(rollouts, threshold, stride=self.parts.reward.stride, has_truth=known)
        evaluation.save(rollouts, seat.folder.rollouts, has_truth=known)
        if self.parts.reward.save:
            self.parts.reward.save(state.reward_state, seat.folder.interface)
        seat.film(rollouts, "end")
        env_steps = int(state.iteration) * config.steps_per_iteration
        goals = config.goals or ((seat.env.goal,) if self.config.also else self.parts.reward.goals)
        result = {
            "task": config.task,
            "goal": goals[0] if len(goals) == 1 else list(goals) or None,
            "success_of": seat.env.goal if known else None,  # the task's own where nobody knows the goal's
            "reward": self.parts.reward.name,
            "algo": config.algo,
            "seed": config.seed,
            "env_steps": env_steps,
            "wall_seconds": round(time.monotonic() - self.began, 2),
            "train_seconds": round(self.train_seconds, 2),
            "compile_seconds": round(self.compile_seconds, 2),
            "env_steps_per_second": round(env_steps / max(self.train_seconds, 1e-9), 1),
            "runs_in_program": len(self.seats),
            **{f"{name}_start": start[f"eval/{name}"] for name in end},
            **{f"{name}_end": value for name, value in end.items()},
            "success_score": None if math.isnan(threshold) else threshold,
            "nan_resets": int(last["nan_resets"]),
            "weights": self.origins[seat.number]["weights"],
            "device": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
            "versions": versions(),
        }
        seat.folder.write_result(result)
        success = (
            f"success {result['success_start']:.0%} -> {result['success_end']:.0%}"
            if known
            else "success not known"
        )
        self.console.print(
            f"{success}, reward {_shown(result['reward_start'])} -> {_shown(result['reward_end'])},"
            f" {result['wall_seconds']:.0f} s: {seat.folder.path}",
            highlight=False,
        )
        return result


def _shown(reward: float | None) -> str:
    return "not defined" if reward is None else f"{reward:.3f}"


def _mean(values: list[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else math.nan


def versions() -> dict[str, str]:
    names = ("jax", "jaxlib", "mujoco", "mujoco-mjx", "brax", "flax", "optax")
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in names}}
