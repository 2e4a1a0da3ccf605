"""A humanoid, its scene, and MuJoCo's own renderer to compare with."""

from collections.abc import Iterator

import mujoco
import pytest

from bench.render import Peer, humanoid
from jaxrm.render import Scene


@pytest.fixture(scope="session")
def body() -> mujoco.MjModel:
    return humanoid()


@pytest.fixture(scope="session")
def scene(body: mujoco.MjModel) -> Scene:
    return Scene.from_mujoco(body)


@pytest.fixture(scope="session")
def peer(body: mujoco.MjModel) -> Iterator[Peer]:
    yield from _peer(body, slices=28)


@pytest.fixture(scope="session")
def fine_peer(body: mujoco.MjModel) -> Iterator[Peer]:
    """Draws round geoms with ten times as many sides."""
    yield from _peer(body, slices=280)


def _peer(body: mujoco.MjModel, slices: int) -> Iterator[Peer]:
    try:
        peer = Peer(body, 224, 224, slices=slices)
    except RuntimeError as error:
        pytest.skip(str(error))
    yield peer
    peer.close()
