"""The car against Gymnasium's own, step by step; the goal that holds; pictures; judgement."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs.mountain_car import GOAL, LEFT, MAX_SPEED, RIGHT
from envs.types import reset_where_done


@pytest.fixture(scope="module")
def env():
    return envs.make("mountain-car")


@pytest.fixture(scope="module")
def theirs():
    made = gymnasium.make("MountainCarContinuous-v0", disable_env_checker=True).unwrapped
    made.reset(seed=0)
    return made


def place(state, x, speed):
    return state._replace(data=state.data._replace(qpos=jnp.array([x]), qvel=jnp.array([speed])))


def test_every_step_equals_gymnasium(env, theirs):
    rng = np.random.default_rng(0)
    states = rng.uniform([LEFT, -MAX_SPEED], [GOAL - 1e-3, MAX_SPEED], (300, 2)).astype(np.float32)
    states[:20, 0] = LEFT + rng.uniform(0, 0.03, 20)  # against the wall, too
    actions = rng.uniform(-1.5, 1.5, (300, 1)).astype(np.float32)
    fresh = env.reset(jax.random.PRNGKey(0))
    after = jax.jit(jax.vmap(lambda s, a: env.step(place(fresh, s[0], s[1]), a)))(states, actions)
    for i in range(len(states)):
        theirs.state = states[i].astype(float)
        expected, _, reached, _, _ = theirs.step(actions[i])
        np.testing.assert_allclose(after.obs[i], expected, atol=1e-6)
        assert bool(env.success(env.pose_at(after.data.qpos[i]))) == reached


def test_an_episode_equals_gymnasium_s_up_to_the_goal_and_stays_there(env, theirs):
    step = jax.jit(env.step)
    state = env.reset(jax.random.PRNGKey(1))
    theirs.state, reached, time = np.asarray(state.obs, float), False, 0
    while not reached:
        action = 1.0 if state.obs[1] >= 0 else -1.0
        state = step(state, jnp.array([action]))
        observed, _, reached, _, _ = theirs.step(np.array([action], np.float32))
        np.testing.assert_allclose(state.obs, observed, atol=1e-4)
        time += 1
    assert 40 < time < 200 and env.success(env.pose(state)) and state.reward == 1
    assert not state.terminated and not state.truncated
    arrived = float(state.data.qpos[0])
    for _ in range(30):
        state = step(state, -jnp.ones(1))
    assert state.data.qpos[0] == arrived >= GOAL and state.data.qvel[0] == 0 and state.reward == 1


def test_starts_and_time_limit(env):
    states = jax.vmap(env.reset)(jax.random.split(jax.random.PRNGKey(0), 200))
    assert -0.6 <= states.obs[:, 0].min() < -0.59 and -0.41 < states.obs[:, 0].max() <= -0.4
    assert (states.obs[:, 1] == 0).all()
    last = env.reset(jax.random.PRNGKey(0))._replace(time=jnp.int32(998))
    after = env.step(last, jnp.zeros(1))
    assert after.truncated and not after.terminated
    assert not env.step(last._replace(time=jnp.int32(997)), jnp.zeros(1)).truncated


def test_success_is_of_the_state_and_ends_with_the_episode(env):
    """The published code never takes it back, so that every later episode counts as one."""
    fresh = jax.vmap(env.reset)(jax.random.split(jax.random.PRNGKey(0), 2))
    step, judge = jax.jit(jax.vmap(env.step)), jax.vmap(lambda state: env.success(env.pose(state)))
    data = fresh.data._replace(qpos=jnp.array([[0.44], [-0.5]]), qvel=jnp.array([[0.05], [0.0]]))
    late = fresh._replace(data=data, time=jnp.full(2, env.episode_length - 1))
    ended = step(late, jnp.ones((2, 1)))
    np.testing.assert_array_equal(judge(ended), [True, False])
    assert ended.truncated.all()
    again = reset_where_done(ended, fresh)
    assert not judge(again).any() and not judge(step(again, jnp.ones((2, 1)))).any()


def test_success_and_progress(env):
    x = jnp.array([[-np.pi / 6], [LEFT], [0.0], [0.449], [0.45], [0.6]])
    poses = jax.vmap(env.pose_at)(x)
    np.testing.assert_array_equal(jax.vmap(env.success)(poses), [False] * 4 + [True] * 2)
    progress = np.asarray(jax.vmap(env.progress)(poses))
    assert progress[0] == pytest.approx(0, abs=1e-6) and progress[1] == pytest.approx(0.73, abs=0.01)
    assert progress[2] == pytest.approx(0.506, abs=0.01) and 0.99 < progress[3] < 1
    assert progress[4] == progress[5] == 1


def test_nan_is_not_hidden(env):
    assert np.isnan(env.step(env.reset(jax.random.PRNGKey(0)), jnp.array([jnp.nan])).obs).any()


def test_samples_are_all_over_the_road(env):
    x = np.asarray(jax.vmap(env.sample)(jax.random.split(jax.random.PRNGKey(0), 1000)))
    assert x.shape == (1000, 1) and LEFT <= x.min() < LEFT + 0.02 and RIGHT - 0.02 < x.max() <= RIGHT


@pytest.mark.parametrize("name", ["mountain-car", "mountain-car/plain"])
def test_the_picture_shows_where_the_car_is(name):
    env = envs.make(name)
    draw = jax.jit(jax.vmap(lambda qpos: env.frame(env.pose_at(qpos), 64, 64)))
    frames = np.asarray(draw(jnp.array([[-0.52], [0.45], [-1.2], [-0.521]])), int)
    # what two frames differ in is the car, at its old place and at its new one
    left, middle, right = ((frames[i] != frames[3]).any(-1) for i in (2, 0, 1))
    assert middle.sum() < 40  # the scene stands still
    columns = [np.nonzero(x)[1] for x in (left, right)]
    rows = [np.nonzero(x)[0] for x in (left, right)]
    assert columns[0].min() < 10 and columns[1].max() > 48
    assert rows[1].min() < rows[0].min() < rows[0].max()  # the flag's side is higher than the left end
    yellow = (frames[0][..., 0] > 180) & (frames[0][..., 1] > 140) & (frames[0][..., 2] < 90)
    assert np.nonzero(yellow)[1].mean() > 48


def test_the_car_stands_on_the_road_along_its_slope(env):
    for x in (-1.0, -0.2, 0.3):
        data = env.kinematics(env.pose_at(jnp.array([x])))
        car = env.mj_model.body("car").id
        height = 0.45 * np.sin(3 * x) + 0.55
        np.testing.assert_allclose(data.xpos[car], [x, 0, height], atol=1e-6)
        ahead = np.asarray(data.xmat[car]).reshape(3, 3)[:, 0]
        np.testing.assert_allclose(ahead[2] / ahead[0], 1.35 * np.cos(3 * x), rtol=1e-4)


def test_looks_differ_and_tasks_do_not(env):
    plain = envs.make("mountain-car/plain")
    assert plain.goal == env.goal and plain.baseline == env.baseline and plain.camera == env.camera
    with pytest.raises(TypeError, match="control"):
        envs.make("mountain-car", control="torque")
    with pytest.raises(ValueError, match="camera must be one of front or a Camera, not 'rear'"):
        envs.make("mountain-car", camera="rear")
