"""How far a figure would move with other data."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from jaxrm.metrics.inputs import numbers

Statistic = Callable[..., float]


def bootstrap_interval(
    *samples: ArrayLike,
    seed: int,
    statistic: Statistic = np.mean,
    level: float = 0.95,
    resamples: int = 2000,
) -> tuple[float, float]:
    """The bootstrap's percentile interval of a figure (Efron 1979).

    Rows are drawn with replacement, the same ones of all arrays. Rows must be independent: states of one
    episode are not, so give arrays [episodes, steps] and a statistic that takes them.

    Args:
      *samples: arrays [n, ...] of one n; `statistic` is called with one argument an array.
      seed: of the draws; the same seed gives the same interval.
      statistic: any function here, e.g. `spearman` for two arrays; by default the mean.
      level: the share of resamples inside.
      resamples: how many.

    Returns:
      Low and high. Resamples whose statistic is nan (all of one class, say) are left out; nan, nan where
      the statistic of the samples themselves is undefined or n < 2.

    Raises:
      ValueError: no arrays, arrays of different lengths, NaN, a level outside (0, 1), resamples below 1.
    """
    arrays = [numbers(sample, f"sample {i}") for i, sample in enumerate(samples)]
    lengths = {array.shape[0] if array.ndim else 0 for array in arrays}
    if len(lengths) != 1 or not all(array.ndim for array in arrays):
        raise ValueError(f"wanted arrays of one length, not of shapes {[array.shape for array in arrays]}")
    if not 0 < level < 1 or resamples < 1:
        raise ValueError(f"level is {level} and resamples {resamples}; wanted 0 < level < 1, resamples >= 1")
    count = lengths.pop()
    if count < 2 or math.isnan(statistic(*arrays)):
        return math.nan, math.nan
    rng = np.random.default_rng(seed)
    draws = (rng.integers(count, size=count) for _ in range(resamples))
    figures = np.array([statistic(*(array[rows] for array in arrays)) for rows in draws], np.float64)
    low, high = np.nanquantile(figures, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
