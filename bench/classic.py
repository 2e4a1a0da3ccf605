"""PPO and SAC on classic control with the true reward, beside Stable-Baselines3 and the best return known.

    python -m bench.classic --out bench/results/classic-2-core-cpu.json       (extras `parity` and `peers`)

Ours is `python -m train policy TASK --algo ALGO --reward truth --seeds N`, the peer
`bench.stable_baselines`: the same worlds, number of steps, 100 starts a seed, and settings where both have
them. The best return known is that of dynamic programming (`bench.best_return`) where a task has two
coordinates, the most that an episode can give for cart and pole, and for swing-up the best policy in the
table. `share` is the part of the way from the untrained policy's return to it. Finished runs are kept, so
that the table can be stopped and continued.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from bench import best_return, runs
from train.rl import evaluation, recipes

TASKS = ("pendulum", "cartpole", "cartpole/swing-up", "mountain-car")
MOST = {"cartpole": 200.0}  # of an episode, where it is known without search


@dataclass(frozen=True)
class Config:
    """Train everything that is not there yet, and print the table."""

    out: Path
    """The table, json; rows of other runs in it stay."""
    tasks: tuple[str, ...] = TASKS
    algos: tuple[str, ...] = ("ppo", "sac")
    seeds: int = 5
    peer_seeds: int = 5
    """Of Stable-Baselines3, which trains them one after the other."""
    runs: Path = Path("runs/classic")
    """Where our runs' folders go."""


def main(config: Config) -> None:
    if config.peer_seeds > config.seeds:
        raise SystemExit(
            "peer_seeds is above seeds: every seed of the peer is judged from the starts of ours"
        )
    rows = json.loads(config.out.read_text()) if config.out.is_file() else {}
    for task in config.tasks:
        for algo in config.algos:
            row = rows.setdefault(f"{task}, {algo}", {"task": task, "algo": algo})
            row["ours"] = ours(config, task, algo)
            settings = json.loads(json.dumps(recipes.of([task], algo) | {"steps": row["ours"]["steps"]}))
            if row.get("settings") != settings:  # the peer ran with those of an earlier version
                row |= {"settings": settings, "stable_baselines3": []}
            peers = row["stable_baselines3"]
            for seed in range(len(peers), config.peer_seeds):
                peers.append(peer(task, algo, seed, row["ours"]["steps"]))
                _write(config.out, rows)
            _write(config.out, rows)
    best = {row["task"]: best_known(row["task"], list(rows.values())) for row in rows.values()}
    for row in rows.values():
        row["best_known"] = best[row["task"]][: len(row["ours"]["truth_return"])]
    _write(config.out, rows)
    show(list(rows.values()))


def _write(path: Path, rows: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1) + "\n")


def ours(config: Config, task: str, algo: str) -> dict[str, Any]:
    words = [task, f"--algo={algo}", "--reward=truth"]
    folder = config.runs / f"{task.replace('/', '-')}-{algo}"
    results = [result for _, result in runs.train(folder, words, config.seeds)]
    return {
        "command": runs.command(["policy", *words, f"--seeds={config.seeds}"]),
        "steps": results[0]["env_steps"],
        "truth_return_start": [result["truth_return_start"] for result in results],
        "truth_return": [result["truth_return_end"] for result in results],
        "success": [result["success_end"] for result in results],
        "train_seconds": results[0]["train_seconds"],
    }


def peer(task: str, algo: str, seed: int, steps: int) -> dict[str, Any]:
    words = ["bench.stable_baselines", task, "--algo", algo, "--seed", str(seed), "--steps", str(steps)]
    done = subprocess.run([sys.executable, "-m", *words], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def best_known(task: str, rows: list[dict[str, Any]]) -> list[float]:
    """A mean return for every seed: of its own 100 starts where it is computed, which takes minutes."""
    mine = [row for row in rows if row["task"] == task]
    seeds = max(len(row["ours"]["truth_return"]) for row in mine)
    if task in best_return.SPACES:
        known = max((row.get("best_known", []) for row in mine), key=len)
        if len(known) >= seeds:
            return known[:seeds]
        keys = [evaluation.episode_keys(seed, 100, 1) for seed in range(seeds)]
        found = best_return.best_returns(task, np.concatenate(keys), points=401, actions=21)
        return np.asarray(found, np.float64).reshape(seeds, -1).mean(axis=1).tolist()
    returns = [x for row in mine for x in row["ours"]["truth_return"]]
    returns += [run["truth_return"] for row in mine for run in row["stable_baselines3"]]
    return [MOST.get(task, max(returns))] * seeds


def shares(row: dict[str, Any], returns: list[float]) -> list[float]:
    """Of the way from the untrained policy to the best known."""
    ends = zip(row["ours"]["truth_return_start"], row["best_known"], strict=True)
    return [(x - low) / (best - low) for x, (low, best) in zip(returns, ends, strict=False)]


def show(rows: list[dict[str, Any]]) -> None:
    table = Table(
        "task", "algo", "steps", "best known", "ours, mean by seed", "share, worst", "minutes, all seeds",
        "SB3, mean by seed", "share, worst", "minutes, all seeds",
    )  # fmt: skip
    for row in rows:
        mine, theirs = row["ours"], row["stable_baselines3"]
        table.add_row(
            row["task"],
            row["algo"],
            f"{mine['steps']:,}",
            f"{np.mean(row['best_known']):.1f}",
            *_columns(row, mine["truth_return"], mine["train_seconds"]),
            *_columns(row, [x["truth_return"] for x in theirs], sum(x["train_seconds"] for x in theirs)),
        )
    Console(width=180).print(table)


def _columns(row: dict[str, Any], returns: list[float], seconds: float) -> tuple[str, str, str]:
    if not returns:
        return "-", "-", "-"
    numbers = ", ".join(f"{x:.0f}" for x in returns)
    return numbers, f"{min(shares(row, returns)):.0%}", f"{seconds / 60:.1f}"


if __name__ == "__main__":
    main(tyro.cli(Config, prog="python -m bench.classic"))
