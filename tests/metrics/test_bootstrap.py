"""Intervals against the normal closed form, scipy, and their promise: the share that covers the truth."""

import math

import numpy as np
import pytest
from scipy import stats

from jaxrm.metrics import bootstrap_interval, roc_auc, spearman


def test_of_a_mean_is_the_normal_interval():
    sample = np.random.default_rng(0).normal(2, 3, 400)
    low, high = bootstrap_interval(sample, seed=1)
    half = 1.96 * sample.std() / 20
    assert low == pytest.approx(sample.mean() - half, abs=0.03)
    assert high == pytest.approx(sample.mean() + half, abs=0.03)


def test_of_paired_samples_against_scipy():
    a = np.random.default_rng(0).normal(size=60)
    b = a + np.random.default_rng(1).normal(size=60)
    expected = stats.bootstrap(
        (a, b),
        lambda x, y: stats.spearmanr(x, y).statistic,
        paired=True,
        vectorized=False,
        method="percentile",
        n_resamples=1000,
        rng=0,
    ).confidence_interval
    assert bootstrap_interval(a, b, seed=0, statistic=spearman) == pytest.approx(tuple(expected), abs=0.02)


def test_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [bootstrap_interval(rng.normal(size=50), seed=i, resamples=300) for i in range(200)]
    assert 0.89 <= np.mean([low <= 0 <= high for low, high in intervals]) <= 0.98


def test_seed_rows_and_undefined_resamples():
    episodes = np.random.default_rng(0).normal(size=(20, 100)) + np.random.default_rng(1).normal(size=(20, 1))
    first = bootstrap_interval(episodes, seed=5)
    assert first == bootstrap_interval(episodes, seed=5) != bootstrap_interval(episodes, seed=6)
    steps = bootstrap_interval(episodes.ravel(), seed=5)
    assert first[1] - first[0] > 2 * (steps[1] - steps[0])  # steps of an episode are not independent
    low, high = bootstrap_interval([1, 2, 3], [0, 0, 1], seed=0, statistic=roc_auc)  # often of one class
    assert low == high == 1
    assert all(map(math.isnan, bootstrap_interval([1, 2], [1, 1], seed=0, statistic=roc_auc)))
    assert all(map(math.isnan, bootstrap_interval([1.0], seed=0)))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="arrays of one length"):
        bootstrap_interval([1, 2], [1, 2, 3], seed=0, statistic=spearman)
    with pytest.raises(ValueError, match="level is 95"):
        bootstrap_interval([1, 2], seed=0, level=95)
