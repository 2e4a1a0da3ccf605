"""Forward kinematics against MuJoCo's own, in double precision; joints of every kind, off the origins."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from envs.humanoid import body
from envs.kinematics import Kinematics

EVERY_JOINT = """
<mujoco>
  <compiler angle="radian"/>
  <worldbody>
    <geom type="plane" size="1 1 .1" pos=".1 .2 -.3" euler=".1 .2 .3"/>
    <body name="free" pos="4 5 6" euler="1 2 3">
      <freejoint/>
      <geom type="box" size=".1 .2 .3" pos=".3 .1 0" euler=".5 -.2 1"/>
      <body pos=".2 -.1 .4" euler=".3 .2 -.7">
        <joint type="hinge" axis="1 2 -1" pos=".1 .2 .3" ref=".4"/>
        <joint type="slide" axis="0 1 1" pos=".3 0 .1" ref="-.2"/>
        <joint type="hinge" axis="0 0 1" pos="-.2 .1 0"/>
        <geom type="sphere" size=".1"/>
        <body pos="0 .3 0">
          <joint type="ball" pos=".05 -.1 .2"/>
          <geom type="capsule" size=".05 .2" pos=".1 0 0"/>
          <body pos=".1 .1 .1" euler="0 0 1">
            <geom type="sphere" size=".1"/>
            <body pos="0 0 .5"><joint type="slide" axis="1 0 0"/><geom type="sphere" size=".1"/></body>
          </body>
        </body>
      </body>
    </body>
    <body pos="1 0 0"><joint type="ball"/><geom type="sphere" size=".1" pos="0 .2 0"/></body>
    <body pos="0 1 0"><freejoint/><geom type="sphere" size=".1"/></body>
    <body pos="0 0 1" euler="1 0 0"><geom type="sphere" size=".1"/></body>
  </worldbody>
</mujoco>
"""
NO_JOINT = "<mujoco><worldbody><body pos='0 0 1' euler='30 0 0'><geom size='.1'/></body></worldbody></mujoco>"
FIELDS = ("xpos", "xmat", "geom_xpos", "geom_xmat")


@pytest.mark.parametrize("name", ["every joint", "no joint", "humanoid"])
def test_frames_are_those_of_mujoco(name):
    text = {"every joint": EVERY_JOINT, "no joint": NO_JOINT}
    m = mujoco.MjModel.from_xml_string(text[name]) if name in text else body.make_spec().compile()
    with jax.enable_x64(True):
        qpos = np.random.default_rng(0).normal(size=(8, m.nq))  # quaternions of any norm
        qpos[7] = 0
        found = jax.jit(jax.vmap(Kinematics(m)))(jnp.asarray(qpos))
        for row in range(len(qpos)):
            data = mujoco.MjData(m)
            data.qpos[:] = qpos[row]
            mujoco.mj_kinematics(m, data)
            for field in FIELDS:
                ours = np.asarray(getattr(found, field)[row])
                np.testing.assert_allclose(ours, getattr(data, field).reshape(ours.shape), atol=1e-12)


def test_a_moved_body_takes_its_children_along():
    m = mujoco.MjModel.from_xml_string(EVERY_JOINT)
    other = mujoco.MjModel.from_xml_string(EVERY_JOINT)
    second = m.body("free").id + 1
    frame = np.array([0.5, 0.2, 0.1, 0.6, 0.0, 0.8, 0.0])
    other.body_pos[second], other.body_quat[second] = frame[:3], frame[3:]
    with jax.enable_x64(True):
        qpos = jnp.asarray(np.random.default_rng(1).normal(size=m.nq))
        moved, wanted = Kinematics(m)(qpos, {second: jnp.asarray(frame)}), Kinematics(other)(qpos)
        for ours, theirs in zip(moved, wanted, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_slopes_are_those_of_differences():
    m = body.make_spec().compile()
    kinematics = Kinematics(m)
    with jax.enable_x64(True):
        qpos = jnp.asarray(np.random.default_rng(2).normal(size=m.nq))
        height = jax.jit(lambda qpos: (kinematics(qpos).geom_xpos[:, 2] ** 2).sum())
        slope, step = jax.grad(height)(qpos), 1e-6
        for i in (2, 4, 9, 20):
            rise = height(qpos.at[i].add(step)) - height(qpos.at[i].add(-step))
            assert float(slope[i]) == pytest.approx(float(rise) / (2 * step), abs=1e-7)


def test_mocap_is_refused():
    m = mujoco.MjModel.from_xml_string(
        "<mujoco><worldbody><body mocap='true'><geom size='.1'/></body></worldbody></mujoco>"
    )
    with pytest.raises(ValueError, match=r"use mjx\.kinematics"):
        Kinematics(m)
