"""Pictures on geoms: their place, their exchange, and their exchange in batches."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

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
