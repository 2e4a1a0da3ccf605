"""Draws the humanoid's skins from the camera presets: python -m docs.skins OUT.png"""

import sys

import imageio.v3 as imageio
import jax
import numpy as np

import envs
from envs.humanoid.skins import SKINS
from envs.humanoid.tasks import CAMERAS


def main(out: str) -> None:
    rows = []
    for camera in CAMERAS:
        row = []
        for skin in SKINS:
            env = envs.make("humanoid/kneeling", skin=skin, camera=camera)
            row.append(np.asarray(env.frame(env.pose(env.reset(jax.random.key(0))), 224, 224)))
        rows.append(np.concatenate(row, axis=1))
    imageio.imwrite(out, np.concatenate(rows))


if __name__ == "__main__":
    main(sys.argv[1])
