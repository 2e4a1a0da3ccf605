"""The picture of `jaxrm score` in the README: a humanoid kneels down and then sits, drawn by our renderer.

    python -m docs.score docs/score.png

The film goes along straight joint-space paths between named postures; nothing of it is trained or chosen by
its score. It is written as an MP4 and scored by the command line, as any other film would be.
"""

import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import imageio.v3 as imageio
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import envs
from envs.humanoid.postures import LEGS, Sampler
from jaxrm import cli
from train.rl.video import draw_poses

STOPS = ("standing", "standing", "kneeling", "kneeling", "sitting", "sitting")
PROMPTS = (
    "a humanoid robot standing up",
    "a humanoid robot kneeling",
    "a humanoid robot sitting on the floor",
)
FRAMES_PER_STOP, FRAMES_PER_SECOND, SIZE = 25, 25, 256


def path(sampler: Sampler) -> Float[Array, "frames nq"]:
    """Poses from stop to stop, the lowest point of the body always on the floor."""
    arms, zero = sampler.arm_joints("hanging"), jnp.zeros(())
    joints = jnp.stack([sampler.leg_joints(name) + arms for name in STOPS])
    leans = jnp.deg2rad(jnp.array([LEGS[name].lean for name in STOPS]))

    def pose(at: Array) -> Array:
        stop = jnp.minimum(at.astype(int), len(STOPS) - 2)
        share = at - stop
        share = share * share * (3 - 2 * share)  # starts and ends at rest
        between = joints[stop] + share * (joints[stop + 1] - joints[stop])
        lean = leans[stop] + share * (leans[stop + 1] - leans[stop])
        return sampler.qpos(between, lean, zero, zero, zero)

    return jax.jit(jax.vmap(pose))(jnp.linspace(0, len(STOPS) - 1, FRAMES_PER_STOP * (len(STOPS) - 1)))


def main(out: str) -> int:
    env = envs.make("humanoid/kneeling")
    frames = draw_poses(env, jax.vmap(env.pose_at)(path(Sampler(env))), SIZE)
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder, "kneel-then-sit.mp4")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="os.fork", category=RuntimeWarning)  # ffmpeg execs
            imageio.imwrite(film, np.asarray(frames), fps=FRAMES_PER_SECOND, codec="libx264", quality=9)
        code = cli.main(["score", str(film), *PROMPTS, "--out", str(Path(folder, "scores"))])
        if code == 0:
            shutil.copy(Path(folder, "scores", "scores.png"), out)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
