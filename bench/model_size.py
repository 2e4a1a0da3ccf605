"""How far the reward is from the truth, against the size of the model that gives it (EPIC).

    for w in 16 32 64 128; do         # 5 to 9 minutes each on two CPU cores
        python -m train clip --width $w --text-width $w --images 256000 --out runs/clip-$w; done
    python -m bench.model_size runs/clip-16 runs/clip-32 runs/clip-64 runs/clip-128 \
        --out bench/results/model-size.json --picture docs/model_size.png

What VLM-RM (arXiv 2310.12921) plots for published CLIPs, with models that a CPU can train: the distance
between the cosine and "the task's predicate holds", sqrt((1 - pearson) / 2), over states that no model was
trained on. The same states and cameras for all.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

import jaxrm
from envs.humanoid import tasks
from envs.humanoid.env import Humanoid
from jaxrm.metrics import bootstrap_interval, epic_distance, roc_auc
from train.clip import judge as clip_judge
from train.clip import report as clip_report


@dataclass(frozen=True)
class Config:
    """Compare small CLIPs by how far their rewards are from the predicates."""

    models: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of `train clip`."""
    states: int = 8192
    seed: int = 1
    """Of the states and cameras."""
    out: Path | None = None
    """A JSON file for the figures."""
    picture: Path | None = None


def main(config: Config) -> None:
    env = tasks.factory("kneeling")()
    key_states, key_draw = jax.random.split(jax.random.key(config.seed))
    qpos = clip_judge.held_out_states(env, key_states, config.states)
    rows = [measure(folder, env, qpos, key_draw) for folder in config.models]
    rows.sort(key=lambda row: row["parameters"])
    show(rows)
    if config.out is not None:
        config.out.write_text(json.dumps(rows, indent=1) + "\n")
    if config.picture is not None:
        draw(rows, config.picture)


def measure(folder: Path, env: Humanoid, qpos: Any, key: Any) -> dict[str, Any]:
    """EPIC and AUC of every task whose predicate holds in enough states, and the size of the model."""
    clip = jaxrm.load_clip(folder)
    seen = clip_judge.see(clip, env, qpos, key)
    found = {}
    for name, task in tasks.TASKS.items():
        scores, labels = seen.scores(task.goal), seen.labels(task.bounds)
        if labels.sum() >= clip_judge.FEWEST:
            low, high = bootstrap_interval(scores, labels, seed=0, statistic=epic_distance, resamples=500)
            found[name] = {
                "epic": epic_distance(scores, labels),
                "low": low,
                "high": high,
                "auc": roc_auc(scores, labels),
                "true": int(labels.sum()),
            }
    made = json.loads((folder / clip_report.TRAINING).read_text())
    return {
        "model": folder.name,
        "parameters": sum(x.size for x in jax.tree.leaves(clip.model)),
        "images": made["images"],
        "minutes": made["minutes"],
        "tasks": found,
    }


def mean(row: dict[str, Any], figure: str) -> float:
    return float(np.mean([task[figure] for task in row["tasks"].values()]))


def show(rows: list[dict[str, Any]]) -> None:
    table = Table("model", "parameters", "EPIC, mean of tasks", "AUC, mean", *rows[0]["tasks"])
    for row in rows:
        each = [f"{task['epic']:.3f}" for task in row["tasks"].values()]
        table.add_row(
            row["model"],
            f"{row['parameters']:,}",
            f"{mean(row, 'epic'):.3f}",
            f"{mean(row, 'auc'):.3f}",
            *each,
        )
    Console(width=160).print(table)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    figure, axis = plt.subplots(figsize=(8, 4), layout="constrained")
    sizes = [row["parameters"] for row in rows]
    for name in rows[0]["tasks"]:
        values = [row["tasks"][name] for row in rows]
        middle = np.array([value["epic"] for value in values])
        reach = [middle - [value["low"] for value in values], [value["high"] for value in values] - middle]
        axis.errorbar(sizes, middle, reach, label=name, capsize=2, linewidth=0.8)
    axis.plot(sizes, [mean(row, "epic") for row in rows], "k-", linewidth=2.5, label="mean")
    axis.set(xscale="log", xlabel="parameters", ylabel="EPIC distance to the predicate (0 alike, 1 opposite)")
    figure.legend(loc="outside right center", fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main(tyro.cli(Config, prog="python -m bench.model_size"))
