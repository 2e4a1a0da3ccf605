"""Perturbed orders: what stands where, whatever the mask; under vmap and for arrays of any shape."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrm.metrics.reorder import HASTE, another, reorder

MASK = np.array([[1, 1, 1, 1, 1, 0, 0], [0, 1, 0, 1, 1, 1, 1], [1, 0, 0, 0, 0, 0, 0], [1] * 7], bool)


@pytest.fixture(scope="module")
def orders():
    return jax.jit(reorder)(jax.random.key(0), jnp.asarray(MASK))


def seen(order, row):
    return np.asarray(order.index)[row][np.asarray(order.mask)[row]].tolist()


def test_orders_hold_real_frames_only_and_first(orders):
    for name, order in orders.items():
        mask = np.asarray(order.mask)
        assert (np.diff(mask.astype(int), axis=1) <= 0).all(), name
        for row, real in enumerate(MASK):
            assert set(seen(order, row)) <= set(np.flatnonzero(real)), name
            assert seen(order, row), name


def test_what_each_does(orders):
    for row, real in enumerate(MASK):
        frames = np.flatnonzero(real).tolist()
        assert seen(orders["reversed"], row) == frames[::-1]
        assert seen(orders["frozen"], row) == frames[:1] * len(frames)
        shuffled = seen(orders["shuffled"], row)
        assert sorted(shuffled) == frames and (shuffled != frames or len(frames) < 2)
        cut = seen(orders["truncated"], row)
        assert cut == frames[: len(cut)] and len(cut) <= max(1, len(frames) // 2)
        fast = seen(orders["too fast"], row)
        assert len(fast) == len(frames) and fast == [
            frames[min(HASTE * i, len(frames) - 1)] for i in range(len(fast))
        ]


def test_two_frames_are_never_shuffled_into_their_order():
    mask = jnp.ones((32, 2), bool)
    assert (np.asarray(reorder(jax.random.key(1), mask)["shuffled"].index) == [1, 0]).all()


def test_one_order_serves_all_arrays(orders):
    time = jnp.arange(7.0)
    for order in orders.values():
        flat = order.of(jnp.broadcast_to(time, (4, 7)))
        deep = order.of(jnp.broadcast_to(time[:, None, None], (4, 7, 2, 3)))
        np.testing.assert_array_equal(flat, order.index)
        np.testing.assert_array_equal(deep[..., 1, 2], order.index)


def test_another_motion_is_one_that_is_wrong():
    wrong = jnp.array([[False, True, False], [True, False, True], [False, False, False]])
    which, found = another(jax.random.key(0), wrong)
    assert found.tolist() == [True, True, False]
    assert which[0] == 1 and which[1] in (0, 2)
