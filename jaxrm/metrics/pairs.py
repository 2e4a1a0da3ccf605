"""Metrics that count pairs in the right order, in n log n steps."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jaxrm.metrics.inputs import paired


class PairCounts(NamedTuple):
    """Of all n (n - 1) / 2 pairs; those tied in both are in none of the four.

    Attributes:
      concordant: `a` and `b` put them in the same order.
      discordant: in opposite orders.
      tied_a, tied_b: tied in that one alone.
    """

    concordant: int
    discordant: int
    tied_a: int
    tied_b: int


def pairwise_accuracy(scores: ArrayLike, truth: ArrayLike) -> float:
    """Share of pairs that `scores` put in the order of `truth`; a tie of scores counts half.

    Pairs that are tied in truth have no right order and do not count. With truth of two values it is the
    area under the ROC curve.

    Args:
      scores, truth: [n].

    Returns:
      nan where truth is constant.

    Raises:
      ValueError: they differ in shape, or NaN among them.
    """
    counts = count_pairs(*paired(scores, truth, ("scores", "truth")))
    ordered = counts.concordant + counts.discordant + counts.tied_a
    return (counts.concordant + counts.tied_a / 2) / ordered if ordered else math.nan


def kendall_tau_b(a: ArrayLike, b: ArrayLike) -> float:
    """Kendall's rank correlation with his correction for ties (Biometrika 1945), -1 to 1.

    Args:
      a, b: [n].

    Returns:
      nan where either is constant.

    Raises:
      ValueError: they differ in shape, or NaN among them.
    """
    counts = count_pairs(*paired(a, b))
    strict = counts.concordant + counts.discordant
    scale = math.sqrt((strict + counts.tied_a) * (strict + counts.tied_b))
    return (counts.concordant - counts.discordant) / scale if scale else math.nan


def count_pairs(a: NDArray[np.float64], b: NDArray[np.float64]) -> PairCounts:
    """Knight's method (JASA 1966): sorted by `a`, pairs out of order in `b` are the discordant ones."""
    rank_a, rank_b = (np.unique(x, return_inverse=True)[1].astype(np.int64) for x in (a, b))
    joint = rank_a * (rank_b.max(initial=0) + 1) + rank_b
    order = np.argsort(joint, kind="stable")
    tied_a, tied_b, tied_both = (_tied_pairs(x) for x in (rank_a, rank_b, joint))
    discordant = _inversions(rank_b[order])
    pairs = a.size * (a.size - 1) // 2
    concordant = pairs - discordant - tied_a - tied_b + tied_both
    return PairCounts(concordant, discordant, tied_a - tied_both, tied_b - tied_both)


def _tied_pairs(values: NDArray[np.int64]) -> int:
    counts = np.unique(values, return_counts=True)[1].astype(np.int64)
    return int((counts * (counts - 1) // 2).sum())


def _inversions(values: NDArray[np.int64]) -> int:
    """Pairs i < j with values[i] > values[j], bit by bit from the highest.

    A pair is counted at the highest bit in which it differs: there the values stand together with all that
    share their higher bits, in their first order.
    """
    count = 0
    for bit in reversed(range(int(values.max(initial=0)).bit_length())):
        is_one = (values >> bit) & 1
        higher = values >> (bit + 1)
        starts = np.flatnonzero(np.diff(higher, prepend=-1))  # of runs that share the higher bits
        ones_before = np.cumsum(is_one) - is_one
        run = np.repeat(starts, np.diff(starts, append=values.size))
        count += int(((ones_before - ones_before[run]) * (1 - is_one)).sum())
        values = values[np.argsort(values >> bit, kind="stable")]
    return count
