"""Rows of a batch in blocks, one after the other: bounds the memory, and on CPUs keeps to the caches."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxrm.spread import axes_of

_TOKENS = 2048  # in work at once on CPUs: small decoders read twice as fast as all rows of 1,024 at once


def in_blocks(f: Callable[[Any], Any], rows: Any, size: int) -> Any:
    """f(rows), for a function that treats each row by itself, with `size` rows in work at once. Pure.

    Args:
      rows: a tree of arrays [n, ...]. The last block is padded with the last row, so that one compiled block
        does for all.
    """
    n = len(jax.tree.leaves(rows)[0])
    if n <= size:
        return f(rows)
    count = -(-n // size)

    def cut(x: jax.Array) -> jax.Array:
        padded = jnp.pad(x, ((0, count * size - n), *((0, 0),) * (x.ndim - 1)), mode="edge")
        return padded.reshape(count, size, *x.shape[1:])

    found = jax.lax.map(f, jax.tree.map(cut, rows))
    return jax.tree.map(lambda x: x.reshape(count * size, *x.shape[2:])[:n], found)


def in_cache(f: Callable[[Any], Any], rows: Any, tokens: int) -> Any:
    """f(rows) for texts of so many tokens a row, on CPUs with as many at once as the caches hold. Rows that
    lie spread over devices stay together."""
    spread = any(axes_of(leaf, 1) is not None for leaf in jax.tree.leaves(rows))
    if jax.default_backend() != "cpu" or spread:
        return f(rows)
    return in_blocks(f, rows, max(1, _TOKENS // max(1, tokens)))
