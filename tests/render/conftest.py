"""Scenes that the tests share: compilation dominates their time, so they draw few of them, in one size."""

import functools
from typing import NamedTuple

import jax
import mujoco
import numpy as np
import pytest

from bench.scenes import humanoid
from jaxrm.render import Camera, Picture, Scene, View, render_all

OPTIMISED = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "0"}  # for processes of their own
HEIGHT, WIDTH = 17, 25  # odd, for a pixel in the centre; neither is a multiple of the tile's eight pixels

GALLERY = """
<mujoco>
  <asset>
    <mesh name="wedge" vertex="-.3 -.3 -.3  .3 -.3 -.3  0 .4 -.3  0 0 .4"/>
    <material name="shiny" rgba=".2 .6 .3 1" specular="1" shininess=".9" emission=".1"/>
  </asset>
  <worldbody>
    <light name="sun" directional="true" dir=".3 .4 -1" pos="0 0 4" diffuse=".4 .4 .4"/>
    <light name="spot" pos="-2 -2 3" dir="1 1 -1.2" cutoff="40" exponent="8" castshadow="false"/>
    <geom name="floor" type="plane" size="0 0 .1" rgba=".3 .4 .5 1"/>
    <geom name="ball" type="sphere" size=".3" pos="-1.2 -.5 .8" material="shiny"/>
    <geom name="rod" type="capsule" size=".12 .3" pos="-.4 -.6 .8" euler="30 20 0" rgba=".3 .4 .8 1"/>
    <geom name="egg" type="ellipsoid" size=".15 .25 .4" pos=".4 -.6 .8" euler="10 50 0"/>
    <geom name="can" type="cylinder" size=".2 .3" pos="1.2 -.4 .8" euler="40 0 0" rgba=".8 .3 .2 1"/>
    <geom name="brick" type="box" size=".2 .3 .15" pos="-.7 .5 1.2" euler="20 30 40" rgba=".7 .6 .2 1"/>
    <geom name="wedge" type="mesh" mesh="wedge" pos=".5 .5 1.2" euler="0 0 30" rgba=".9 .2 .6 1"/>
    <camera name="front" pos="0 -3.5 1.4" xyaxes="1 0 0 0 .15 1"/>
  </worldbody>
</mujoco>
"""

BALLS = """
<mujoco>
  <asset>
    <texture name="grid" type="2d" builtin="checker" rgb1="1 0 0" rgb2="0 0 1" width="64" height="64"/>
    <material name="grid" texture="grid" texrepeat="1 1" texuniform="true" specular="0"/>
  </asset>
  <worldbody>
    <light name="sun" pos="0 0 3" dir="0 0 -1" directional="true"/>
    <geom name="floor" type="plane" size="5 5 .1" material="grid"/>
    <body name="near" pos="0 0 1"><geom name="ball" type="sphere" size=".3" rgba="0 1 0 1"/></body>
    <body name="far" pos="2 0 1"><geom name="rod" type="capsule" size=".1 .3" rgba="1 1 0 1"/></body>
    <body name="ghost" pos="0 1 1"><geom name="box" type="box" size=".1 .1 .1" rgba="1 1 1 0"/></body>
    <camera name="side" pos="0 -3 1" xyaxes="1 0 0 0 0 1"/>
  </worldbody>
</mujoco>
"""


class Gallery(NamedTuple):
    """One geom of every kind, ids 0 to 6, at one pose."""

    model: mujoco.MjModel
    scene: Scene
    view: View

    @staticmethod
    def draw(scene: Scene, view: View) -> Picture:
        return jax.tree.map(np.asarray, draw(scene, view))

    def look(self, position: np.ndarray, target: np.ndarray) -> View:
        """The same pose from another place."""
        place, frame = Camera(tuple(position), tuple(target)).placed(None)
        return self.view._replace(camera_pos=place, camera_mat=frame)


draw = functools.partial(render_all, height=HEIGHT, width=WIDTH)


def forward(m: mujoco.MjModel) -> mujoco.MjData:
    data = mujoco.MjData(m)
    mujoco.mj_forward(m, data)
    return data


@pytest.fixture(scope="module", autouse=True)
def as_for_users(optimised):
    """The same pixels in all ways are claimed of optimised code, and it draws faster."""


@pytest.fixture(scope="session")
def gallery() -> Gallery:
    model = mujoco.MjModel.from_xml_string(GALLERY)
    scene = Scene.from_mujoco(model)
    return Gallery(model, scene, scene.view(forward(model), "front"))


@pytest.fixture(scope="session")
def body() -> mujoco.MjModel:
    return humanoid()


@pytest.fixture(scope="session")
def scene(body: mujoco.MjModel) -> Scene:
    return Scene.from_mujoco(body)
