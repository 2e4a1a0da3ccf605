"""Scores spread over the steps between scored ones: no score leaves its episode."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrm.types import Pose
from train.rl import program
from train.rl.config import PolicyConfig
from train.rl.rewards import LoopReward
from train.rl.rollout import Transition, last_scores, scored_steps, spread_scores

NONE = jnp.full(2, jnp.nan)


def two_worlds(*ends: int) -> jnp.ndarray:
    """Eight steps; in the second world episodes end at the steps named."""
    done = np.zeros((8, 2), bool)
    done[list(ends), 1] = True
    return jnp.asarray(done)


def test_scores_between_scored_steps_lie_on_lines_within_an_episode():
    assert list(scored_steps(8, 4)) == [3, 7]
    spread = spread_scores(jnp.array([[1.0, 1.0], [5.0, 9.0]]), two_worlds(5), 4, NONE)
    np.testing.assert_allclose(spread[:, 0], [1, 1, 1, 1, 2, 3, 4, 5])
    np.testing.assert_allclose(spread[:, 1], [1, 1, 1, 1, 1, 1, 9, 9])


@pytest.mark.parametrize("between", ["linear", "hold"])
@pytest.mark.parametrize("end", [1, 3, 4, 6])
def test_unrolls_behind_one_another_are_as_one_long_one(between, end):
    """Where an unroll is no longer than the steps between two scores, there would be no line at all."""
    scores, done = jnp.array([[1.0, 2.0], [5.0, 9.0]]), two_worlds(end)
    whole = spread_scores(scores, done, 4, NONE, between)
    first = spread_scores(scores[:1], done[:4], 4, NONE, between)
    second = spread_scores(scores[1:], done[4:], 4, last_scores(first, done[:4]), between)
    np.testing.assert_allclose(jnp.concatenate([first, second]), whole)


def test_held_scores():
    before = jnp.array([7.0, jnp.nan])
    spread = spread_scores(jnp.array([[1.0, 1.0], [5.0, 9.0]]), two_worlds(5), 4, before, "hold")
    np.testing.assert_allclose(spread[:, 0], [7, 7, 7, 1, 1, 1, 1, 5])
    np.testing.assert_allclose(spread[:, 1], [1, 1, 1, 1, 1, 1, 9, 9])


@pytest.mark.parametrize("between", ["linear", "hold"])
def test_an_episode_that_ends_before_the_first_scored_step_keeps_its_own_score(between):
    """Its last steps must not get the score of the episode that follows."""
    scores, before = jnp.array([[1.0, 4.0], [1.0, 8.0]]), jnp.array([1.0, 3.0])
    spread = spread_scores(scores, two_worlds(1), 4, before, between)
    np.testing.assert_allclose(spread[:4, 1], [3, 3, 4, 4])


def test_steps_without_a_score_of_their_episode_have_none():
    spread = spread_scores(jnp.ones((2, 2)), two_worlds(1, 4, 6), 4, NONE)
    np.testing.assert_array_equal(np.isnan(spread[:, 1]), [True, True, *[False] * 3, True, True, False])


def test_what_the_next_unroll_goes_on_from():
    spread = jnp.arange(16.0).reshape(8, 2)
    np.testing.assert_array_equal(last_scores(spread, two_worlds(7)), [14, np.nan])
    np.testing.assert_array_equal(last_scores(spread, two_worlds(6)), [14, 15])


def test_every_step_scored_is_exact():
    scores = jnp.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(spread_scores(scores, jnp.ones((3, 2), bool), 1, NONE), scores)


def test_steps_before_a_world_went_bad_are_not_judged_by_the_fresh_state_in_its_place():
    """Scored at every second step: world 0 goes bad at the second, world 1 at none."""
    config = PolicyConfig("pendulum", reward="clip", reward_every=2, unroll_length=4, num_envs=2)
    flags, number = jnp.zeros((4, 2), bool), jnp.zeros((4, 2))
    bad = flags.at[1, 0].set(True)
    place = jnp.arange(8.0).reshape(4, 2, 1)
    steps = Transition(
        obs=place, taken=(), next_obs=place, pose=Pose(place, jnp.zeros((4, 2, 2), jnp.uint32)), truth=number,
        terminated=bad, truncated=flags, valid=~bad,
    )  # fmt: skip
    reward = LoopReward("place", (), (), lambda env, weights, state, poses: poses.qpos[..., 0], ("far",))
    state = SimpleNamespace(reward_memory=(), reward_state=(), last_score=jnp.full((1, 2), jnp.nan))
    scores, last, _ = program.judge(config, None, reward, state, (), steps)  # type: ignore[arg-type]
    np.testing.assert_array_equal(scores, [[np.nan, 3], [np.nan, 3], [6, 5], [6, 7]])
    np.testing.assert_array_equal(last, [6, 7])
