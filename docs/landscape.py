"""The reward over the one coordinate that matters, for strengths of goal-baseline regularisation.

    python -m docs.landscape docs/landscape.png [MODEL]

As figure 2 of VLM-RM (arXiv 2310.12921): CartPole's angle and MountainCar's position, with its texture and
without. Grey is where the task's predicate holds. Frames are the tasks' own, as a policy's are.
"""

import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import envs
import jaxrm

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
POINTS = 181
# task -> the label, and a state for each value of the coordinate
COORDINATES: dict[str, tuple[str, float, float, Callable]] = {
    "cartpole": (
        "angle of the pole, degrees",
        -180.0,
        180.0,
        lambda x: jnp.stack([0 * x, jnp.deg2rad(x)], -1),
    ),
    "mountain-car": ("position of the car", -1.2, 0.6, lambda x: x[:, None]),
    "mountain-car/plain": ("position of the car", -1.2, 0.6, lambda x: x[:, None]),
}


def main(out: str, model: str = "scene-clip") -> None:
    clip = jaxrm.load_clip(model)
    size = clip.processor.images.size
    figure, axes = plt.subplots(1, len(COORDINATES), figsize=(12, 3.4), layout="constrained")
    for axis, (task, (label, low, high, state)) in zip(axes, COORDINATES.items(), strict=True):
        env, x = envs.make(task), jnp.linspace(low, high, POINTS)
        poses = jax.vmap(env.pose_at)(state(x))
        frames = jax.jit(jax.vmap(lambda pose, env=env: env.frame(pose, size, size)))(poses)
        for alpha in ALPHAS:
            reward = jaxrm.ClipReward.create(clip, goal=env.goal, baseline=env.baseline, alpha=alpha)
            axis.plot(x, reward(frames), label=f"alpha {alpha:g}", color=plt.get_cmap("viridis")(alpha * 0.9))
        holds = np.asarray(jax.vmap(env.success)(poses))
        axis.fill_between(x, 0, 1, where=holds, transform=axis.get_xaxis_transform(), color="0.88", zorder=0)
        axis.set(title=task, xlabel=label, xlim=(low, high))
    axes[0].set_ylabel("reward")
    axes[0].legend(fontsize=7)
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
