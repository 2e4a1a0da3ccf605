"""The pendulum against Gymnasium's equations, written out again in plain numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs


@pytest.fixture(scope="module")
def env():
    return envs.make("pendulum")


def gymnasium_step(angle, speed, torque):
    """`PendulumEnv.step` of Gymnasium 1.x, g = 10, m = l = 1, dt = .05."""
    torque = np.clip(torque, -2, 2)
    costs = (((angle + np.pi) % (2 * np.pi)) - np.pi) ** 2 + 0.1 * speed**2 + 0.001 * torque**2
    speed = np.clip(speed + (3 * 10 / 2 * np.sin(angle) + 3.0 * torque) * 0.05, -8, 8)
    return angle + speed * 0.05, speed, -costs


def test_steps_equal_gymnasium(env):
    step = jax.jit(env.step)
    state = env.reset(jax.random.PRNGKey(3))
    angle, speed = float(state.data.qpos[0]), float(state.data.qvel[0])
    for action in np.random.default_rng(0).uniform(-1.2, 1.2, size=50):
        state = step(state, jnp.array([action], jnp.float32))
        angle, speed, reward = gymnasium_step(angle, speed, 2 * np.clip(action, -1, 1))
        np.testing.assert_allclose(state.obs, [np.cos(angle), np.sin(angle), speed], atol=2e-3)
        np.testing.assert_allclose(state.reward, reward, atol=2e-2)


def test_starts_and_time_limit(env):
    states = jax.vmap(env.reset)(jax.random.split(jax.random.PRNGKey(0), 500))
    assert np.abs(states.data.qpos).max() <= np.pi and np.abs(states.data.qpos).max() > 3
    assert 0.9 < np.abs(states.data.qvel).max() <= 1
    last = env.reset(jax.random.PRNGKey(0))._replace(time=jnp.int32(199))
    after = env.step(last, jnp.zeros(1))
    assert (
        after.truncated
        and not after.terminated
        and not env.step(last._replace(time=jnp.int32(5)), jnp.zeros(1)).truncated
    )


def test_success_and_progress(env):
    angles = jnp.array([0.0, 0.19, 0.21, np.pi, 2 * np.pi])[:, None]
    poses = jax.vmap(env.pose_at)(angles)
    np.testing.assert_array_equal(jax.vmap(env.success)(poses), [True, True, False, False, True])
    progress = np.asarray(jax.vmap(env.progress)(poses))
    assert progress[0] == progress[1] == 1 and 0.9 < progress[2] < 1 and progress[3] < 1e-6


def test_upright_is_up_in_the_picture(env):
    draw = jax.jit(lambda pose: env.frame(pose, 48, 48))
    red = [np.asarray(draw(env.pose_at(jnp.array([angle]))), int) for angle in (0.0, np.pi, np.pi / 2)]
    rows, columns = zip(*(np.nonzero(x[..., 0] > x[..., 2] + 40) for x in red), strict=True)
    assert rows[0].mean() < 22 and rows[1].mean() > 26 and columns[2].mean() > 26
