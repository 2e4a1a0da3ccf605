"""The humanoid's tasks, learned one after the other: success by the predicate, for every task and control.

    python -m bench.tasks --seeds 0 1 2 --out bench/results/tasks-2-core-cpu.json

Each run is `python -m train policy` in a process of its own; finished runs are kept and not run again, so the
table can be stopped, continued and extended. The file holds a row a run, with the command that made it.
"""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import tyro

from envs.humanoid.tasks import TASKS

KEPT = (
    "seed", "goal", "env_steps", "wall_seconds", "env_steps_per_second", "success_start", "success_end",
    "reward_start", "reward_end", "nan_resets", "device",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """Train on every task with every control and seed, and keep a table."""

    out: Path
    """The table, json; rows of other runs in it stay."""
    tasks: tuple[str, ...] = tuple(TASKS)
    controls: tuple[str, ...] = ("position", "torque")
    seeds: tuple[int, ...] = (0,)
    runs: Path = Path("runs")
    """Where the runs' folders go."""
    options: tuple[str, ...] = field(default=())
    """Further options of `train policy`, each as one word, e.g. --options=--steps=400000."""


def main(config: Config) -> None:
    for seed in config.seeds:
        for control in config.controls:
            for task in config.tasks:
                _row(config, task, control, seed)
    print(table(json.loads(config.out.read_text())))


def _row(config: Config, task: str, control: str, seed: int) -> None:
    folder = config.runs / f"{task}-{control}-seed{seed}"
    words = ["policy", f"humanoid/{task}", f"--control={control}", f"--seed={seed}", *config.options]
    if not (folder / "result.json").is_file():
        subprocess.run([sys.executable, "-m", "train", *words, f"--out={folder}"], check=True)
    result = json.loads((folder / "result.json").read_text())
    row = {"task": task, "control": control, "command": " ".join(["python -m train", *words])}
    row |= {name: result.get(name) for name in KEPT}
    rows = json.loads(config.out.read_text()) if config.out.is_file() else []
    same = ("task", "control", "command")
    rows = [old for old in rows if any(old[name] != row[name] for name in same)] + [row]
    config.out.parent.mkdir(parents=True, exist_ok=True)
    config.out.write_text(json.dumps(rows, indent=1) + "\n")


def table(rows: list[dict]) -> str:
    """Markdown: a line a task and control, success of each seed."""
    lines = ["| task | control | success, by seed | steps | minutes a run |", "|---|---|---|---|---|"]
    groups: dict[tuple[str, str], list[dict]] = {}
    for row in rows:
        groups.setdefault((row["task"], row["control"]), []).append(row)
    for (task, control), group in sorted(groups.items(), key=lambda item: (item[0][1], item[0][0])):
        group = sorted(group, key=lambda row: row["seed"])
        success = ", ".join(f"{row['success_end']:.0%}" for row in group)
        minutes = sum(row["wall_seconds"] for row in group) / len(group) / 60
        lines.append(f"| {task} | {control} | {success} | {group[0]['env_steps']:,} | {minutes:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main(tyro.cli(Config, prog="python -m bench.tasks"))
