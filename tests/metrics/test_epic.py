"""EPIC: closed forms, scipy, and what must not change it."""

import math

import numpy as np
import pytest
from scipy import stats

from jaxrm.metrics import canonical_shaping, epic_distance, pearson

RNG = np.random.default_rng(0)
GAMMA = 0.9


def test_closed_forms():
    a = RNG.normal(size=100)
    assert epic_distance(a, 3 * a + 2) == pytest.approx(0, abs=1e-15)
    assert epic_distance(a, -a) == pytest.approx(1)
    assert epic_distance([1, 1, 2, 2], [1, 2, 1, 2]) == pytest.approx(math.sqrt(0.5))  # uncorrelated
    assert math.isnan(epic_distance(a, np.full(100, 0.1)))


def test_it_is_vlm_rm_s_form_of_pearson_s_correlation():
    a, goal = RNG.normal(size=500), RNG.random(500) < 0.2
    rho = stats.pearsonr(a, goal).statistic
    assert pearson(a, goal) == pytest.approx(rho, abs=1e-12)
    assert epic_distance(a, goal) == pytest.approx(math.sqrt(1 - rho) / math.sqrt(2), abs=1e-12)


def test_alike_rewards_keep_their_digits():
    a = RNG.normal(size=1000)
    b = a + 1e-10 * RNG.normal(size=1000)
    assert 1e-11 < epic_distance(a, b) < 1e-10  # from 1 - pearson it would be 0 or 1e-8
    assert epic_distance(1e200 * a, 1e-200 * a) < 1e-15


def test_potentials_and_scale_change_nothing_after_canonical_shaping():
    reward = RNG.normal(size=(6, 3, 6))
    potential = RNG.normal(size=6)
    shaped = 4 * reward + GAMMA * potential[None, None, :] - potential[:, None, None]
    states, actions = RNG.dirichlet(np.ones(6)), RNG.dirichlet(np.ones(3))
    a, b = (canonical_shaping(r, GAMMA, states, actions) for r in (reward, shaped))
    assert epic_distance(reward, shaped) > 0.05
    assert epic_distance(a, b) < 1e-14
    np.testing.assert_allclose(b, 4 * a, atol=1e-12)


def test_canonical_shaping_is_the_sum_in_the_paper():
    reward = RNG.normal(size=(3, 2, 3))
    expected = np.empty_like(reward)
    for s, a, t in np.ndindex(reward.shape):
        expected[s, a, t] = (
            reward[s, a, t] + GAMMA * np.mean(reward[t]) - np.mean(reward[s]) - GAMMA * np.mean(reward)
        )
    np.testing.assert_allclose(canonical_shaping(reward, GAMMA), expected, atol=1e-12)


@pytest.mark.parametrize("reached", [True, False])
def test_rewards_of_the_state_alone_need_no_shaping(reached):
    def distances(shape):
        a, b = np.random.default_rng(1).normal(size=(2, 8))
        return epic_distance(shape(a), shape(b)), epic_distance(a, b)

    def of_transitions(values):  # of the state reached, or of the state left
        table = values[None, None, :] if reached else values[:, None, None]
        return canonical_shaping(np.broadcast_to(table, (8, 2, 8)), GAMMA)

    assert distances(of_transitions)[0] == pytest.approx(distances(of_transitions)[1], abs=1e-12)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"shapes \(2, 2\) and \(4,\)"):
        epic_distance(np.eye(2), np.arange(4))
    with pytest.raises(ValueError, match="1 of the 2 values of b are not finite"):
        epic_distance([1, 2], [1, np.inf])
    with pytest.raises(ValueError, match=r"wanted \[states, actions, states\]"):
        canonical_shaping(np.zeros((2, 3)), GAMMA)
    with pytest.raises(ValueError, match="sum to 1"):
        canonical_shaping(np.zeros((2, 3, 2)), GAMMA, [0.5, 0.6])
    with pytest.raises(ValueError, match="gamma is 2"):
        canonical_shaping(np.zeros((2, 3, 2)), 2)
