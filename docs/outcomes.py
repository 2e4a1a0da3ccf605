"""What policies came to, and what fooled their reward: a row a run.

    python -m docs.outcomes docs/outcomes.png runs/a runs/b ...

On the left the last states of ordinary episodes (spread evenly over their mean rewards), on the right the
states that the reward likes best among those that the task's predicate refuses, one an episode.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import jax
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from envs.types import Env
from train.rl.config import PolicyConfig
from train.rl.evaluation import Rollouts, pose_of
from train.rl.folder import RunFolder
from train.rl.policies import make_env
from train.rl.video import draw_poses

COLUMNS, SIZE = 4, 160


def main(out: str, *runs: str) -> None:
    figure, axes = plt.subplots(
        len(runs), 2 * COLUMNS, figsize=(2 * COLUMNS * 1.5, len(runs) * 1.9), squeeze=False
    )
    for row, run in zip(axes, runs, strict=True):
        config, env, rollouts = read(Path(run))
        draw_states(row[:COLUMNS], env, rollouts, _ordinary(rollouts), "tab:blue")
        draw_states(row[COLUMNS:], env, rollouts, _fooled(rollouts), "tab:red")
        success = rollouts.episode_success.mean()
        row[0].text(
            0, 1.16, f'"{config.goal or env.goal}", {config.control or "position"}: success {success:.0%}',
            transform=row[0].transAxes, fontsize=8,
        )  # fmt: skip
    top = 1 - 0.38 / (len(runs) * 1.9)  # room for the first row's title
    figure.subplots_adjust(left=0.005, right=0.995, bottom=0.005, top=top, wspace=0.03, hspace=0.34)
    figure.savefig(out, dpi=90)


def read(run: Path) -> tuple[PolicyConfig, Env, Rollouts]:
    """A finished run's settings, its environment, and the episodes of its last policy."""
    folder = RunFolder(run)
    config = folder.read_config()
    with np.load(folder.rollouts) as arrays:
        return config, make_env(config), Rollouts(*(arrays[name] for name in Rollouts._fields))


def _ordinary(rollouts: Rollouts) -> list[tuple[int, int]]:
    """(episode, step) of last states; episodes spread evenly over their mean reward."""
    order = np.argsort(rollouts.reward.mean(1))
    picks = order[np.linspace(0, len(order) - 1, COLUMNS + 2).round().astype(int)[1:-1]]
    return [(int(episode), rollouts.reward.shape[1] - 1) for episode in picks]


def _fooled(rollouts: Rollouts) -> list[tuple[int, int]]:
    """(episode, step) of the best liked states without success, best first; fewer where there are none."""
    refused = np.where(rollouts.success | ~rollouts.alive, -np.inf, rollouts.reward)
    steps = refused.argmax(1)
    best = refused[np.arange(len(steps)), steps]
    order = [int(i) for i in np.argsort(-best)[:COLUMNS] if np.isfinite(best[i])]
    return [(episode, int(steps[episode])) for episode in order]


def draw_states(
    axes: Sequence[Axes], env: Env, rollouts: Rollouts, picks: list[tuple[int, int]], colour: str
) -> None:
    """States by (episode, step), each with its reward and whether the predicate holds."""
    for axis in axes:
        axis.axis("off")
    for axis, (episode, step) in zip(axes, picks, strict=False):
        pose = jax.tree.map(lambda x, step=step: x[step : step + 1], pose_of(rollouts, episode))
        axis.imshow(draw_poses(env, pose, SIZE)[0])
        verdict = "holds" if rollouts.success[episode, step] else "refused"
        axis.set_title(
            f"reward {rollouts.reward[episode, step]:.2f}, {verdict}", fontsize=6.5, color=colour, pad=2
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
