import math

import numpy as np
import pytest

import jaxrm
from jaxrm.metrics import false_discovery_rate, false_positive_rate, success_threshold


def test_rates_by_hand():
    scores, labels = [0.9, 0.8, 0.8, 0.1, 0.0], [True, False, True, False, False]
    assert false_positive_rate(scores, labels, 0.8) == pytest.approx(1 / 3)  # at the threshold is success
    assert false_discovery_rate(scores, labels, 0.8) == pytest.approx(1 / 3)
    assert false_positive_rate(scores, labels, 0.81) == 0
    assert math.isnan(false_positive_rate([1, 2], [1, 1], 0.5))
    assert math.isnan(false_discovery_rate(scores, labels, 2.0))
    assert math.isnan(false_positive_rate(scores, labels, math.nan))


def test_threshold_separates_what_can_be_separated():
    assert success_threshold([0, 1, 3, 4], [0, 0, 1, 1]) == 2
    assert success_threshold([1, 1], [0, 1]) == 1
    assert math.isnan(success_threshold([1, 2], [0, 0]))


def test_threshold_is_the_best_of_all():
    rng = np.random.default_rng(0)
    labels = rng.random(300) < 0.3
    scores = (rng.normal(size=300) + labels).round(1)

    def youden(threshold):
        return np.mean(scores[labels] >= threshold) - false_positive_rate(scores, labels, threshold)

    best = max(youden(score) for score in scores)
    assert youden(success_threshold(scores, labels)) == pytest.approx(best)


def test_a_policy_that_exploits_the_reward_is_seen():
    rng = np.random.default_rng(0)
    labels = rng.random(1000) < 0.5
    threshold = success_threshold(rng.normal(size=1000) + 4 * labels, labels)
    honest = rng.normal(size=500)
    sought = honest + 3  # failures that the reward likes
    assert false_positive_rate(honest, np.zeros(500, bool), threshold) < 0.05
    assert false_positive_rate(sought, np.zeros(500, bool), threshold) > 0.7


def test_the_library_has_its_metrics():
    assert jaxrm.metrics.false_positive_rate is false_positive_rate
