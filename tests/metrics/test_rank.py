"""Metrics of order against closed forms and scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from jaxrm.metrics import roc_auc, spearman


def test_auc_closed_forms():
    assert roc_auc([1, 2, 3, 4], [0, 0, 1, 1]) == 1.0
    assert roc_auc([1, 2, 3, 4], [1, 1, 0, 0]) == 0.0
    assert roc_auc([5, 5, 5, 5], [0, 1, 0, 1]) == 0.5  # ties count half
    assert math.isnan(roc_auc([1, 2], [1, 1]))


def test_auc_is_the_share_of_ordered_pairs():
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 9, 200), rng.random(200) < 0.3
    positive, negative = scores[labels][:, None], scores[~labels]
    assert roc_auc(scores, labels) == pytest.approx(
        ((positive > negative) + 0.5 * (positive == negative)).mean()
    )


def test_spearman_against_scipy_with_ties():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 9, 100), rng.normal(size=100)
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)


def test_spearman_of_a_constant_is_undefined():
    assert math.isnan(spearman([1, 1, 1], [1, 2, 3]))
    with pytest.raises(ValueError, match="3 values and b has 2"):
        spearman([1, 2, 3], [1, 2])
