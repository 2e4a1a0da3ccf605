"""Cart and pole against Gymnasium's own, step by step; the rail; pictures; judgement."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs.cartpole import CAMERAS, CART_MASS, GRAVITY, HALF_POLE, POLE_MASS, RAIL, SEEN

NAMES = ("cartpole", "cartpole/discrete", "cartpole/swing-up")


@pytest.fixture(scope="module", params=NAMES)
def env(request):
    return envs.make(request.param)


@pytest.fixture(scope="module")
def swing_up():
    return envs.make("cartpole/swing-up")


def gymnasium_of(env):
    theirs = gymnasium.make("CartPole-v1", disable_env_checker=True).unwrapped
    theirs.reset(seed=0)
    if env.name == "cartpole/swing-up":
        theirs.kinematics_integrator = "semi-implicit euler"
    return theirs


def place(state, x, speed, angle, turn):
    data = state.data._replace(qpos=jnp.array([x, angle]), qvel=jnp.array([speed, turn]))
    return state._replace(data=data)


def test_every_step_equals_gymnasium(env):
    """Single steps from states all over, none within reach of the rail's ends."""
    theirs, rng = gymnasium_of(env), np.random.default_rng(0)
    states = rng.uniform(-1, 1, (200, 4)) * [2.0, 3.0, 4.0, 8.0]
    actions = rng.uniform(-1.5, 1.5, (200, 1))
    fresh = env.reset(jax.random.PRNGKey(0))
    after = jax.jit(jax.vmap(lambda s, a: env.step(place(fresh, *s), a)))(
        jnp.array(states, jnp.float32), jnp.array(actions, jnp.float32)
    )
    for i, (state, action) in enumerate(zip(states, actions[:, 0], strict=True)):
        theirs.state = state
        clipped = float(np.clip(action, -1, 1))
        theirs.force_mag = 10 if env.name == "cartpole/discrete" else 10 * abs(clipped)
        theirs.step(int(action >= 0))
        x, speed, angle, turn = theirs.state
        np.testing.assert_allclose(after.data.qpos[i], [x, angle], atol=1e-5)
        np.testing.assert_allclose(after.data.qvel[i], [speed, turn], atol=1e-5)


def test_a_whole_episode_equals_gymnasium_s():
    """Its observations too, over the limits where Gymnasium would have stopped."""
    env = envs.make("cartpole/discrete")
    theirs, step = gymnasium_of(env), jax.jit(env.step)
    state = env.reset(jax.random.PRNGKey(1))
    theirs.state = np.asarray(state.obs, float)
    for time in range(60):
        state = step(state, jnp.array([0.3 if time % 3 else -0.01]))
        observed = theirs.step(int(time % 3 > 0))[0]
        np.testing.assert_allclose(state.obs[:2], observed[:2], atol=2e-3)
        if abs(observed[2]) < SEEN[2] and abs(observed[3]) < SEEN[3]:
            np.testing.assert_allclose(state.obs, observed, atol=2e-3)
        np.testing.assert_allclose(state.data.qpos, observed[[0, 2]], atol=2e-3)
    assert abs(observed[2]) > np.pi and not state.terminated


def test_the_middle_of_the_discrete_action_is_right_and_nan_stays_nan():
    env = envs.make("cartpole/discrete")
    start = place(env.reset(jax.random.PRNGKey(0)), 0.0, 0.0, 0.0, 0.0)
    speeds = [float(env.step(start, jnp.array([a])).data.qvel[0]) for a in (0.0, -0.0, 0.2, -1e-6, jnp.nan)]
    assert speeds[0] == speeds[1] == speeds[2] == -speeds[3] > 0
    assert np.isnan(speeds[4])


def test_starts_and_time_limit(env):
    states = jax.vmap(env.reset)(jax.random.split(jax.random.PRNGKey(0), 200))
    hangs = np.pi if env.name == "cartpole/swing-up" else 0.0
    numbers = np.concatenate([states.data.qpos - np.array([0, hangs]), states.data.qvel], axis=1)
    assert 0.045 < np.abs(numbers).max() <= 0.0501 and np.abs(numbers.mean(0)).max() < 0.01
    assert states.obs.shape == (200, env.observation_size)
    step = jax.jit(env.step)
    last = env.reset(jax.random.PRNGKey(0))._replace(time=jnp.int32(199))
    after = step(last, jnp.zeros(1))
    assert after.truncated and not after.terminated
    fallen = step(place(last._replace(time=jnp.int32(3)), 5.0, 0.0, 2.0, 0.0), jnp.zeros(1))
    assert not fallen.truncated and not fallen.terminated


def test_success_and_progress(env):
    qpos = jnp.array([[0, 0], [2.39, -0.2], [0, 0.22], [2.41, 0], [0, np.pi], [0, 2 * np.pi], [9, 0]])
    poses = jax.vmap(env.pose_at)(qpos)
    success = np.asarray(jax.vmap(env.success)(poses))
    np.testing.assert_array_equal(success, [True, True, False, False, False, True, False])
    progress = np.asarray(jax.vmap(env.progress)(poses))
    np.testing.assert_array_equal(progress == 1, success)
    assert progress[2] > 0.98 and progress[3] > 0.98 and progress[4] < 1e-6 and progress[6] == 0


def test_success_is_of_the_state_and_never_latched(env):
    step = jax.jit(env.step)
    state = step(place(env.reset(jax.random.PRNGKey(0)), 0.0, 0.0, 0.0, 0.0), jnp.zeros(1))
    assert env.success(env.pose(state)) and state.reward == 1
    state = step(place(state, 0.0, 0.0, 3.0, 0.0), jnp.zeros(1))
    assert not env.success(env.pose(state)) and state.reward < 0.1


def test_a_free_pole_keeps_its_energy(swing_up):
    """Energy of cart and pole, kinetic and potential, without a force."""

    def energy(data):
        (_, angle), (speed, turn) = data.qpos, data.qvel
        pole = speed * HALF_POLE * turn * jnp.cos(angle) + 2 / 3 * (HALF_POLE * turn) ** 2
        kinetic = 0.5 * (CART_MASS + POLE_MASS) * speed**2 + POLE_MASS * pole
        return kinetic + POLE_MASS * GRAVITY * HALF_POLE * jnp.cos(angle)

    start = place(swing_up.reset(jax.random.PRNGKey(0)), 0.0, 0.0, 2.0, 0.0)

    def on_step(state, _):
        state = swing_up.step(state, jnp.zeros(1))
        return state, energy(state.data)

    _, energies = jax.lax.scan(on_step, start, None, length=200)
    np.testing.assert_allclose(energies, energy(start.data), atol=0.03)  # of 0.98 J from bottom to top


def test_the_rail_stops_the_cart_and_not_the_pole(swing_up):
    step = jax.jit(swing_up.step)
    start = place(swing_up.reset(jax.random.PRNGKey(0)), RAIL - 0.001, 2.0, 0.5, 0.0)
    after = step(start, jnp.zeros(1))
    assert after.data.qpos[0] == np.float32(RAIL) and after.data.qvel[0] == 0
    # the momentum about the hinge, v cos a + 4/3 l da/dt, changes by a step of gravity alone
    momentum = 4 / 3 * HALF_POLE * after.data.qvel[1] - 2.0 * np.cos(0.5)
    assert momentum == pytest.approx(0.02 * GRAVITY * np.sin(0.5), abs=2e-2)
    pushed = step(place(start, RAIL, 0.0, 0.5, 0.0), jnp.ones(1))  # against the buffer: on a fixed hinge
    free_fall = 0.02 * GRAVITY * np.sin(0.5) / (4 / 3 * HALF_POLE)
    assert pushed.data.qvel[1] == pytest.approx(free_fall, rel=5e-3)
    away = step(place(start, RAIL, 0.0, 0.0, 0.0), -jnp.ones(1))
    assert away.data.qpos[0] < RAIL and away.data.qvel[0] < 0


def test_samples_are_states_of_all_kinds(env):
    qpos = np.asarray(jax.vmap(env.sample)(jax.random.split(jax.random.PRNGKey(0), 1000)))
    assert qpos.shape == (1000, 2) and np.abs(qpos[:, 0]).max() <= RAIL
    upright = np.asarray(jax.vmap(lambda q: env.success(env.pose_at(q)))(jnp.array(qpos)))
    assert 0.15 < upright.mean() < 0.5 and np.abs(qpos[:, 1]).max() > 3


def test_the_picture_shows_the_pole_s_angle():
    env = envs.make("cartpole", camera="follow")
    draw = jax.jit(jax.vmap(lambda qpos: env.frame(env.pose_at(qpos), 48, 48)))
    qpos = jnp.array([[0, 0], [0, np.pi / 2], [0, -np.pi / 2], [0, np.pi], [1.5, 0]])
    frames = np.asarray(draw(qpos), int)
    orange = (frames[..., 0] > 120) & (frames[..., 1] < 110)
    rows, columns = zip(*(np.nonzero(x)[-2:] for x in orange), strict=True)
    hinge = 26
    assert rows[0].max() <= hinge and rows[0].min() < 10 and rows[3].min() >= hinge - 2
    assert columns[1].min() >= 23 and columns[2].max() <= 25
    assert abs(columns[4].mean() - columns[0].mean()) < 1  # the camera goes along


def test_by_default_the_picture_shows_the_whole_rail():
    env = envs.make("cartpole")
    frames = jax.jit(jax.vmap(lambda place: env.frame(env.pose_at(jnp.stack([place, 0.0])), 64, 64)))(
        jnp.array([-RAIL, 0.0, RAIL])
    )
    frames = np.asarray(frames, int)
    orange = (frames[..., 0] > 120) & (frames[..., 1] < 110)
    left, middle, right = (np.nonzero(frame)[1].mean() for frame in orange)
    assert 2 < left < 20 < middle < 44 < right < 62


def test_options():
    short = envs.make("cartpole", episode_length=7)
    assert short.episode_length == 7 and short.camera == CAMERAS["rail"]
    assert envs.make("cartpole", camera="follow").camera.body == "cart"
    with pytest.raises(ValueError, match="camera must be one of rail, follow or a Camera, not 'front'"):
        envs.make("cartpole", camera="front")
    with pytest.raises(ValueError, match="episode_length is 0"):
        envs.make("cartpole", episode_length=0)
