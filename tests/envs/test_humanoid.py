"""The humanoid: its body against plain MuJoCo, its episodes, and what its tasks call success."""

import itertools

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import envs
from envs import criteria
from envs.humanoid import body, concepts, postures, skins
from jaxrm.types import Pose


@pytest.fixture(scope="module")
def env():
    return envs.make("humanoid/kneeling", episode_length=3)


@pytest.fixture(scope="module")
def step(env):
    return jax.jit(jax.vmap(env.step))


@pytest.fixture(scope="module")
def sampler(env):
    return postures.Sampler(env)


@pytest.fixture(scope="module")
def measures(env):
    return jax.jit(lambda qpos: env.measures(env.pose_at(qpos)))


@pytest.fixture(scope="module")
def put(sampler):
    return jax.jit(sampler.qpos)


def posture(sampler, put, legs, arms="hanging"):
    lean = float(np.deg2rad(postures.LEGS[legs].lean))
    return put(sampler.leg_joints(legs) + sampler.arm_joints(arms), lean, 0.0, 0.0, 0.0)


def start(env, worlds=2):
    return jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(0), worlds))


def test_names_list_the_eight_tasks():
    wanted = {
        "kneeling",
        "lotus",
        "standing",
        "arms-raised",
        "splits",
        "hands-on-hips",
        "one-leg",
        "arms-crossed",
    }
    assert {f"humanoid/{name}" for name in wanted} <= set(envs.names())


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(ValueError, match="did you mean humanoid/kneeling"):
        envs.make("humanoid/kneelin")


def test_a_factory_of_the_users_own():
    assert envs.make("envs.pendulum:make").name == "pendulum"
    with pytest.raises(ValueError, match="cannot import 'nothing'"):
        envs.make("envs.pendulum:nothing")


def test_unknown_control():
    with pytest.raises(ValueError, match="'position' or 'torque', not 'telepathy'"):
        envs.make("humanoid/kneeling", control="telepathy")


def test_the_standard_body(env):
    model = env.mj_model
    assert (model.nu, model.opt.timestep, body.SUBSTEPS) == (17, 0.003, 5)
    solid = [i for i in range(model.ngeom) if model.geom_contype[i] or model.geom_conaffinity[i]]
    assert len(solid) == 18  # 17 limbs and the floor; the marks on the front are drawn only


def test_every_limb_touches_the_floor_and_no_joint_sees_its_neighbour(env):
    model = env.mj_model
    for geom in range(model.ngeom):
        name = model.geom(geom).name
        if name in skins.ROBOT:
            assert model.geom_contype[geom] & model.geom_conaffinity[model.geom("floor").id], name
    standing = mujoco.MjData(model)
    standing.qpos[2] = body.START_HEIGHT
    mujoco.mj_forward(model, standing)
    touching = {model.geom(g).name for contact in standing.contact for g in contact.geom if contact.dist < 0}
    assert touching <= {"floor", "right_foot", "left_foot"}


def test_crossed_arms_do_not_pass_through_the_chest(env):
    pairs = {
        frozenset((env.mj_model.pair_geom1[i], env.mj_model.pair_geom2[i])) for i in range(env.mj_model.npair)
    }
    for first, second in (("right_larm", "torso1"), ("left_hand", "butt"), ("right_larm", "left_larm")):
        assert frozenset((env.mj_model.geom(first).id, env.mj_model.geom(second).id)) in pairs


def test_joint_targets_pull_with_limited_torque():
    packaged, ours = (body.make_spec(control).compile() for control in ("torque", "position"))
    data = mujoco.MjData(ours)
    rng = np.random.default_rng(0)
    data.qpos[7:] = rng.uniform(*ours.jnt_range[1:].T)
    data.qvel[6:] = rng.normal(size=17)
    data.ctrl[:] = rng.uniform(*ours.actuator_ctrlrange.T)
    mujoco.mj_forward(ours, data)
    for i in range(17):
        gear, address = packaged.actuator_gear[i, 0], ours.actuator_trnid[i, 0]
        q, dq = data.qpos[ours.jnt_qposadr[address]], data.qvel[ours.jnt_dofadr[address]]
        pull = body.STIFFNESS * (data.ctrl[i] - q) - body.DAMPING * dq
        limited = np.clip(pull, -body.TORQUE_LIMIT, body.TORQUE_LIMIT)
        np.testing.assert_allclose(data.actuator_force[i], gear * limited, rtol=1e-9)


def test_a_step_agrees_with_plain_mujoco(env, step):
    model = env.mj_model
    action = np.random.default_rng(1).uniform(-0.3, 0.3, (2, 17)).astype(np.float32)
    state = start(env)
    ours = step(state, action)
    low, high = model.actuator_ctrlrange.T
    for world in range(2):
        data = mujoco.MjData(model)
        data.qpos[:], data.qvel[:] = state.data.qpos[world], state.data.qvel[world]
        data.ctrl[:] = (low + high) / 2 + (high - low) / 2 * action[world]
        mujoco.mj_step(model, data, body.SUBSTEPS)
        np.testing.assert_allclose(ours.data.qpos[world], data.qpos, atol=2e-4)
        np.testing.assert_allclose(ours.data.qvel[world], data.qvel, atol=5e-2)


def test_a_time_limit_truncates_and_never_terminates(env, step):
    state = start(env)
    flags = []
    for _ in range(env.episode_length):
        state = step(state, jnp.zeros((2, 17)))
        flags.append((state.terminated.tolist(), state.truncated.tolist()))
    assert flags == [([False] * 2, [False] * 2)] * 2 + [([False] * 2, [True] * 2)]
    fresh = start(env)
    after = envs.reset_where_done(state, fresh)
    np.testing.assert_array_equal(after.obs, fresh.obs)
    assert after.time.tolist() == [0, 0] and not after.truncated.any()


def test_a_nan_world_is_reset_and_counted_alone(env, step):
    state = start(env)
    broken = state._replace(data=state.data._replace(qpos=state.data.qpos.at[0, 7].set(jnp.nan)))
    after = step(broken, jnp.zeros((2, 17)))
    assert after.terminated.tolist() == [True, False]
    assert after.info["nan_resets"].tolist() == [1, 0]
    assert np.isfinite(np.asarray(after.obs)).all() and np.isfinite(np.asarray(after.reward)).all()
    alone = step(state, jnp.zeros((2, 17)))
    np.testing.assert_array_equal(after.obs[1], alone.obs[1])


def test_resets_differ_by_key_and_repeat(env):
    first, second = start(env).data.qpos
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(start(env).data.qpos[0], first)


@pytest.mark.parametrize(
    "legs, arms, task",
    [
        ("kneeling", "hanging", "kneeling"),
        ("standing", "hanging", "standing"),
        ("standing", "raised", "arms-raised"),
        ("splits", "hanging", "splits"),
        ("lotus", "hanging", "lotus"),
        ("standing", "at the hips", "hands-on-hips"),
        ("right leg up", "hanging", "one-leg"),
    ],
)
def test_named_postures_succeed_at_their_task_and_lying_does_not(sampler, put, measures, legs, arms, task):
    bounds = envs.humanoid.tasks.TASKS[task].bounds
    measured = measures(posture(sampler, put, legs, arms))
    assert bool(criteria.holds(bounds, measured))
    assert float(criteria.degree(bounds, measured)) == 1.0
    assert not bool(criteria.holds(bounds, measures(posture(sampler, put, "face down", arms))))


# The posture and arms that a state comes from, both sides' joints that spoil it (degrees; those of a left
# shoulder turn the other way), what it is not any more, and by which bound alone.
NEARLY = {
    "legs at 80 degrees": ("splits", "hanging", {"hip_z": -40}, "splits", "legs spread wide"),
    "a crouch on its feet": (
        "lotus", "hanging", {"hip_z": -30, "hip_y": -110, "knee": -140}, "sitting", "hips on the floor"
    ),
    "hands beside the head": (
        "standing", "sideways", {"shoulder1": -62, "shoulder2": -33}, "raised", "hands above the head"
    ),
    "arms half ahead": (
        "standing", "sideways", {"shoulder1": -31, "shoulder2": -2.4, "elbow": -67}, "sideways",
        "rather than ahead",
    ),
}  # fmt: skip


@pytest.mark.parametrize("nearly", NEARLY)
def test_what_only_nearly_does_it_is_refused(env, sampler, put, measures, nearly):
    legs, arms, spoiled, concept, by = NEARLY[nearly]
    joints = posture(sampler, put, legs, arms)[7:]
    for side, joint in itertools.product(("right", "left"), spoiled):
        turned = spoiled[joint] * (-1 if (side, joint[:8]) == ("left", "shoulder") else 1)
        joints = joints.at[env.mj_model.joint(f"{side}_{joint}").qposadr[0] - 7].set(np.deg2rad(turned))
    measured = measures(put(joints, float(np.deg2rad(postures.LEGS[legs].lean)), 0.0, 0.0, 0.0))
    bounds = concepts.NAMED[concept] + concepts.SOUND
    assert [bound.name for bound in bounds if not criteria.holds((bound,), measured)] == [by]


def test_progress_is_one_exactly_where_the_task_succeeds(env, sampler):
    qpos = jax.jit(jax.vmap(sampler.sample))(jax.random.split(jax.random.key(3), 512))
    poses = Pose(qpos, jnp.zeros((512, 2), jnp.uint32))
    success, progress = jax.jit(jax.vmap(lambda p: (env.success(p), env.progress(p))))(poses)
    assert 0 < int(success.sum()) < 512
    np.testing.assert_array_equal(success, progress == 1.0)


def test_kneeling_is_within_what_an_outsider_would_measure(env, sampler):
    """Success implies: knees within 0.12 m of the floor, torso cosine >= 0.7, hips at 0.25 to 0.65 m."""
    qpos = jax.jit(jax.vmap(sampler.sample))(jax.random.split(jax.random.key(4), 2048))
    poses = Pose(qpos, jnp.zeros((2048, 2), jnp.uint32))
    success = np.asarray(jax.jit(jax.vmap(env.success))(poses))
    model = env.mj_model
    data = mujoco.MjData(model)
    for pose in np.asarray(qpos)[success]:
        data.qpos[:] = pose
        mujoco.mj_kinematics(model, data)
        knees = [data.body(f"{side}_shin").xpos[2] for side in ("right", "left")]
        hips = np.mean([data.body(f"{side}_thigh").xpos[2] for side in ("right", "left")])
        assert min(knees) > 0 and max(knees) < 0.12
        assert data.body("torso").xmat.reshape(3, 3)[2, 2] >= 0.7
        assert 0.25 <= hips <= 0.65


def test_sampled_bodies_rest_on_the_floor_or_float(sampler):
    qpos = jax.jit(jax.vmap(sampler.sample))(jax.random.split(jax.random.key(5), 256))
    lowest = np.asarray(jax.jit(jax.vmap(sampler.lowest))(qpos))
    assert lowest.min() > -1e-4 and lowest.max() < 0.26
    assert (np.abs(lowest) < 1e-4).mean() > 0.7


def test_degree_slopes_from_standing_to_kneeling(sampler, put, measures):
    """No valley on the way: the truth of the claim rises along the path."""
    begin, end = posture(sampler, put, "standing"), posture(sampler, put, "kneeling")
    path = [put((1 - s) * begin[7:] + s * end[7:], 0.0, 0.0, 0.0, 0.0) for s in np.linspace(0, 1, 11)]
    bounds = concepts.POSTURES["kneeling"]
    degrees = [float(criteria.degree(bounds, measures(qpos))) for qpos in path]
    assert np.all(np.diff(degrees) >= 0) and degrees[0] < 0.2 and degrees[-1] == 1.0


@pytest.mark.parametrize("skin", ["plain", "textured"])
def test_skins_leave_physics_alone(skin):
    dressed, robot = (body.make_spec(skin=name).compile() for name in (skin, "robot"))
    for field in (
        "body_mass",
        "body_inertia",
        "jnt_range",
        "dof_damping",
        "dof_armature",
        "actuator_gainprm",
    ):
        np.testing.assert_array_equal(getattr(dressed, field), getattr(robot, field))
    moved = []
    for model in (dressed, robot):
        data = mujoco.MjData(model)
        data.ctrl[:] = 0.3
        mujoco.mj_step(model, data, 200)  # falls onto the floor: contacts are the same too
        moved.append(data.qpos.copy())
    np.testing.assert_array_equal(*moved)


def test_skins_and_cameras_have_names():
    with pytest.raises(ValueError, match="skin must be one of plain, textured, robot, not 'fur'"):
        envs.make("humanoid/kneeling", skin="fur")
    with pytest.raises(ValueError, match="camera must be one of side, far, paper or a Camera, not 'moon'"):
        envs.make("humanoid/kneeling", camera="moon")
