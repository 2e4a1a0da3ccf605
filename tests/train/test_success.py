"""What the reward calls success: the threshold and the share of failing states above it."""

import jax.numpy as jnp
import numpy as np

from train.rl import success
from train.rl.evaluation import Rollouts, summary

TRUE4 = jnp.ones(4, bool)


def test_no_threshold_before_a_success():
    seen = success.none_seen(jnp.float32)
    seen, rate = success.update(seen, jnp.arange(4.0), ~TRUE4, TRUE4, None)
    assert np.isnan(seen.threshold) and np.isnan(rate)


def test_threshold_is_the_mean_score_of_all_successes_so_far():
    holds = jnp.array([True, False, False, True])
    seen, rate = success.update(
        success.none_seen(jnp.float32), jnp.array([1.0, 3.0, 0, 3.0]), holds, TRUE4, None
    )
    assert seen.threshold == 2.0 and rate == 0.5
    seen, rate = success.update(seen, jnp.array([8.0, 9.0, 9.0, 2.0]), holds.at[3].set(False), TRUE4, None)
    assert seen.threshold == 4.0 and seen.count == 3
    np.testing.assert_allclose(rate, 2 / 3)


def test_states_that_mean_nothing_do_not_count():
    holds, valid = jnp.array([True, True, False, False]), jnp.array([True, False, True, False])
    seen, rate = success.update(
        success.none_seen(jnp.float32), jnp.array([1.0, jnp.nan, 0.0, 9.0]), holds, valid, None
    )
    assert seen.threshold == 1.0 and rate == 0.0


def test_the_share_in_an_evaluation():
    reward = np.array([[0.1, 0.5, 0.9, 0.9]])
    holds = np.array([[False, False, False, True]])
    alive = np.array([[True, True, True, True]])
    one = np.array([False])
    rollouts = Rollouts(np.zeros((1, 4, 1)), np.zeros((1, 2)), reward, reward, holds, alive, one)
    np.testing.assert_allclose(summary(rollouts, 0.5)["false_positives"], 2 / 3)
    assert summary(rollouts)["false_positives"] is None
    # a reward that looks at every second step says 0 between them, which is no judgement
    zeros = rollouts._replace(reward=np.array([[0.0, 0.5, 0.0, 0.9]]))
    assert summary(zeros, 0.4, stride=2)["false_positives"] == 1.0
