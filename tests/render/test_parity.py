"""Frames against those of MuJoCo's own renderer, on random poses of every stage in `bench.scenes`.

MuJoCo draws round geoms as polyhedra of 28 slices. So pixels on an outline may fall to either side;
they count in the agreement of segmentation. Just inside it a polyhedron falls off more steeply than
the round body; so depth is compared with polyhedra of many more slices, where all eight neighbours of
a pixel show the same geom.
"""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import jax
import mujoco
import numpy as np
import pytest

from bench.cameras import CameraPair, pair
from bench.peers import Peer
from bench.scenes import STAGES, random_pose
from jaxrm.render import Scene, render_all

SIZE = 224
QUICK_POSES, MANY_POSES = 12, 200
FINE_SLICES, FEW_GEOMS = 280, 50  # where geoms are many they are small, and half the slices serve

pytestmark = pytest.mark.opengl

draw = jax.jit(functools.partial(render_all, height=SIZE, width=SIZE), static_argnames="shadows")


class Oracle(NamedTuple):
    """A stage, our scene of it, and MuJoCo's renderer with few and with many slices."""

    model: mujoco.MjModel
    cameras: list[CameraPair]
    scene: Scene
    peer: Peer
    fine_peer: Peer


@pytest.fixture(scope="module", params=STAGES)
def oracle(request: pytest.FixtureRequest) -> Iterator[Oracle]:
    stage = STAGES[request.param]
    model = stage.model()
    scene = Scene.from_mujoco(model)
    slices = FINE_SLICES if model.ngeom < FEW_GEOMS else FINE_SLICES // 2
    try:
        peer, fine_peer = Peer(model, SIZE, SIZE), Peer(model, SIZE, SIZE, slices=slices)
    except RuntimeError as error:
        pytest.skip(str(error))
    yield Oracle(model, [pair(model, eye) for eye in stage.cameras], scene, peer, fine_peer)
    peer.close()
    fine_peer.close()


def measure(oracle: Oracle, data: mujoco.MjData, camera: CameraPair) -> dict[str, float]:
    ours, theirs = camera
    view = oracle.scene.view(data, ours)
    lit, dark = (
        jax.tree.map(np.asarray, draw(oracle.scene, view, shadows=shadows)) for shadows in (False, True)
    )
    _, segmentation = oracle.peer.geometry(data, theirs)
    depth, fine_segmentation = oracle.fine_peer.geometry(data, theirs)
    # holes of a mesh or gaps between geoms may be narrower than a pixel: both peers have to see the same
    inner = (segmentation >= 0) & (segmentation == lit.segmentation) & _inner(fine_segmentation)
    inner &= segmentation == fine_segmentation
    # a mesh may hide itself: within one geom the depth leaps there as it does between two
    lowest, highest = (extreme(_neighbours(depth), axis=0) for extreme in (np.min, np.max))
    inner &= ~(np.isin(segmentation, oracle.scene.meshes) & (highest - lowest > 0.01 * depth))
    error = np.abs(lit.depth - depth)[inner] / depth[inner]
    return {
        "agreement": np.mean(segmentation == lit.segmentation),
        "depth": error.max(initial=0.0),
        "lit": np.abs(lit.rgb / 255.0 - oracle.peer.rgb(data, theirs, shadows=False) / 255.0).mean(),
        "dark": np.abs(dark.rgb / 255.0 - oracle.peer.rgb(data, theirs, shadows=True) / 255.0).mean(),
    }


def _inner(ids: np.ndarray) -> np.ndarray:
    """Pixels whose eight neighbours show the same geom."""
    return np.all(_neighbours(ids) == ids, axis=0)


def _neighbours(image: np.ndarray) -> np.ndarray:
    """[h, w] -> each pixel and its eight neighbours [9, h, w]."""
    padded = np.pad(image, 1, mode="edge")
    return np.stack(
        [padded[i : i + image.shape[0], j : j + image.shape[1]] for i in range(3) for j in range(3)]
    )


def check(oracle: Oracle, poses: int) -> None:
    rng, cameras = np.random.default_rng(1), oracle.cameras
    seen = [measure(oracle, random_pose(oracle.model, rng), cameras[i % len(cameras)]) for i in range(poses)]
    table = {name: np.array([one[name] for one in seen]) for name in seen[0]}
    for name, values in table.items():
        worst = values.argmin() if name == "agreement" else values.argmax()
        print(f"{name}: mean {values.mean():.5f}, worst {values[worst]:.5f} (pose {worst})")
    assert table["agreement"].mean() >= 0.99
    assert table["agreement"].min() >= 0.97
    assert table["depth"].max() <= 1e-3
    assert table["lit"].mean() <= 0.03
    assert table["dark"].mean() <= 0.06


def test_random_poses(oracle: Oracle) -> None:
    check(oracle, QUICK_POSES)


@pytest.mark.slow
def test_many_random_poses(oracle: Oracle) -> None:
    check(oracle, MANY_POSES)
