"""Makes render_compare.png: one row per stage of `bench.scenes`.

    python -m docs.render_compare [--stages humanoid primitives]

Columns: MuJoCo's renderer, ours, four times the difference; without shadows, then with.
"""

import argparse
import pathlib

import numpy as np
from PIL import Image

from bench.cameras import pair
from bench.peers import Peer
from bench.scenes import STAGES, Stage, random_pose
from jaxrm.render import Scene, render

SIZE = 224
OUT = pathlib.Path(__file__).parent / "render_compare.png"


def row(stage: Stage, seed: int) -> np.ndarray:
    """One pose of a stage, seen by both renderers: uint8 [SIZE, 6 SIZE, 3]."""
    model = stage.model()
    ours, theirs = pair(model, stage.cameras[0])
    pose = random_pose(model, np.random.default_rng(seed))
    scene, peer, strip = Scene.from_mujoco(model), Peer(model, SIZE, SIZE), []
    for shadows in (False, True):
        a = peer.rgb(pose, theirs, shadows)
        b = np.asarray(render(scene, scene.view(pose, ours), SIZE, SIZE, shadows=shadows))
        strip += [a, b, np.clip(4 * np.abs(a.astype(int) - b), 0, 255).astype(np.uint8)]
    peer.close()
    return np.concatenate(strip, axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description="MuJoCo's frames and ours, side by side")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--seed", type=int, default=7, help="of the poses")
    parser.add_argument("--out", type=pathlib.Path, default=OUT)
    options = parser.parse_args()
    rows = [row(STAGES[name], options.seed) for name in options.stages]
    Image.fromarray(np.concatenate(rows)).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
