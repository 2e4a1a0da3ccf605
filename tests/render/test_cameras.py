"""Cameras and lights of every mode, from MuJoCo's kinematics and from MJX's own."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from mujoco import mjx

from jaxrm.render import Camera, Scene

MODES = ("fixed", "track", "trackcom", "targetbody", "targetbodycom")
FIXTURES = "".join(
    f'<camera name="{mode}" mode="{mode}" pos=".1 -.8 .4" xyaxes="1 .2 0 0 .3 1" TARGET/>'
    f'<light name="{mode}" mode="{mode}" pos=".2 -.3 .9" dir=".1 .3 -1" TARGET/>'.replace(
        "TARGET", 'target="post"' if mode.startswith("target") else ""
    )
    for mode in MODES
)
ARM = f"""
<mujoco>
  <compiler angle="radian"/>
  <worldbody>
    <body name="post" pos="1 0 .5"><freejoint/><geom size=".1"/></body>
    <body name="upper" pos="0 0 1" euler=".3 .2 .1">
      <joint type="ball"/><geom type="capsule" size=".05" fromto="0 0 0 .4 0 0"/>{FIXTURES}
      <body name="lower" pos=".4 0 0">
        <joint axis="0 1 0"/><geom type="box" size=".2 .05 .05" pos=".2 0 0"/>
      </body>
    </body>
  </worldbody>
</mujoco>
"""


@pytest.fixture(scope="module")
def arm() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(ARM)


def moved(arm: mujoco.MjModel) -> mujoco.MjData:
    data, rng = mujoco.MjData(arm), np.random.default_rng(0)
    mujoco.mj_integratePos(arm, data.qpos, rng.normal(size=arm.nv), 0.7)
    mujoco.mj_forward(arm, data)
    return data


@pytest.mark.parametrize("mode", MODES)
def test_mujocos_own_poses_are_taken_over(arm: mujoco.MjModel, mode: str):
    data = moved(arm)
    view, camera = Scene.from_mujoco(arm).view(data, mode), data.cam(mode)
    np.testing.assert_allclose(view.camera_pos, camera.xpos, atol=1e-6)
    np.testing.assert_allclose(view.camera_mat, camera.xmat.reshape(3, 3), atol=1e-6)
    np.testing.assert_allclose(view.light_pos, data.light_xpos, atol=1e-6)
    np.testing.assert_allclose(view.light_dir, data.light_xdir, atol=1e-6)


def test_mjx_puts_cameras_and_lights_where_mujoco_does(arm: mujoco.MjModel):
    data, scene, mx = moved(arm), Scene.from_mujoco(arm), mjx.put_model(arm, impl="jax")

    @jax.jit
    def views(qpos: jax.Array) -> dict:
        d = mjx.kinematics(mx, mjx.make_data(mx).replace(qpos=qpos))
        d = mjx.camlight(mx, mjx.com_pos(mx, d))
        return {mode: scene.view(d, mode) for mode in MODES}

    for mode, view in views(jnp.asarray(data.qpos, jnp.float32)).items():
        for name, ours, theirs in zip(view._fields, view, scene.view(data, mode), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=2e-5, err_msg=f"{mode}: {name}")


def test_a_mirrored_camera_looks_from_the_other_side():
    """MuJoCo's free camera at the negative azimuth, about a point mirrored likewise."""
    there = dict(distance=2.5, elevation=-12.0, body="post", level=True, fovy=40.0)
    one = Camera.free(azimuth=145.0, lookat=(0.1, 0.3, 0.7), **there)
    other = Camera.free(azimuth=-145.0, lookat=(0.1, -0.3, 0.7), **there)
    at = jnp.array([1.0, 2.0, 3.0])
    for mirrored, expected in zip(one.mirrored().placed(at), other.placed(at), strict=True):
        np.testing.assert_allclose(mirrored, expected, atol=1e-6)
    assert (one.mirrored().fovy, one.mirrored().body, one.mirrored().level) == (40.0, "post", True)
