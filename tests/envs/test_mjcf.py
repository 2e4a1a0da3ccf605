"""A body of the user's own, named by its file: stepped as MuJoCo steps it, drawn, and refused by name."""

import dataclasses
import functools
import json
import re

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from mujoco import mjx

import envs
import train
from envs import physics
from envs.mjcf import MjcfEnv
from envs.mjcf_file import pick_camera, root_of, start_of
from envs.types import Env, has_truth
from jaxrm.render import Camera
from train import cli

ARM = """
<mujoco model="arm">
  <option timestep="0.005"/>
  <asset><mesh name="wedge" file="wedge.obj"/></asset>
  <worldbody>
    <light directional="true" pos="0 0 3" dir="0 0 -1"/>
    <camera name="front" pos="0 -2 .5" xyaxes="1 0 0 0 0 1"/>
    <camera name="tip" mode="targetbodycom" target="fore" pos="1 -1 1"/>
    <camera name="flat" projection="orthographic" pos="0 -2 .5" xyaxes="1 0 0 0 0 1"/>
    <geom name="floor" type="plane" size="2 2 .1" contype="0" conaffinity="0"/>
    <body pos="0 0 .1">
      <joint name="shoulder" axis="0 1 0" range="-2 2" limited="true" damping=".5"/>
      <geom type="capsule" fromto="0 0 0 0 0 .4" size=".05" contype="0" conaffinity="0"/>
      <body name="fore" pos="0 0 .4">
        <joint name="slide" type="slide" axis="0 0 1" range="0 .2" limited="true" damping="2"/>
        <geom type="mesh" mesh="wedge" contype="0" conaffinity="0"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <position name="turn" joint="shoulder" kp="5" ctrlrange="-1.5 0.5"/>
    <general name="push" joint="slide" dyntype="filter" dynprm=".1" gainprm="20" ctrlrange="0 1"/>
  </actuator>
  <keyframe>
    <key name="other" qpos="1 .1"/>
    <key name="home" qpos=".3 .05" act=".2"/>
  </keyframe>
</mujoco>
"""
WEDGE = "v 0 0 0\nv .1 0 0\nv 0 .1 0\nv 0 0 .2\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 3 1 4\n"

FLOATER = """
<mujoco model="floater">
  <option gravity="0 0 0"/>
  <worldbody>
    <body name="prop" pos="1 2 3"><freejoint/><geom size=".1" contype="0" conaffinity="0"/></body>
    <body name="trunk" pos="4 5 6" quat="0 1 0 0">
      <freejoint/>
      <geom type="box" size=".2 .1 .1" contype="0" conaffinity="0"/>
      <body pos=".2 0 0">
        <joint name="ball" type="ball" damping=".1"/>
        <geom type="capsule" fromto="0 0 0 .3 0 0" size=".05" contype="0" conaffinity="0"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor name="roll" joint="ball" gear="1 0 0 0 0 0"/>
    <motor name="pitch" joint="ball" gear="0 .5 0 0 0 0" ctrlrange="-2 2"/>
  </actuator>
</mujoco>
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("bodies")
    (path / "arm.xml").write_text(ARM)
    (path / "wedge.obj").write_text(WEDGE)
    (path / "floater.xml").write_text(FLOATER)
    return path


@pytest.fixture(scope="module")
def arm(folder) -> MjcfEnv:
    return MjcfEnv(folder / "arm.xml", goal="a robot arm", camera="tip")


@pytest.fixture(scope="module")
def floater(folder) -> MjcfEnv:
    with pytest.warns(UserWarning, match=r"floater\.xml.*actuator roll: an action"):
        return MjcfEnv(folder / "floater.xml", substeps=3)


@functools.cache
def stepper(env: MjcfEnv):
    """Compiled once a body."""
    return jax.jit(env.step)


def control_of(env: MjcfEnv, action: np.ndarray) -> np.ndarray:
    low, high = {"arm": ([-1.5, 0], [0.5, 1]), "floater": ([-1, -2], [1, 2])}[env.file.stem]
    return (np.array(low) + high) / 2 + (np.array(high) - low) / 2 * np.clip(action, -1, 1)


@pytest.mark.parametrize("body", ["arm", "floater"])
def test_steps_are_those_of_plain_mujoco(request, body):
    env: MjcfEnv = request.getfixturevalue(body)
    state = env.reset(jax.random.PRNGKey(3))
    data = mujoco.MjData(env.mj_model)
    data.qpos, data.qvel = state.data.qpos, state.data.qvel
    if env.mj_model.na:
        data.act = state.data.act
    step = stepper(env)
    for action in ([0.5, -0.3], [-1.0, 3.0], [0.2, 1.0]):
        state = step(state, jnp.array(action))
        data.ctrl = control_of(env, np.array(action))
        mujoco.mj_step(env.mj_model, data, env.substeps)
    for name in ("qpos", "qvel", "act"):
        ours, theirs = getattr(state.data, name), getattr(data, name)
        np.testing.assert_allclose([] if ours is None else ours, theirs, atol=2e-4)
    assert state.time == 3 and not state.terminated and not state.truncated


def test_bodies_that_are_alike_share_one_trace_of_a_step(folder, monkeypatch):
    traced = []

    def step(model, data):
        traced.append(model)
        return mjx.step(model, data)

    monkeypatch.setattr(physics, "_step", jax.jit(step))
    arms = [MjcfEnv(folder / "arm.xml", substeps=substeps) for substeps in (1, 3)]
    for env, worlds in zip(arms, (2, 5), strict=True):
        state = jax.vmap(env.reset)(jax.random.split(jax.random.PRNGKey(0), worlds))
        jax.make_jaxpr(jax.vmap(env.step))(state, jnp.zeros((worlds, env.action_size)))
    assert len(traced) == 1


def test_control_steps_last_about_17_ms(arm, floater):
    assert arm.substeps == 4 and arm.control_seconds == pytest.approx(0.02)
    assert floater.substeps == 3


def test_episodes_start_at_home_with_noise(arm):
    first, second = (arm.reset(jax.random.PRNGKey(seed)) for seed in range(2))
    np.testing.assert_allclose(first.data.qpos, [0.3, 0.05], atol=0.0101)
    np.testing.assert_allclose(first.data.act, [0.2])
    assert not np.allclose(first.data.qpos, second.data.qpos, atol=1e-6)
    assert np.array_equal(first.key, jax.random.PRNGKey(0))


def test_a_start_without_keyframe_is_qpos0_with_unit_quaternions(floater):
    qpos = floater.reset(jax.random.PRNGKey(0)).data.qpos
    np.testing.assert_allclose(qpos, floater.mj_model.qpos0, atol=0.011)
    for begin in (3, 10, 14):
        assert np.linalg.norm(qpos[begin : begin + 4]) == pytest.approx(1, abs=1e-6)
        assert not np.allclose(qpos[begin : begin + 4], floater.mj_model.qpos0[begin : begin + 4], atol=1e-6)


def test_observations_do_not_say_where_the_root_is(arm, floater):
    """Root and prop: moved together along the ground, they look the same; moved apart, they do not."""

    def observe(*moved: int) -> np.ndarray:
        qpos = floater._start.qpos.at[jnp.array(moved, int)].add(0.5)
        return np.asarray(floater._observe(floater._start._replace(qpos=qpos)))

    assert floater.observation_size == 2 + 2 + 3 * 9 + 15 == len(observe())
    assert arm.observation_size == 2 + 2 + 1
    np.testing.assert_allclose(observe(), observe(0, 1, 7, 8), atol=1e-6)
    for moved in ((0,), (2,), (9,)):
        assert not np.allclose(observe(), observe(*moved), atol=1e-3)
    turned = floater._start._replace(qpos=floater._start.qpos.at[10:14].multiply(-1.0))
    np.testing.assert_allclose(observe(), floater._observe(turned), atol=1e-6)


def test_a_time_limit_truncates_and_nan_starts_anew(arm):
    state = arm.reset(jax.random.PRNGKey(0))
    late = stepper(arm)(state._replace(time=state.time + arm.episode_length - 1), jnp.zeros(2))
    assert late.truncated and not late.terminated
    bad = stepper(arm)(state._replace(data=state.data._replace(qvel=state.data.qvel * jnp.nan)), jnp.zeros(2))
    assert bad.terminated and bad.info["nan_resets"] == 1 and np.isfinite(bad.obs).all()
    np.testing.assert_allclose(bad.data.qpos, [0.3, 0.05], rtol=1e-6)


def test_nothing_is_known_of_success(arm):
    pose = arm.pose_at(jnp.array([0.1, 0.1]))
    assert not arm.success(pose) and arm.progress(pose) == 0 and not has_truth(arm)
    assert has_truth(envs.make("pendulum"))
    env: Env = arm
    assert env.goal == "a robot arm" and env.name == "mjcf/arm"


def eye(env: MjcfEnv, camera, moved=()) -> tuple[np.ndarray, np.ndarray]:
    """Where a camera stands at the start, some coordinates moved by 2, and its axes."""
    data = start_of(env.mj_model)
    data.qpos[list(moved)] += 2
    mujoco.mj_forward(env.mj_model, data)
    view = env.scene.view(data, pick_camera(env.mj_model, camera, root_of(env.mj_model)))
    return np.asarray(view.camera_pos), np.asarray(view.camera_mat)


def test_cameras_of_numbers_and_of_the_user(arm, floater):
    np.testing.assert_allclose(eye(arm, "front")[0], [0, -2, 0.5], atol=1e-6)
    np.testing.assert_allclose(eye(arm, "2,90,0,.7")[0], [0, -2, 0.7], atol=1e-6)
    np.testing.assert_allclose(eye(floater, "3, 0, 0, 1.5")[0], [4 - 3, 5, 1.5], atol=1e-5)
    np.testing.assert_allclose(eye(arm, Camera((1.0, 2.0, 3.0), (0.0, 0.0, 0.0)))[0], [1, 2, 3])


def test_the_default_camera_has_the_model_in_its_middle_and_goes_along(arm, floater):
    assert 0.6 < arm.mj_model.stat.extent < 1  # that of the arm, not of its floor
    for env in (arm, floater):
        position, axes = eye(env, None)
        middle = (env.mj_model.stat.center - position) @ axes
        np.testing.assert_allclose(middle, [0, 0, -1.5 * env.mj_model.stat.extent], atol=0.02)
    np.testing.assert_allclose(eye(floater, None, (7, 8))[0] - eye(floater, None)[0], [2, 2, 0], atol=1e-5)
    np.testing.assert_allclose(eye(floater, None, (0, 9))[0], eye(floater, None)[0], atol=1e-5)


def test_a_camera_of_the_model_moves_as_in_mujoco(arm):
    view = jax.jit(lambda pose: arm.view(pose))(arm.pose_at(np.array([1.0, 0.1])))
    data = mujoco.MjData(arm.mj_model)
    data.qpos[:] = [1.0, 0.1]
    mujoco.mj_forward(arm.mj_model, data)
    np.testing.assert_allclose(view.camera_pos, data.camera("tip").xpos, atol=1e-5)
    np.testing.assert_allclose(view.camera_mat.reshape(-1), data.camera("tip").xmat, atol=1e-5)
    np.testing.assert_allclose(view.geom_pos, data.geom_xpos, atol=1e-5)


MINIMAL = """<mujoco>{}<worldbody><body><joint name="j"/><geom name="g" size=".1"/></body>{}</worldbody>
<actuator><motor name="m" joint="j" ctrlrange="-1 1"{}/></actuator></mujoco>"""
JOINTLESS = '<mujoco><worldbody><geom size=".1"/></worldbody></mujoco>'
BRAINLESS = '<mujoco><worldbody><body><joint/><geom size=".1"/></body></worldbody></mujoco>'
HILLS = '<asset><hfield name="h" nrow="2" ncol="2" size="1 1 1 1"/></asset>'
HILL = '<geom name="hill" type="hfield" hfield="h" contype="0" conaffinity="0"/>'


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("no xml", {}, "not XML"),
        ("<html/>", {}, "'html'"),
        ("<mujoco><worldbody><bdy/></worldbody></mujoco>", {}, "'bdy'"),
        (ARM.replace("wedge.obj", "none.obj"), {}, r"none\.obj"),
        (JOINTLESS, {}, "no joints"),
        (BRAINLESS, {}, "no actuators"),
        (MINIMAL.format("", "", ' delay=".1" nsample="20"'), {}, "MJX cannot simulate.*delay of actuator m"),
        (MINIMAL.format('<option integrator="implicit"/>', "", ""), {}, "MJX cannot simulate.*IMPLICIT"),
        (MINIMAL.format(HILLS, HILL, ""), {}, "cannot draw geom 'hill'"),
        (MINIMAL.format("", "", ""), {"camera": "side"}, "no camera 'side': the model has none"),
        (MINIMAL.format("", "", ""), {"camera": "-1,0,0"}, "distance,azimuth,elevation"),
        (MINIMAL.format("", "", ""), {"camera": "1,0,nan"}, "distance,azimuth,elevation"),
        (ARM.replace("wedge.obj", "../wedge.obj"), {"camera": "flat"}, "'flat' is orthographic"),
    ],
)
def test_errors_name_the_file_and_the_thing(folder, text, options, message):
    broken = folder / "broken"
    broken.mkdir(exist_ok=True)
    (broken / "body.xml").write_text(text)
    with pytest.raises(ValueError, match=rf"body\.xml.*{message}") as error:
        MjcfEnv(broken / "body.xml", **options)
    assert "\n" not in str(error.value)


def test_options_are_checked(folder):
    with pytest.raises(FileNotFoundError, match=r"none\.xml.*no such file"):
        MjcfEnv(folder / "none.xml")
    with pytest.raises(FileNotFoundError, match="a folder"):
        MjcfEnv(folder)
    for name in ("substeps", "episode_length"):
        with pytest.raises(ValueError, match=f"{name} is 0"):
            MjcfEnv(folder / "arm.xml", **{name: 0})


STICK = """
<mujoco>
  <option timestep="0.01" iterations="2" ls_iterations="4"/>
  <worldbody>
    <body name="stick">
      <joint name="j" axis="0 1 0" damping=".1"/>
      <geom type="capsule" fromto="0 0 0 0 0 .4" size=".05" rgba="1 0 0 1"/>
    </body>
  </worldbody>
  <actuator><motor joint="j" ctrlrange="-1 1"/></actuator>
</mujoco>
"""


@pytest.fixture(scope="module")
def stick(folder) -> train.PolicyConfig:
    (folder / "stick.xml").write_text(STICK)
    return train.PolicyConfig(
        mjcf=folder / "stick.xml",
        goal="a humanoid robot standing up",
        camera="1.5,90,-10",
        episode_length=8,
        steps=3 * 64,
        num_envs=8,
        unroll_length=8,
        minibatches=2,
        epochs=1,
        policy_hidden=(8,),
        value_hidden=(8,),
        reward_every=4,
        eval_episodes=2,
        video_episodes=1,
        video_size=32,
        out=folder / "run",
    )


def test_a_policy_is_trained_judged_and_resumed(stick, capsys):
    run = train.policy(stick)
    said = capsys.readouterr().out
    assert "mjcf/stick" in said and "success not known" in said and "success 0%" not in said
    result = json.loads((run.folder / "result.json").read_text())
    assert result["task"] == "mjcf/stick" and result["env_steps"] == 3 * 64 and result["nan_resets"] == 0
    for name in ("success_start", "success_end", "truth_return_end", "false_positives_end"):
        assert result[name] is None
    assert np.isfinite(result["reward_end"])
    rows = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert len(rows) == 4 and all(row["success"] is None and row["truth"] is None for row in rows[1:])
    rollouts = np.load(run.folder / "rollouts.npz")
    assert rollouts["qpos"].shape == (2, 8, 1) and "success" not in rollouts
    assert (run.folder / "videos" / "end.mp4").exists()

    again = train.evaluate(run.folder)
    assert again["reward"] == result["reward_end"] and again["success"] is None
    resumed = train.policy(dataclasses.replace(stick, resume=True))
    assert resumed.result["reward_end"] == result["reward_end"]


def test_the_command_line_takes_a_body(stick, capsys):
    body = ["--mjcf", str(stick.mjcf)]
    config = cli.parse_policy([*body, "--goal", "a stick", "--camera", "2,90,0", "--substeps", "3"])
    config.validate()
    assert (config.task, config.mjcf, config.substeps) == ("mjcf/stick", stick.mjcf, 3)
    assert config.folder.name == "mjcf-stick-seed0"
    assert cli.parse_policy([*body, "--algo", "sac", "--goal", "a stick"]).num_envs == 64
    for arguments, message in (
        (body, "no goal for 'stick.xml'"),
        ([*body, "--goal", "a stick", "--reward", "truth"], "no ground truth"),
        ([*body, "--goal", "a fluffy stick"], "fluffy"),
        (["pendulum", *body, "--goal", "a stick"], "not both"),
        (["--mjcf", "none.xml", "--goal", "a humanoid robot"], "no model '.*none.xml'"),
        ([str(stick.mjcf)], "named by --mjcf"),
        (["pendulum", "--substeps", "3"], "no choice of substeps"),
    ):
        assert cli.main(["policy", *arguments, "--out", str(stick.out) + "-none"]) == 2
        said = capsys.readouterr().err
        assert re.search(message, said.splitlines()[0]) and "Traceback" not in said, said


@pytest.mark.parametrize("mode", ["fixed", "track", "trackcom", "targetbodycom"])
def test_lights_stand_where_mujoco_has_them(tmp_path, mode):
    light = f'<light mode="{mode}" target="trunk" pos=".5 0 2" dir="0 0 -1"/>'
    text = FLOATER.replace("<freejoint/>\n", f"<freejoint/>\n{light}\n", 1)
    assert light in text
    (tmp_path / "floater.xml").write_text(text)
    env = MjcfEnv(tmp_path / "floater.xml")
    data = start_of(env.mj_model)
    data.qpos[7:10] = [1.0, -2.0, 3.0]
    mujoco.mj_forward(env.mj_model, data)
    view = jax.jit(lambda qpos: env.view(env.pose_at(qpos)))(jnp.asarray(data.qpos))
    np.testing.assert_allclose(view.light_pos, data.light_xpos, atol=1e-5)
    np.testing.assert_allclose(view.light_dir, data.light_xdir, atol=1e-5)
