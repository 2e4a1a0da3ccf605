"""The loop around the learner: rewards where they belong, worlds that go bad, cores."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrm
from envs.pendulum import Pendulum
from jaxrm.render import Camera
from jaxrm.types import Pose
from jaxrm.weights.resize import torch_bicubic
from train.rl.config import PolicyConfig
from train.rl.parts import Parts, make_learner
from train.rl.program import make_program
from train.rl.rewards import Looks, LoopReward, from_other_side, in_blocks, rows_where, truth_reward
from train.rl.rollout import reset_worlds, unroll


class Breaking(Pendulum):
    """Gives NaN in what it observes and rewards beyond some speed, and resets nothing."""

    def step(self, state, action):
        after = super().step(state, action)
        bad = jnp.abs(after.data.qvel[0]) > 3.0
        return after._replace(
            obs=jnp.where(bad, jnp.nan, after.obs), reward=jnp.where(bad, jnp.nan, after.reward)
        )


def config(algo="ppo", **changes):
    settings = dict(reward="truth", num_envs=16, unroll_length=8, policy_hidden=(8,), value_hidden=(8,))
    if algo == "ppo":
        settings |= dict(epochs=2, minibatches=2)
    else:
        settings |= dict(updates_per_step=1 / 32, batch_size=16, learning_starts=128, replay_size=1024)
    return PolicyConfig("pendulum", **{**settings, **changes}, algo=algo)


def learner_and_state(env, settings, reward=None):
    learner = make_learner(settings, 3, 1)
    program = make_program(settings, env, learner, reward or truth_reward())
    return learner, program, program.init(jax.random.PRNGKey(0))


@pytest.mark.parametrize("algo", ["ppo", "sac"])
def test_nan_worlds_are_counted_and_reach_nothing(algo):
    _, program, state = learner_and_state(Breaking(), config(algo))
    state, figures = program.run(state, program.frozen, 5)
    assert figures["nan_resets"][4] > 0 and sum(figures["masked"][:5]) == figures["nan_resets"][4]
    learnt = (state.params, state.obs_stats, state.reward_stats, state.worlds.obs)
    for leaf in jax.tree.leaves(learnt):
        assert np.isfinite(leaf).all()
    if algo == "sac":
        rows = state.memory.rows
        assert int(np.sum(~rows.valid[:, : 5 * 16])) == figures["nan_resets"][4]
        assert all(np.isfinite(x).all() for x in (rows.obs, rows.action, rows.score, rows.next_obs))


def test_step_drawing_reward_and_update_are_lowered_for_accelerators():
    """As far as can be told without one: no operation that only CPUs know."""
    settings = config(reward="clip")
    parts = Parts.build(settings)
    program = make_program(settings, parts.env, parts.learner, parts.reward)
    state = jax.eval_shape(program.init, jax.random.PRNGKey(0))
    traced = program.run.trace(state, program.frozen, jnp.int32(1))
    for platform in ("cuda", "tpu"):
        assert "stablehlo.while" in traced.lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize("algo", ["ppo", "sac"])
def test_the_true_reward_of_the_humanoid_takes_the_learner_s_settings(algo):
    """The published code's ground truth has a learner of its own, and fails on this body."""
    settings = config(algo, num_envs=32, unroll_length=4, policy_hidden=(24,), value_hidden=(40,))
    settings = dataclasses.replace(settings, task="humanoid/kneeling")
    parts = Parts.build(settings)
    program = make_program(settings, parts.env, parts.learner, parts.reward)
    state = jax.eval_shape(program.init, jax.random.PRNGKey(0))
    assert state.worlds.obs.size == 32 * parts.env.observation_size
    widths = {width for leaf in jax.tree.leaves(state.params) for width in leaf.shape[-1:]}
    assert {24, 40} <= widths
    after, figures = jax.eval_shape(program.run, state, program.frozen, jnp.int32(1))
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, state)
    assert {"success", "reward"} <= set(figures)


def test_frames_of_another_size_are_shrunk_as_in_the_paper_s_code():
    """Drawn at 96 pixels, as floats to the model's 64 without antialias; else by its own preprocessing."""
    env, checkpoint = Pendulum(), jaxrm.load_clip("scene-clip", resize="vlmrm")
    poses = jax.vmap(jax.vmap(env.pose_at))(jnp.linspace(-3, 3, 6).reshape(2, 3, 1))
    frames = jax.vmap(jax.vmap(lambda pose: env.frame(pose, 96, 96)))(poses)
    goal = checkpoint.embed_texts([env.goal])[0]
    scores = {}
    for resize in ("pil", "vlmrm"):
        settings = config(reward="clip", frame_size=96, resize=resize)
        reward = Parts.build(settings).reward
        scores[resize], _ = reward.read(env, reward.weights, reward.state, (), Looks(poses, None, None))
    shrunk = torch_bicubic(frames.astype(jnp.float32), 64, 64)
    images = checkpoint.processor.images
    pixels = (shrunk / 255 - jnp.array(images.mean)) / jnp.array(images.std)
    embedded = jax.vmap(checkpoint.model.encode_pixels)(pixels)
    expected = embedded @ goal / jnp.linalg.norm(embedded, axis=-1)
    np.testing.assert_allclose(scores["vlmrm"], expected, atol=1e-5)
    assert np.abs(scores["pil"] - expected).max() > 1e-3


def test_both_sides_are_the_mean_of_two_cameras():
    env, azimuth = Pendulum(), 60.0
    reward = Parts.build(config(reward="clip", both_sides=True)).reward
    one = Parts.build(config(reward="clip")).reward
    poses = jax.vmap(jax.vmap(env.pose_at))(jnp.linspace(-3, 3, 4).reshape(2, 2, 1))
    looks = Looks(poses, None, None)
    scores = []
    for place in (azimuth, -azimuth):
        env.camera = Camera.free(distance=4.0, azimuth=place, elevation=0.0, lookat=(0.0, 0.0, 1.5))
        scores.append(one.read(env, one.weights, (), (), looks)[0])
        both, _ = reward.read(env, reward.weights, (), (), looks)
        assert np.abs(both - scores[-1]).max() > 1e-3
    np.testing.assert_allclose(both, sum(scores) / 2, atol=2e-5)


def test_a_camera_that_cannot_be_mirrored_is_refused():
    env = Pendulum()
    env.camera = "side"
    with pytest.raises(ValueError, match="both_sides needs a camera that can be mirrored, which 'pendulum'"):
        from_other_side(env)


def test_rewards_are_of_the_state_reached_before_the_reset():
    env = Pendulum()
    env.episode_length = 3
    learner, _, state = learner_and_state(env, config())
    worlds = reset_worlds(env, jax.random.split(jax.random.PRNGKey(1), 4))
    fresh = reset_worlds(env, jax.random.split(jax.random.PRNGKey(2), 4))
    noise = jnp.zeros((4, 4, 1))
    after, steps = unroll(env, partial(learner.explore, state), worlds, fresh, noise)
    np.testing.assert_array_equal(steps.truncated[:, 0], [False, False, True, False])
    assert not steps.terminated.any()
    np.testing.assert_array_equal(steps.obs[3], fresh.obs)  # the fourth step starts anew
    np.testing.assert_array_equal(steps.next_obs[:2], steps.obs[1:3])
    angle = steps.pose.qpos[2, :, 0]  # of the true final state, not of the start after it
    np.testing.assert_allclose(jnp.cos(angle), steps.next_obs[2, :, 0], rtol=1e-5)
    assert not np.allclose(steps.next_obs[2], fresh.obs)
    np.testing.assert_array_equal(after.time, [1, 1, 1, 1])


@pytest.mark.parametrize(("length", "apart"), [(200, 4), (202, 2), (199, 1)])
def test_worlds_begin_where_the_last_state_of_each_episode_is_looked_at(length, apart):
    """By the truth, which sees every state, at any step."""
    env = Pendulum()
    env.episode_length = length
    frames = LoopReward("upright", (), (), lambda env, weights, state, poses: poses.qpos[..., 0], ())
    for reward, stride in ((frames, apart), (None, 1)):
        _, _, state = learner_and_state(env, config(reward_every=4, num_envs=64), reward)
        times = np.asarray(state.worlds.time).reshape(-1)
        assert np.gcd.reduce((times - length) % length) == stride and times.max() < length


def test_a_pose_reward_sees_every_scored_pose_once_and_takes_weights_as_an_argument():
    def score(env, weights, state, poses: Pose):
        return weights * jnp.cos(poses.qpos[..., 0])

    reward = LoopReward("upright", jnp.float32(2.0), (), score, ())
    _, program, state = learner_and_state(Pendulum(), config(reward_every=4), reward)
    state, figures = program.run(state, program.frozen, 1)
    assert -2.0 <= figures["reward"][0] <= 2.0
    _, other = program.run(
        program.init(jax.random.PRNGKey(0)), program.frozen._replace(reward=jnp.float32(4.0)), 1
    )
    np.testing.assert_allclose(other["reward"][0], 2 * figures["reward"][0], rtol=1e-5)


@pytest.mark.parametrize("algo", ["ppo", "sac"])
def test_how_many_iterations_a_call_has_changes_nothing(algo):
    finals = []
    for calls in ([3], [1, 2]):
        _, program, state = learner_and_state(Pendulum(), config(algo))
        for count in calls:
            state, _ = program.run(state, program.frozen, count)
        finals.append(jax.tree.map(np.asarray, state))
    jax.tree.map(np.testing.assert_array_equal, *finals)


@pytest.mark.parametrize("block", [1, 4, 7, 100])
def test_blocks_change_nothing(block):
    poses = Pose(jnp.arange(12.0).reshape(3, 4, 1), jnp.zeros((3, 4, 2), jnp.uint32))
    judged = in_blocks(lambda p: 2 * p.qpos[:, 0], poses, block)
    np.testing.assert_array_equal(judged, 2 * poses.qpos[..., 0])


@pytest.mark.parametrize("flagged", [0, 1, 3, 5, 10])
def test_rows_that_are_flagged_are_judged_and_no_more_blocks_than_hold_them(flagged):
    rows, flags = jnp.arange(1.0, 11.0), np.zeros(10, bool)
    flags[np.random.default_rng(0).permutation(10)[:flagged]] = True
    judged = np.asarray(jax.jit(lambda flags: rows_where(lambda x: 2 * x, rows, flags, 3))(flags))
    np.testing.assert_array_equal(judged[flags], 2 * rows[flags])
    assert (judged != 0).sum() == min(10, 3 * -(-flagged // 3))
