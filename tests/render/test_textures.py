"""Pictures on geoms: their place, their exchange, and their exchange in batches."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from bench.cameras import pair
from bench.peers import Peer
from jaxrm.render import Camera, Scene, render

from .conftest import forward

CRATE = """
<mujoco>
  <asset>
    <texture name="dots" type="2d" builtin="flat" mark="random" random=".3"
      width="8" height="4" markrgb="1 1 1"/>
    <material name="dots" texture="dots"/>
  </asset>
  <worldbody><geom type="box" size=".5 .5 .5" material="dots" rgba="1 1 1 1"/></worldbody>
</mujoco>
"""


@pytest.fixture(scope="module")
def crate() -> tuple[Scene, mujoco.MjData]:
    model = mujoco.MjModel.from_xml_string(CRATE)
    return Scene.from_mujoco(model), forward(model)


def test_each_world_has_its_own_picture(crate: tuple[Scene, mujoco.MjData]):
    scene, data = crate
    view = scene.view(data, Camera((0, -2, 0), (0, 0, 0)))

    def draw(picture: jax.Array) -> jax.Array:
        return render(scene.with_texture("dots", picture), view, 16, 16, shadows=False)

    red, green = jnp.zeros((2, 4, 8, 3)).at[0, ..., 0].set(1.0).at[1, ..., 1].set(1.0)
    half = red.at[:, 4:].set(green[:, 4:])
    frames = np.asarray(jax.jit(jax.vmap(draw))(jnp.stack([red, green, half])))
    for frame, picture in zip(frames, (red, green, half), strict=True):
        np.testing.assert_array_equal(frame, draw(picture))
    middle = frames[:, 8, 5:11].astype(int)
    assert (middle[0, :, 0] > 100).all() and not middle[0, :, 1].any()
    assert (middle[1, :, 1] > 100).all() and not middle[1, :, 0].any()
    left, right = middle[2, 0], middle[2, -1]
    assert sorted((left.argmax(), right.argmax())) == [0, 1]


def test_a_picture_of_another_name_or_size_is_refused(crate: tuple[Scene, mujoco.MjData]):
    scene, _ = crate
    with pytest.raises(ValueError, match="no sampled texture 'stripes'; it has 'dots'"):
        scene.with_texture("stripes", jnp.zeros((4, 8, 3)))
    with pytest.raises(ValueError, match=r"'dots' has shape \(4, 8, 3\), the image \(8, 4, 3\)"):
        scene.with_texture("dots", jnp.zeros((8, 4, 3)))


ENDLESS = """
<mujoco>
  <visual><headlight ambient=".6 .6 .6" diffuse=".3 .3 .3" specular="0 0 0"/></visual>
  <statistic extent="2"/>
  <asset>
    <texture name="cross" type="2d" builtin="gradient" mark="cross" rgb1=".9 .2 .1" rgb2=".1 .3 .9"
      markrgb="1 1 1" width="64" height="64"/>
    <material name="cross" texture="cross" texrepeat=".7 1.3" specular="0"/>
  </asset>
  <worldbody><geom type="plane" size="0 0 1" material="cross"/></worldbody>
</mujoco>
"""


@pytest.mark.opengl
def test_an_image_lies_on_an_infinite_plane_as_in_mujoco():
    model = mujoco.MjModel.from_xml_string(ENDLESS)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    ours, theirs = pair(model, (3.0, 40, -50, (0.3, 0.1, 0)))
    peer = Peer(model, 64, 64)
    wanted = peer.rgb(data, theirs, shadows=False)
    peer.close()
    scene = Scene.from_mujoco(model)
    drawn = np.asarray(render(scene, scene.view(data, ours), 64, 64, shadows=False))
    assert np.abs(drawn / 255.0 - wanted / 255.0).mean() < 0.01


def test_images_of_bytes_are_refused():
    scene = Scene.from_mujoco(mujoco.MjModel.from_xml_string(ENDLESS))
    with pytest.raises(TypeError, match="'cross': the image must be floats from 0 to 1, not uint8"):
        scene.with_texture("cross", np.zeros((64, 64, 3), np.uint8))
