"""Counts of pairs against all pairs one by one, and scipy."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jaxrm.metrics import kendall_tau_b, pairwise_accuracy, roc_auc
from jaxrm.metrics.pairs import count_pairs

TWO_COLUMNS = st.lists(st.tuples(st.integers(0, 5), st.integers(-3, 3)), max_size=40)


@given(TWO_COLUMNS)
def test_pairs_are_counted_as_one_by_one(rows):
    a, b = np.array(rows, float).reshape(-1, 2).T
    first, second = np.triu_indices(len(a), 1)
    sign_a, sign_b = np.sign(a[first] - a[second]), np.sign(b[first] - b[second])
    assert count_pairs(a, b) == (
        np.sum(sign_a * sign_b > 0),
        np.sum(sign_a * sign_b < 0),
        np.sum((sign_a == 0) & (sign_b != 0)),
        np.sum((sign_a != 0) & (sign_b == 0)),
    )


@pytest.mark.parametrize("values", [4, 1000])
def test_tau_b_against_scipy(values):
    rng = np.random.default_rng(values)
    a, b = rng.integers(0, values, (2, 500))
    b = a + b
    assert kendall_tau_b(a, b) == pytest.approx(stats.kendalltau(a, b).statistic, abs=1e-12)


def test_tau_b_closed_forms():
    assert kendall_tau_b([1, 2, 3], [10, 20, 30]) == 1
    assert kendall_tau_b([1, 2, 3], [3, 2, 1]) == -1
    assert kendall_tau_b([1, 2, 2], [1, 2, 3]) == pytest.approx(2 / math.sqrt(2 * 3))
    assert math.isnan(kendall_tau_b([1, 1], [1, 2]))
    with pytest.raises(ValueError, match="a has 2 values and b has 3"):
        kendall_tau_b([1, 2], [1, 2, 3])


def test_tau_b_of_many_values_takes_no_square():
    rng = np.random.default_rng(0)
    a = rng.normal(size=200_000)  # 2e10 pairs: one by one they would not fit into memory
    assert kendall_tau_b(a, -a) == -1


def test_pairwise_accuracy_closed_forms():
    assert pairwise_accuracy([1, 2, 3], [1, 2, 3]) == 1
    assert pairwise_accuracy([3, 2, 1], [1, 2, 3]) == 0
    assert pairwise_accuracy([7, 7, 7], [1, 2, 3]) == 0.5  # a tie of scores is half right
    assert pairwise_accuracy([1, 2, 9], [1, 2, 2]) == 1  # a tie of truth does not count
    assert pairwise_accuracy(jnp.array([1.0, 1.0, 2.0]), jnp.array([1, 2, 3])) == pytest.approx(2.5 / 3)
    assert math.isnan(pairwise_accuracy([1, 2], [5, 5]))
    with pytest.raises(ValueError, match="NaN"):
        pairwise_accuracy([1, np.nan], [1, 2])


def test_pairwise_accuracy_of_two_classes_is_the_auc():
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 20, 100), rng.random(100) < 0.4
    assert pairwise_accuracy(scores, labels) == pytest.approx(roc_auc(scores, labels), abs=1e-12)
