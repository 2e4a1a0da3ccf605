"""The pendulum against Gymnasium's own, step by step; pictures; judgement."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs


@pytest.fixture(scope="module")
def env():
    return envs.make("pendulum")


def test_every_step_equals_gymnasium(env):
    """Speeds up to their limit, angles beyond one turn, torques beyond their limit."""
    theirs, rng = gymnasium.make("Pendulum-v1", disable_env_checker=True).unwrapped, np.random.default_rng(0)
    theirs.reset(seed=0)
    states = rng.uniform(-1, 1, (200, 2)).astype(np.float32) * np.float32([7, 8])
    actions = rng.uniform(-1.2, 1.2, (200, 1)).astype(np.float32)
    fresh = env.reset(jax.random.PRNGKey(0))

    def step(state, action):
        return env.step(fresh._replace(data=fresh.data._replace(qpos=state[:1], qvel=state[1:])), action)

    after = jax.jit(jax.vmap(step))(states, actions)
    for i in range(len(states)):
        theirs.state = states[i].astype(float)
        observed, reward, *_ = theirs.step(2 * actions[i])
        np.testing.assert_allclose(after.obs[i], observed, atol=1e-5)
        np.testing.assert_allclose(after.reward[i], reward, atol=1e-4)


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
