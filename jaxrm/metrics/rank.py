"""Metrics of order: what matters to a learner is which state a reward puts above which."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jaxrm.metrics.epic import pearson
from jaxrm.metrics.inputs import numbers, paired, scored


def ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks from 1; ties share their mean rank. [n] -> float64 [n]."""
    _, inverse, counts = np.unique(numbers(values, "values").ravel(), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def roc_auc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Chance that a true state scores above a false one, ties counting half (Mann-Whitney U).

    Args:
      scores: [n].
      labels: [n], true or false.

    Returns:
      nan where all labels agree.

    Raises:
      ValueError: other shapes, NaN, or labels that are neither true nor false.
    """
    flat, truth = scored(scores, labels)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if positives == 0 or negatives == 0:
        return float("nan")
    above = ranks(flat)[truth].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Pearson correlation of the ranks of `a` and `b`, both [n]; nan where either is constant.

    Raises:
      ValueError: they differ in shape, or NaN among them.
    """
    first, second = paired(a, b)
    return pearson(ranks(first), ranks(second))


def value_order_correlation(values: ArrayLike, tolerance: float = 1e-6) -> float:
    """Spearman correlation of the values of a trajectory with time: 1 where they only rise.

    A high one alone says little: report it beside its controls (`score_with_controls`).

    Args:
      values: [time].
      tolerance: values this far or less above the smallest of a group are the same value. Frames that are
        alike score alike but for rounding, which depends on their place in a batch: no order.

    Returns:
      nan for a constant or for fewer than two values.

    Raises:
      ValueError: not one trajectory, or NaN.
    """
    curve = numbers(values, "values")
    if curve.ndim != 1:
        raise ValueError(f"values has shape {curve.shape}; wanted [time], one trajectory at a time")
    return spearman(_levels(curve, tolerance), np.arange(len(curve)))


def _levels(values: NDArray[np.float64], tolerance: float) -> NDArray[np.int64]:
    """Whole numbers in the order of the values, one for all that lie within the tolerance of the smallest of
    them."""
    levels = np.zeros(len(values), np.int64)
    first, level = -np.inf, 0
    for place in np.argsort(values):
        if values[place] > first + tolerance:
            first, level = values[place], level + 1
        levels[place] = level
    return levels
