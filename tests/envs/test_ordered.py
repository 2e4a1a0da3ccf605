"""Tasks of order: what the world remembers says what the oracle says of the whole trajectory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs.humanoid import motion_truth, tasks
from envs.humanoid.instructions import NUMBERS, Action
from envs.humanoid.motion_truth import CONDITIONS, Signs, share_gone
from envs.humanoid.ordered import OrderedHumanoid, Watch
from envs.humanoid.postures import Sampler
from envs.types import is_ordered, past_of

LENGTH = 12
NAME = "raise-and-lower-left-arm"
RAISE, LOWER = tasks.ORDERED[NAME]
TURN, BACK, KNEEL = Action("turn", "left"), Action("turn", "right"), Action("kneel")


def wild_signs(count: int) -> Signs:
    """Trajectories that no body could follow, so that every rule is met."""
    draw = np.random.default_rng(0)
    flips = draw.random((count, LENGTH, len(CONDITIONS))) < 0.35
    holds = (np.cumsum(flips, axis=1) + draw.integers(0, 2, (count, 1, len(CONDITIONS)))) % 2 == 1
    heading = np.cumsum(draw.normal(0, 0.7, (count, LENGTH)), axis=1)
    yaw = jnp.asarray((heading + np.pi) % (2 * np.pi) - np.pi, jnp.float32)
    return Signs(jnp.asarray(holds), yaw, jnp.asarray(holds, jnp.float32))


@pytest.mark.parametrize(
    "instruction",
    [(RAISE,), (TURN,), (RAISE, LOWER), (LOWER, RAISE), (TURN, BACK), (TURN, RAISE), (KNEEL, BACK)],
)
def test_remembering_says_what_the_oracle_says(instruction):
    seen, everything = wild_signs(1000), jnp.ones(LENGTH, bool)
    watch = Watch(instruction, LENGTH)

    def follow(seen: Signs):
        def step(past, one):
            past = watch.see(past, one)
            return past, past.done

        return jax.lax.scan(step, watch.begin(), seen)[1][-1]

    done = jax.jit(jax.vmap(follow))(seen)
    number = NUMBERS[instruction]
    told = jax.jit(jax.vmap(lambda s: motion_truth.carried_out(s, everything, number)))(seen)
    np.testing.assert_array_equal(done, told)
    assert 20 < int(told.sum()) < 980


def test_the_way_to_an_end_pays_evenly():
    near = jnp.exp(-jnp.array([4.0, 3.0, 1.0, 0.0, 5.0, 20.0]))
    np.testing.assert_allclose(share_gone(near, 4.0), [0, 0.25, 0.75, 1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(share_gone(near, 4.0, least=-1.0)[4:], [-0.25, -1], atol=1e-6)
    np.testing.assert_allclose(share_gone(near, 0.5), near, atol=1e-6)  # no way to go


def test_the_tasks_are_there_with_plain_words():
    assert {f"humanoid/{name}" for name in tasks.ORDERED} <= set(envs.names())
    assert all(instruction in NUMBERS for instruction in tasks.ORDERED.values())


@pytest.fixture(scope="module")
def env():
    return envs.make(f"humanoid/{NAME}", episode_length=6)


def test_what_an_episode_is_told(env):
    assert env.goal == "raises its left arm and lowers it" and is_ordered(env)
    plain = envs.make("humanoid/standing")
    assert env.observation_size == plain.observation_size + 1 and not is_ordered(plain)
    state = jax.eval_shape(env.reset, jax.random.key(0))
    assert state.obs.shape == (env.observation_size,)
    with pytest.raises(ValueError, match="camera must be one of"):
        envs.make(f"humanoid/{NAME}", camera="top")
    with pytest.raises(ValueError, match="'lowers its left arm' cannot be done by a body that stands"):
        OrderedHumanoid("x", (LOWER,), "", tasks.CAMERA, "position", 100)


def posture(env, raised: bool) -> jax.Array:
    """Standing, the left arm raised or hanging as the right one."""
    sampler, model = Sampler(env), env.mj_model
    arms = sampler.arm_joints("hanging")
    if raised:
        names = [model.joint(index).name for index in range(1, model.njnt)]
        left = np.array([name.startswith("left") for name in names])
        arms = jnp.where(left, sampler.arm_joints("raised"), arms)
    return jax.jit(sampler.qpos)(sampler.leg_joints("standing") + arms, 0.0, 0.0, 0.0, 0.0)


def test_an_arm_that_goes_up_and_down_is_a_success(env):
    """Worlds put into postures before each step: up and down again; up and held there; never up; up, then
    falls on its back."""
    down, up = posture(env, False), posture(env, True)
    fallen = up.at[2:7].set(jnp.array([0.2, np.sqrt(0.5), 0.0, -np.sqrt(0.5), 0.0]))
    worlds = np.array([[0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0], [0, 0, 1, 1, 2, 2]])

    @jax.jit
    @jax.vmap
    def step(state, qpos):
        put = state._replace(data=state.data._replace(qpos=qpos, qvel=jnp.zeros_like(state.data.qvel)))
        state = env.step(put, jnp.zeros(env.action_size))
        return state, env.success(env.pose(state), *past_of(env, state))

    state = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(0), 4))
    passed = [state]
    success = []
    for which in worlds.T:
        state, done = step(state, jnp.stack([down, up, fallen])[which])
        passed.append(state)
        success.append(done)
    success = np.stack(success)
    np.testing.assert_array_equal(success[-1], [True, False, False, False])
    assert not success[:4].any()
    qpos = jnp.stack([state.data.qpos for state in passed[1:]], axis=1)
    seen = jax.jit(jax.vmap(lambda qpos: motion_truth.signs(env, qpos)))(qpos)
    everything, number = jnp.ones(len(success), bool), NUMBERS[env.watch.instruction]
    told = jax.jit(jax.vmap(lambda one: motion_truth.carried_out(one, everything, number)))(seen)
    np.testing.assert_array_equal(success[-1], told)
    reward = np.stack([state.reward for state in passed[1:]])
    assert reward[-1, 0] > 0.9 and 0.5 <= reward[-1, 1] < 0.75 and reward[-1, 2] < 0.5
    assert 0 <= reward[-1, 3] < reward[-1, 1] - 0.1  # on the floor it is farther from its end
    times = [float(state.obs[0, -1]) for state in passed]
    np.testing.assert_allclose(times, np.arange(7) / 6, rtol=1e-6)
    assert np.asarray(state.truncated).all()
