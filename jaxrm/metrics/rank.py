"""Metrics of order: what matters to a learner is which state a reward puts above which."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks from 1; ties share their mean rank. [n] -> float64 [n]."""
    values = np.asarray(values, np.float64).ravel()
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def roc_auc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Chance that a true state scores above a false one, ties counting half (Mann-Whitney U).

    Args:
      scores: [n].
      labels: [n], true or false.

    Returns:
      nan where all labels agree.
    """
    labels = np.asarray(labels, bool).ravel()
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if positives == 0 or negatives == 0:
        return float("nan")
    above = ranks(scores)[labels].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Pearson correlation of the ranks of `a` and `b`, both [n]; nan where either is constant."""
    first, second = ranks(a), ranks(b)
    if first.shape != second.shape:
        raise ValueError(f"a has {first.size} values and b has {second.size}")
    first, second = first - first.mean(), second - second.mean()
    scale = np.sqrt((first @ first) * (second @ second))
    return float(first @ second / scale) if scale > 0 else float("nan")
