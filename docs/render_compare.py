"""Makes render_compare.png: MuJoCo's renderer, ours, and four times the difference, for several poses.

python docs/render_compare.py
"""

import pathlib
import sys

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.render import Peer, free_cameras, humanoid, random_pose  # noqa: E402
from jaxrm.render import Scene, render  # noqa: E402

SIZE = 224
CAMERAS = (
    (3.5, 120, -15, (0, 0, 1)),
    (4.0, 0, -5, (0, 0, 1)),
    (2.5, 30, -60, (0, 0, 1)),
    (1.8, 200, -20, (0, 0, 1)),
)


def main() -> None:
    body, rng = humanoid(), np.random.default_rng(7)
    scene, peer, rows = Scene.from_mujoco(body), Peer(body, SIZE, SIZE), []
    for camera in CAMERAS:
        pose = random_pose(body, rng)
        ours, theirs = free_cameras(*camera)
        strip = []
        for shadows in (False, True):
            a = peer.rgb(pose, theirs, shadows)
            b = np.asarray(render(scene, scene.view(pose, ours), SIZE, SIZE, shadows=shadows))
            strip += [a, b, np.clip(4 * np.abs(a.astype(int) - b), 0, 255).astype(np.uint8)]
        rows.append(np.concatenate(strip, axis=1))
    Image.fromarray(np.concatenate(rows)).save(ROOT / "docs/render_compare.png", optimize=True)
    peer.close()


if __name__ == "__main__":
    main()
