"""Metrics of order against closed forms and scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from jaxrm.metrics import roc_auc, spearman, value_order_correlation


def test_auc_closed_forms():
    assert roc_auc([1, 2, 3, 4], [0, 0, 1, 1]) == 1.0
    assert roc_auc([1, 2, 3, 4], [1, 1, 0, 0]) == 0.0
    assert roc_auc([5, 5, 5, 5], [0, 1, 0, 1]) == 0.5  # ties count half
    assert math.isnan(roc_auc([1, 2], [1, 1]))
    assert math.isnan(roc_auc([], []))


def test_auc_is_the_share_of_ordered_pairs():
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 9, 200), rng.random(200) < 0.3
    positive, negative = scores[labels][:, None], scores[~labels]
    assert roc_auc(scores, labels) == pytest.approx(
        ((positive > negative) + 0.5 * (positive == negative)).mean()
    )


def test_auc_is_mann_whitney_s_u():
    rng = np.random.default_rng(2)
    scores, labels = rng.integers(0, 30, 300), rng.random(300) < 0.4
    u = stats.mannwhitneyu(scores[labels], scores[~labels]).statistic
    assert roc_auc(scores, labels) == pytest.approx(u / (labels.sum() * (~labels).sum()), abs=1e-12)


def test_auc_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="scores has 3 values and labels has 2"):
        roc_auc([1, 2, 3], [0, 1])
    with pytest.raises(ValueError, match="labels must be true or false"):
        roc_auc([1, 2, 3], [0, 1, 2])
    with pytest.raises(ValueError, match="1 of the 3 values of scores are NaN"):
        roc_auc([1, np.nan, 3], [0, 1, 1])


def test_spearman_against_scipy_with_ties():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 9, 100), rng.normal(size=100)
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)


def test_spearman_of_a_constant_is_undefined():
    assert math.isnan(spearman([1, 1, 1], [1, 2, 3]))
    with pytest.raises(ValueError, match="3 values and b has 2"):
        spearman([1, 2, 3], [1, 2])


def test_value_order_correlation():
    assert value_order_correlation([0.1, 0.2, 0.25, 9.0]) == pytest.approx(1)
    assert value_order_correlation([3, 2, 1, -np.inf]) == pytest.approx(-1)
    assert math.isnan(value_order_correlation([0.3] * 7))  # undefined, not 0
    assert math.isnan(value_order_correlation([1.0]))
    assert math.isnan(value_order_correlation([-np.inf] * 3))
    values = np.random.default_rng(0).integers(0, 5, 50)
    expected = stats.spearmanr(values, np.arange(50)).statistic
    assert value_order_correlation(values) == pytest.approx(expected, abs=1e-12)
    with pytest.raises(ValueError, match="one trajectory at a time"):
        value_order_correlation(np.zeros((2, 3)))


def test_rounding_makes_no_order():
    """A still film scores a constant but for the last bits; one that stands still half-way has ties there."""
    noise = 1.5e-8 * np.random.default_rng(0).normal(size=50)
    assert math.isnan(value_order_correlation(0.3 + noise))
    rises = np.concatenate([np.zeros(20), np.linspace(0.1, 1, 30)])
    assert value_order_correlation(rises + noise) == value_order_correlation(rises)
    assert value_order_correlation(np.arange(5) * 1e-8, tolerance=0) == 1.0
