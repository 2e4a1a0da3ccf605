"""Episodes as a film: frames side by side, the reward curve of each drawn under it."""

import functools
import warnings
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import jax
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from envs.types import Env
from train.rl.evaluation import Rollouts, pose_of

FRAMES_PER_SECOND = 25
SHOWN_STEPS = 100  # of an episode at most; longer ones are thinned out
FRAME_BLOCK = 8
CURVE_HEIGHT = 64  # pixels
_MARGIN = 6
_BACK, _LINE, _AHEAD = (24, 26, 30), (90, 180, 250), (70, 74, 82)
_GOOD, _TEXT = (70, 190, 110), (230, 230, 230)


def write_episodes(env: Env, rollouts: Rollouts, path: Path, *, episodes: int, size: int) -> None:
    """The first `episodes` of `rollouts` next to one another, `size` pixels each."""
    episodes = min(episodes, len(rollouts.qpos))
    steps = rollouts.reward.shape[1]
    shown = np.arange(0, steps, -(-steps // SHOWN_STEPS))
    low, high = float(np.min(rollouts.reward[:episodes])), float(np.max(rollouts.reward[:episodes]))
    columns = []
    for episode in range(episodes):
        pictures = draw_poses(env, jax.tree.map(lambda x: x[shown], pose_of(rollouts, episode)), size)
        reward, success = np.asarray(rollouts.reward[episode]), rollouts.success[episode]
        columns.append(
            np.stack(
                [
                    np.concatenate([picture, draw_curve(reward, success, int(step), size, low, high)])
                    for picture, step in zip(pictures, shown, strict=True)
                ]
            )
        )
    film = np.concatenate(columns, axis=2)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="os.fork", category=RuntimeWarning)  # ffmpeg execs at once
        imageio.imwrite(path, film, fps=FRAMES_PER_SECOND, codec="libx264", macro_block_size=2)


def draw_poses(env: Env, poses: Any, size: int) -> UInt8[np.ndarray, "steps size size 3"]:
    """In blocks, the last one filled up by repetition."""
    count = len(poses.qpos)
    draw = _drawer(env, size)
    frames = []
    for start in range(0, count, FRAME_BLOCK):
        picks = np.minimum(np.arange(start, start + FRAME_BLOCK), count - 1)
        frames.append(np.asarray(draw(jax.tree.map(lambda x, p=picks: x[p], poses))))
    return np.concatenate(frames)[:count]


@functools.lru_cache(maxsize=4)
def _drawer(env: Env, size: int) -> Any:
    """Compiled once an environment and size; an environment that is held here keeps its identity."""
    return jax.jit(jax.vmap(lambda pose: env.frame(pose, size, size)))


def draw_curve(
    reward: Float[np.ndarray, "steps"], success: Any, step: int, width: int, low: float, high: float
) -> UInt8[np.ndarray, "height width 3"]:
    """The reward up to `step`, what is to come in grey, success as a green bar at the bottom."""
    image = Image.new("RGB", (width, CURVE_HEIGHT), _BACK)
    draw = ImageDraw.Draw(image)
    xs = np.linspace(_MARGIN, width - _MARGIN, len(reward))
    span = max(high - low, 1e-6)
    ys = CURVE_HEIGHT - 2 * _MARGIN - (reward - low) / span * (CURVE_HEIGHT - 4 * _MARGIN)
    points = list(zip(xs.tolist(), ys.tolist(), strict=True))
    draw.line(points, fill=_AHEAD, width=1)
    draw.line(points[: step + 1], fill=_LINE, width=2)
    for x in xs[: step + 1][np.asarray(success[: step + 1])]:
        draw.rectangle((x - 1, CURVE_HEIGHT - _MARGIN, x + 1, CURVE_HEIGHT - 2), fill=_GOOD)
    x, y = points[step]
    draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=_LINE)
    draw.text((_MARGIN, 2), f"reward {reward[step]:.2f}", fill=_TEXT)
    return np.asarray(image)
