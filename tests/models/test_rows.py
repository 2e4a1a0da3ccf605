"""Rows in blocks: the same numbers whatever the number of rows, and fewer of them in work at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrm.models import rows


@pytest.mark.parametrize("n", [0, 1, 4, 5, 8, 11])
def test_blocks_give_what_all_at_once_give(n):
    """Also where the last block is not full, where there is but one, and of no rows at all."""
    key = jax.random.key(n)
    tree = {"x": jax.random.normal(key, (n, 3)), "k": jnp.arange(n), "none": None}

    def f(tree):
        assert len(tree["x"]) <= 4
        return jnp.cumsum(tree["x"], axis=1) + tree["k"][:, None], tree["k"] % 2 == 0

    found = rows.in_blocks(f, tree, 4)
    wanted = jnp.cumsum(tree["x"], axis=1) + tree["k"][:, None], tree["k"] % 2 == 0
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype


def test_a_slope_comes_back_through_blocks():
    """Padding adds nothing to it."""
    x = jax.random.normal(jax.random.key(0), (5, 3))
    slope = jax.grad(lambda x: rows.in_blocks(lambda x: jnp.sin(x).sum(axis=1), x, 2).sum())(x)
    np.testing.assert_allclose(slope, jnp.cos(x), rtol=1e-6)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="blocks for caches are for CPUs")
def test_what_stays_in_the_cache():
    """About 2,048 tokens at once: 64 rows of 32; of longer texts one row at least."""
    for n, tokens, most in ((1000, 32, 64), (3, 5000, 1), (64, 32, 64)):
        seen = []
        rows.in_cache(lambda x, seen=seen: seen.append(len(x)) or x, jnp.zeros((n, 2)), tokens)
        assert set(seen) == {most}, (n, tokens, seen)
