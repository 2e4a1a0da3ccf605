"""A humanoid and its scene."""

import mujoco
import pytest

from bench.scenes import humanoid
from jaxrm.render import Scene


@pytest.fixture(scope="session")
def body() -> mujoco.MjModel:
    return humanoid()


@pytest.fixture(scope="session")
def scene(body: mujoco.MjModel) -> Scene:
    return Scene.from_mujoco(body)
