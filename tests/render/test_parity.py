"""Frames against those of MuJoCo's own renderer, on random poses of brax's humanoid.

MuJoCo draws round geoms as polyhedra of 28 slices. So pixels on an outline may fall to either side;
they count in the agreement of segmentation. Just inside it a polyhedron falls off more steeply than
the round body; so depth is compared with polyhedra of 280 slices, where all eight neighbours of a
pixel show the same geom.
"""

import functools
from typing import Any

import jax
import mujoco
import numpy as np
import pytest

from bench.render import Peer, free_cameras, random_pose
from jaxrm.render import Scene, render_all

SIZE = 224
CAMERAS = ((3.5, 120, -15, (0, 0, 1)), (4.0, 0, -5, (0, 0, 1)), (2.5, 30, -60, (0, 0, 1)))

pytestmark = pytest.mark.opengl

draw = jax.jit(functools.partial(render_all, height=SIZE, width=SIZE), static_argnames="shadows")


def measure(
    scene: Scene, peer: Peer, fine_peer: Peer, data: mujoco.MjData, camera: tuple[Any, ...]
) -> dict[str, float]:
    ours, theirs = free_cameras(*camera)
    view = scene.view(data, ours)
    lit, dark = (jax.tree.map(np.asarray, draw(scene, view, shadows=shadows)) for shadows in (False, True))
    _, segmentation = peer.geometry(data, theirs)
    depth, _ = fine_peer.geometry(data, theirs)
    agree = segmentation == lit.segmentation
    inner = agree & _inner(segmentation) & (segmentation >= 0)
    error = np.abs(lit.depth - depth)[inner] / depth[inner]
    return {
        "agreement": agree.mean(),
        "depth": error.max(),
        "lit": np.abs(lit.rgb / 255.0 - peer.rgb(data, theirs, shadows=False) / 255.0).mean(),
        "dark": np.abs(dark.rgb / 255.0 - peer.rgb(data, theirs, shadows=True) / 255.0).mean(),
    }


def _inner(ids: np.ndarray) -> np.ndarray:
    """Pixels whose eight neighbours show the same geom."""
    padded = np.pad(ids, 1, mode="edge")
    shifted = [padded[i : i + ids.shape[0], j : j + ids.shape[1]] for i in range(3) for j in range(3)]
    return np.all(np.stack(shifted) == ids, axis=0)


def check(scene: Scene, peer: Peer, fine_peer: Peer, poses: int) -> None:
    rng = np.random.default_rng(1)
    seen = [
        measure(scene, peer, fine_peer, random_pose(peer.model, rng), CAMERAS[i % 3]) for i in range(poses)
    ]
    table = {name: np.array([one[name] for one in seen]) for name in seen[0]}
    for name, values in table.items():
        print(f"{name}: mean {values.mean():.5f}, from {values.min():.5f} to {values.max():.5f}")
    assert table["agreement"].mean() >= 0.99
    assert table["agreement"].min() >= 0.97
    assert table["depth"].max() <= 1e-3
    assert table["lit"].mean() <= 0.03
    assert table["dark"].mean() <= 0.06


def test_random_poses(scene: Scene, peer: Peer, fine_peer: Peer) -> None:
    check(scene, peer, fine_peer, 20)


@pytest.mark.slow
def test_many_random_poses(scene: Scene, peer: Peer, fine_peer: Peer) -> None:
    check(scene, peer, fine_peer, 200)
