"""What a reward costs: steps a second of the whole training loop, and the memory of its one program.

    python -m bench.rewards --out bench/results/rewards.json

The same loop by PPO with the true reward, which costs next to nothing; with CLIP at every step, and at as
many frames as the likelihood looks at; with the likelihood of the instruction; and with the interface
learning along. The time of a step beyond that with the true reward is what the reward costs.
"""

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console
from rich.table import Table

with contextlib.redirect_stdout(io.StringIO()):
    from bench.loop import measured_on, start_loop, time_loop
from train import cli
from train.rl.parts import Parts

# with the tower that the likelihood has
CLIP = ("--reward=clip", "--model=scene-clip-fine", "--allow-unknown-words")
LIKELIHOOD = ("--reward=likelihood", "--reward-every=10")
REWARDS = {
    "truth": ("--reward=truth",),
    "CLIP, every step": (*CLIP, "--reward-every=1"),
    "CLIP, every 10th step": (*CLIP, "--reward-every=10"),
    "likelihood, every 10th step": LIKELIHOOD,
    "likelihood, learning along": (*LIKELIHOOD, "--update-interface-every=1"),
}


@dataclass(frozen=True)
class Config:
    """Times the training loop of a task of order with each reward."""

    task: str = "humanoid/raise-and-lower-left-arm"
    iterations: int = 3
    """Of the loop in a timed call."""
    repeats: int = 3
    """Timed calls; the fastest counts."""
    out: Path | None = None
    """A JSON file for the figures."""


def main(config: Config) -> None:
    cli.use_all_cores(foreign=False)
    rows = [measure(config, name, words) for name, words in REWARDS.items()]
    report(rows)
    if config.out is not None:
        figures = {"task": config.task, "rows": rows, **measured_on()}
        config.out.parent.mkdir(parents=True, exist_ok=True)
        config.out.write_text(json.dumps(figures, indent=2) + "\n")


def measure(config: Config, name: str, words: tuple[str, ...]) -> dict[str, Any]:
    """Milliseconds a step of all worlds, and MiB that the program needs: what it is given, and what it
    computes with."""
    policy = cli.parse_policy([config.task, *words])
    parts = Parts.build(policy)
    run, state, frozen = start_loop(policy, parts)
    memory = run.memory_analysis()
    seconds = time_loop(run, state, frozen, config.iterations, config.repeats)
    return {
        "reward": name,
        "env_steps_per_second": policy.steps_per_iteration / seconds,
        "ms_per_step_of_all_worlds": 1e3 * seconds / policy.unroll_length,
        "worlds": policy.num_envs,
        "given_mib": memory.argument_size_in_bytes / 2**20,
        "computing_mib": memory.temp_size_in_bytes / 2**20,
    }


def report(rows: list[dict[str, Any]]) -> None:
    table = Table("reward", "steps/s", "ms a step", "the reward's own", "MiB given", "MiB computing")
    free = rows[0]["ms_per_step_of_all_worlds"]
    for row in rows:
        time = row["ms_per_step_of_all_worlds"]
        figures = f"{row['env_steps_per_second']:,.0f}", f"{time:.1f}", f"{time - free:.1f}"
        table.add_row(row["reward"], *figures, f"{row['given_mib']:.0f}", f"{row['computing_mib']:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main(tyro.cli(Config))
