"""Attention with linear biases (Press et al. 2022, arXiv 2108.12409): the farther, the less."""

import math

import numpy as np


def slopes(heads: int, largest: float = 8.0) -> np.ndarray:
    """Fall of each head's scores a token, float64 [heads]: 2^(-largest i / n) for the next power of two n.

    Where the number of heads is none, MPT takes every second slope of n first, then those between.
    """
    n = 2 ** math.ceil(math.log2(heads))
    all_slopes = 2.0 ** -(largest * np.arange(1, n + 1) / n)
    return all_slopes if n == heads else np.concatenate([all_slopes[1::2], all_slopes[::2]])[:heads]
