"""The picture in the README: an ordinary episode of a run, its frames above its reward.

    python -m docs.film_strip runs/humanoid-kneeling-seed0 docs/kneeling.png

The episode is the one whose mean reward is the median, neither the best nor the worst.
"""

import sys
from pathlib import Path

import jax
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from train.rl.evaluation import Rollouts, pose_of
from train.rl.folder import RunFolder
from train.rl.policies import make_env
from train.rl.video import draw_poses

FRAMES, SIZE = 8, 256
REWARDS = {
    "clip": "reward: cosine of frame and sentence",
    "likelihood": "reward: likelihood of the sentence after the frames so far",
    "truth": "reward: measured geometry",
}


def main(run: str, out: str) -> None:
    folder = RunFolder(Path(run))
    config = folder.read_config()
    env = make_env(config)
    with np.load(folder.rollouts) as arrays:
        rollouts = Rollouts(*(arrays[name] for name in Rollouts._fields))
    episode = int(np.argsort(rollouts.reward.mean(1))[len(rollouts.reward) // 2])
    steps = np.linspace(0, rollouts.qpos.shape[1] - 1, FRAMES).round().astype(int)
    frames = draw_poses(env, jax.tree.map(lambda x: x[steps], pose_of(rollouts, episode)), SIZE)

    reward, success = rollouts.reward[episode], rollouts.success[episode]
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(2 * FRAMES, 4.4), height_ratios=(2.0, 1.3), layout="constrained"
    )
    top.imshow(np.concatenate(list(frames), axis=1))
    top.set_axis_off()
    top.set_title(f'"{config.goal or env.goal}"', fontsize=16)
    bottom.plot(reward, color="tab:blue", label=REWARDS[config.reward])
    bottom.fill_between(
        np.arange(len(reward)),
        *bottom.get_ylim(),
        where=success,
        color="tab:green",
        alpha=0.15,
        label="predicate holds",
    )
    bottom.set(xlim=(0, len(reward) - 1), xlabel="step (15 ms)")
    bottom.legend(loc="lower right")
    figure.savefig(out, dpi=80)


if __name__ == "__main__":
    main(*sys.argv[1:])
