"""What policies come to that were told a sentence, be it a task's or not: states with their reward.

    python -m docs.sentences docs/sentences.png RUN ...

Of each run the episode of the median mean reward, after a quarter, half, three quarters of its time and in
the end; two runs a row. The share is of all episodes that succeed.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from docs.outcomes import COLUMNS, draw_states, read
from train.rl.evaluation import Rollouts


def main(out: str, *runs: str) -> None:
    rows = (len(runs) + 1) // 2
    figure, axes = plt.subplots(rows, 2 * COLUMNS, figsize=(2 * COLUMNS * 1.5, rows * 1.9), squeeze=False)
    halves = axes.reshape(2 * rows, COLUMNS)  # four states a run, two runs a row
    for half in halves[len(runs) :]:
        for axis in half:
            axis.axis("off")
    for half, run in zip(halves, runs, strict=False):
        config, env, rollouts = read(Path(run))
        draw_states(half, env, rollouts, over_time(rollouts), "tab:blue")
        told = f'"{config.goals[0] if config.goals else env.goal}": {rollouts.episode_success.mean():.0%}'
        half[0].text(0, 1.16, told, transform=half[0].transAxes, fontsize=8)
    figure.subplots_adjust(
        left=0.005, right=0.995, bottom=0.005, top=1 - 0.38 / (rows * 1.9), wspace=0.03, hspace=0.34
    )
    figure.savefig(out, dpi=90)


def over_time(rollouts: Rollouts) -> list[tuple[int, int]]:
    """(episode, step) of the median episode."""
    order = np.argsort(rollouts.reward.mean(1))
    steps = rollouts.reward.shape[1] * (1 + np.arange(COLUMNS)) // COLUMNS - 1
    return [(int(order[len(order) // 2]), int(step)) for step in steps]


if __name__ == "__main__":
    main(*sys.argv[1:])
