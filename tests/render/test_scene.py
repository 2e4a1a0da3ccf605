"""What a scene takes, and what it refuses."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from jaxrm.render import Camera, Scene, render

from .conftest import BALLS, forward

HILL = """
<mujoco>
  <asset><hfield name="hill" nrow="4" ncol="4" size="1 1 1 .1"/></asset>
  <worldbody><geom name="hill" type="hfield" hfield="hill" rgba="RGBA"/></worldbody>
</mujoco>
"""


def load(xml: str = BALLS) -> tuple[mujoco.MjModel, mujoco.MjData]:
    m = mujoco.MjModel.from_xml_string(xml)
    return m, forward(m)


def test_unknown_types_are_refused_by_name():
    m, _ = load(HILL.replace("RGBA", "1 1 1 1"))
    with pytest.raises(ValueError, match=r"'hill' of type hfield.*rgba alpha 0"):
        Scene.from_mujoco(m)
    m, _ = load(HILL.replace("RGBA", "1 1 1 0"))
    assert Scene.from_mujoco(m).meshes == ()


def test_hidden_groups_are_not_drawn():
    m, _ = load(BALLS.replace('rgba="1 1 1 0"', 'group="3"'))
    assert Scene.from_mujoco(m).boxes == ()
    assert Scene.from_mujoco(m, groups=(0, 3)).boxes == (3,)


def test_unknown_names_are_answered_with_the_known_ones():
    m, data = load()
    scene = Scene.from_mujoco(m)
    with pytest.raises(ValueError, match=r"no camera 'front'; it has 'side'"):
        scene.view(data, "front")
    with pytest.raises(ValueError, match=r"no body 'torso'; it has .*'near', 'far'"):
        scene.view(data, Camera.free(1, 0, 0, body="torso"))


def test_cameras_follow_bodies():
    m, data = load()
    scene = Scene.from_mujoco(m)
    for camera, height in [
        (Camera.free(3, 90, 0, (0, 0, 0.5), "far"), 1.5),
        (Camera.free(3, 90, 0, (0, 0, 0.5), "far", True), 0.5),
    ]:
        np.testing.assert_allclose(scene.view(data, camera).camera_pos, [2, -3, height], atol=1e-6)
    down = scene.view(data, Camera.free(3, 0, -90))
    np.testing.assert_allclose(down.camera_mat, [[0, 1, 0], [-1, 0, 0], [0, 0, 1]], atol=1e-6)
    assert jnp.isfinite(scene.view(data, Camera((0, 0, 5), (0, 0, 0))).camera_mat).all()


def test_what_is_drawn_differently_is_announced():
    m, _ = load(BALLS.replace('rgba="0 1 0 1"', 'rgba="0 1 0 .5"'))
    with pytest.warns(UserWarning, match="'ball' has alpha 0.50 but is drawn opaque"):
        Scene.from_mujoco(m)
    m, data = load(BALLS.replace('<camera name="side"', '<camera name="side" projection="orthographic"'))
    with pytest.raises(ValueError, match="'side' is orthographic"):
        Scene.from_mujoco(m).view(data, "side")


def test_point_lights_shine_to_all_sides():
    m, _ = load(BALLS.replace('directional="true"', 'type="point"'))
    assert Scene.from_mujoco(m).lights.cutoff[0] == 180


def test_a_batch_of_views_is_told_apart():
    m, data = load()
    scene = Scene.from_mujoco(m)
    views = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), scene.view(data, "side"))
    with pytest.raises(ValueError, match=r"batch of views: draw it by jax\.vmap"):
        render(scene, views, 9, 9)
