"""VLM-RM's study in kind, with models that can be trained here: policies run by run, and a table a study.

    python -m bench.study alpha --out bench/results/alpha-2-core-cpu.json
    python -m bench.study tasks --seeds 1 --options=--steps=1500000 --out FILE --picture FILE.png

Each row is `python -m train policy`, its seeds in one program, in a process of its own; finished runs are
kept and not run again, so that a study can be stopped, continued and extended. docs/study.md has their times
and results.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import tyro
from matplotlib.axes import Axes

from bench import runs
from envs.humanoid.paraphrases import PARAPHRASES
from envs.humanoid.tasks import CAMERAS, ORDERED, TASKS

# No task's prompt. Captions of training claim none of the postures with these arms in the last three.
SENTENCES = (
    "a humanoid robot sitting on the floor with one arm raised",
    "a humanoid robot squatting with its arms stretched out sideways",
    "a humanoid robot lying on its back",
    "a humanoid robot on all fours",
    "a humanoid robot kneeling on one knee",
    "a humanoid robot standing on its left leg",
    "a humanoid robot standing with its left arm raised",
    "a humanoid robot kneeling with outstretched arms",
    "a humanoid robot sitting on the floor with both arms raised",
    "a humanoid robot squatting with both arms ahead",
)
SIZES = (16, 32, 64, 128)  # widths of the models that `bench.model_size` compares
# A frame every 4 steps. By the sentence SAC holds more poles after 80,000 steps than PPO after 400,000.
# Judging 100 of the car's episodes of 999 steps would cost more than training.
CLASSIC = {
    "cartpole": ("cartpole", "--algo=sac"),
    "mountain-car": ("mountain-car", "--steps=400000", "--eval-episodes=32"),
    "mountain-car/plain": ("mountain-car/plain", "--steps=400000", "--eval-episodes=32"),
}
OVER_TIME = {
    "truth": ("--reward=truth",),
    "likelihood, frozen": ("--reward=likelihood",),
    "likelihood, learning along": ("--reward=likelihood", "--update-interface-every=1"),
    # with the tower that the likelihood has
    "CLIP": ("--reward=clip", "--model=scene-clip-fine", "--allow-unknown-words"),
}
STUDIES: dict[str, dict[str, tuple[str, ...]]] = {
    "tasks": {
        f"{task}, {control}": (f"humanoid/{task}", f"--control={control}")
        for control in ("position", "torque")
        for task in TASKS
    },
    "alpha": {
        f"{task}, alpha {alpha:g}": (*CLASSIC[task], f"--alpha={alpha:g}")
        for task in ("cartpole", "mountain-car")
        for alpha in (0.0, 0.25, 0.5, 0.75, 1.0)
    },
    "looks": {
        "mountain-car, textured": CLASSIC["mountain-car"],
        "mountain-car, plain": CLASSIC["mountain-car/plain"],
        "cartpole, camera follow": (*CLASSIC["cartpole"], "--camera=follow"),
        "cartpole, camera rail": (*CLASSIC["cartpole"], "--camera=rail"),
        **{f"kneeling, camera {name}": ("humanoid/kneeling", f"--camera={name}") for name in CAMERAS},
    },
    "learners": {f"kneeling, {algo}": ("humanoid/kneeling", f"--algo={algo}") for algo in ("ppo", "sac")},
    "wordings": {
        sentence: (f"humanoid/{task}", "--allow-unknown-words", f"--goal={sentence}")
        for task, others in PARAPHRASES.items()
        for sentence in (TASKS[task].goal, *others)
    },
    "sentences": {
        sentence.removeprefix("a humanoid robot "): ("humanoid/kneeling", f"--goal={sentence}")
        for sentence in SENTENCES
    },
    "order": {
        f"{task}, {name}": (f"humanoid/{task}", *words)
        for task in ORDERED
        for name, words in OVER_TIME.items()
    },
    "size": {f"width {width}": ("humanoid/kneeling", f"--model=runs/clip-{width}") for width in SIZES},
}
SHARES = ("success_end", "success_steps_end", "false_positives_end")
FIGURES = (*SHARES, "success_start", "truth_return_end", "reward_end")
# Of the training worlds: shares of them at the end of each unroll, and the mean reward. Where it rises and
# success falls, the sentence is misspecified.
LOGGED = ("success", "false_positives", "reward")
SAME = ("env_steps", "train_seconds", "device")  # of all seeds of a program


@dataclass(frozen=True)
class Config:
    """Run the rows of a study that are not there yet, and print its table."""

    study: tyro.conf.Positional[str]
    """One of STUDIES, e.g. tasks, alpha, looks, learners."""
    out: Path
    """The table, json; other rows in it stay."""
    rows: tuple[str, ...] = ()
    """Those of one of these names, or, where none is called so, those with it in their name; all without."""
    seeds: int = 3
    runs: Path = Path("runs/study")
    """Where the runs' folders go."""
    picture: Path | None = None
    """Success over steps and seconds, false positives over steps, and success in the end."""
    options: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Further options of `train policy`, each as one word, e.g. --options=--steps=400000, as often as wanted;
    they go to all rows that are run, so that those of one reward alone need --rows."""


def main(config: Config) -> None:
    if config.study not in STUDIES:
        raise SystemExit(f"no study {config.study!r}; there are {', '.join(STUDIES)}")
    table = json.loads(config.out.read_text()) if config.out.is_file() else {}
    rows = STUDIES[config.study]
    for name, words in rows.items():
        if not config.rows or any(part == name if part in rows else part in name for part in config.rows):
            table[name] = run(config, name, words)
            config.out.parent.mkdir(parents=True, exist_ok=True)
            config.out.write_text(json.dumps(table, indent=1) + "\n")
    print(markdown(table))
    if config.picture is not None:
        draw(table, config.picture)


def run(config: Config, name: str, words: Sequence[str]) -> dict[str, Any]:
    """Trains, unless that is done, and reads what came out."""
    folder = config.runs / config.study / "".join(c if c.isalnum() else "-" for c in name)
    words = [*words, *config.options]
    seats, results = zip(*runs.train(folder, words, config.seeds), strict=True)
    return {
        "command": runs.command(["policy", *words, f"--seeds={config.seeds}"]),
        "goal": results[0]["goal"],
        **{figure: results[0][figure] for figure in SAME},
        "wall_seconds": max(result["wall_seconds"] for result in results),
        **{figure: [result[figure] for result in results] for figure in FIGURES},
        **{f"{name}_over_steps": [curve(seat / "metrics.jsonl", name) for seat in seats] for name in LOGGED},
    }


def curve(metrics: Path, name: str, points: int = 50) -> list[tuple[int, float]]:
    """A figure of the training worlds over the steps, means of equal stretches; none if it was not known."""
    rows = [json.loads(line) for line in metrics.read_text().splitlines()]
    seen = [(row["env_steps"], row[name]) for row in rows if row.get(name) is not None]
    if not seen:
        return []
    parts = np.array_split(np.array(seen), min(points, len(seen)))
    return [(int(part[-1, 0]), round(float(part[:, 1].mean()), 4)) for part in parts]


def since_best(row: dict[str, Any]) -> list[tuple[float, float] | None]:
    """What each seed's training worlds have lost of success since it was highest, and gained of reward since:
    where both are more than noise, the reward asks for something else. Where they never succeeded the loss is
    nan and the gain that of the whole run. None where either is not known."""
    found: list[tuple[float, float] | None] = []
    successes = row["success_over_steps"]
    for success, reward in zip(successes, row.get("reward_over_steps", [[]] * len(successes)), strict=True):
        if not (success and reward):
            found.append(None)
            continue
        steps, share = np.array(success).T
        paid = np.interp(steps, *np.array(reward).T)
        best = int(np.argmax(share))
        lost = float(share[best] - share[-1]) if share[best] > 0 else float("nan")
        found.append((lost, float(paid[-1] - paid[best])))
    return found


def _told_since(since: tuple[float, float] | None) -> str:
    if since is None:
        return "-"
    lost, gained = since
    return f"{'never succeeded' if np.isnan(lost) else f'{lost:.0%}'} {gained:+.3f}"


def markdown(table: dict[str, Any]) -> str:
    """A line a row, success of each seed."""
    lines = [
        "| | success, by seed | of the steps | false positives | lost of success in training since its best, "
        "gained of reward | steps a seed | minutes, all seeds |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in table.items():
        cells = [name, *(_shares(row[figure]) for figure in SHARES)]
        since = since_best(row)
        cells.append(", ".join(map(_told_since, since)) or "-")
        cells += [f"{row['env_steps']:,}", f"{row['wall_seconds'] / 60:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _shares(values: list[float | None]) -> str:
    return ", ".join("-" if value is None else f"{value:.0%}" for value in values)


def draw(table: dict[str, Any], path: Path) -> None:
    figure, axes = plt.subplots(1, 4, figsize=(17, 2.6 + 0.25 * len(table)), layout="constrained")
    steps, seconds, wrong, final = axes
    colours = plt.get_cmap("turbo")(np.linspace(0.05, 0.95, len(table)))
    for place, (row, colour) in enumerate(zip(table.values(), colours, strict=True)):
        rate = row["train_seconds"] / row["env_steps"]
        for axis, name, scale in (
            (steps, "success", 1),
            (seconds, "success", rate),
            (wrong, "false_positives", 1),
        ):
            for values in filter(None, row[f"{name}_over_steps"]):
                x, y = np.array(values).T
                axis.plot(x * scale, y, color=colour, linewidth=1)
        final.barh(place, np.mean(row["success_end"]), color=colour, alpha=0.5)
        final.plot(row["success_end"], [place] * len(row["success_end"]), "o", color=colour)
    _label(steps, "environment steps a seed", "worlds with success, in training")
    _label(seconds, "seconds of training, all seeds, at the mean rate", "worlds with success, in training")
    _label(wrong, "environment steps a seed", "false positives, in training")
    _label(final, "success in the end, by seed", "")
    final.set(
        yticks=range(len(table)), yticklabels=list(table), ylim=(len(table) - 0.5, -0.5), xlim=(-0.02, 1.02)
    )
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _label(axis: Axes, x: str, y: str) -> None:
    axis.set(xlabel=x, ylabel=y, ylim=(-0.02, 1.02))


if __name__ == "__main__":
    main(tyro.cli(Config, prog="python -m bench.study"))
