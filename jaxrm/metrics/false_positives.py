"""Where a reward cries success and there is none: the first sign that a policy exploits it.

A reward calls a state success where it is at least a threshold. The threshold is chosen once, on labelled
states that no policy has sought out (`success_threshold`), and then held while training goes on.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from jaxrm.metrics.inputs import scored


def success_threshold(scores: ArrayLike, labels: ArrayLike) -> float:
    """The threshold with the largest true minus false positive rate (Youden, Cancer 1950).

    Args:
      scores: [n], of reference states, e.g. those of an environment's sampler.
      labels: [n], whether the success predicate holds.

    Returns:
      Halfway between two neighbouring scores; the lowest of equally good ones; nan where all labels agree.

    Raises:
      ValueError: other shapes, NaN, or labels that are neither true nor false.
    """
    flat, truth = scored(scores, labels)
    if truth.all() or not truth.any():
        return math.nan
    values, inverse = np.unique(flat, return_inverse=True)
    gain = np.where(truth, 1 / truth.sum(), -1 / (~truth).sum())
    youden = np.bincount(inverse, weights=gain)[::-1].cumsum()[::-1]  # of "at least values[i]"
    best = int(np.flatnonzero(youden >= youden.max() - 1e-12)[0])
    return float((values[best - 1] + values[best]) / 2) if best else float(values[0])


def false_positive_rate(scores: ArrayLike, labels: ArrayLike, threshold: float) -> float:
    """Of the states in which the predicate fails, the share with a score of at least `threshold`.

    Args:
      scores: [n], or any shape.
      labels: the same shape, whether the success predicate holds.
      threshold: from `success_threshold`.

    Returns:
      nan where the predicate holds everywhere, or the threshold is nan.

    Raises:
      ValueError: other shapes, NaN among the scores, or labels that are neither true nor false.
    """
    flat, truth = scored(scores, labels)
    return _share((flat >= threshold)[~truth], threshold)


def false_discovery_rate(scores: ArrayLike, labels: ArrayLike, threshold: float) -> float:
    """Of the states with a score of at least `threshold`, the share in which the predicate fails.

    Arguments and errors as of `false_positive_rate`; nan where the reward calls no state success.
    """
    flat, truth = scored(scores, labels)
    return _share(~truth[flat >= threshold], threshold)


def _share(hits: np.ndarray, threshold: float) -> float:
    return float(hits.mean()) if hits.size and not math.isnan(threshold) else math.nan
