"""Rotary embeddings of parts of a head, an odd number of numbers among them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrm.models.rope import Rope, rotate, turn_at


@pytest.mark.parametrize("width", [1, 2, 5, 6])
def test_an_odd_width_turns_one_number_more_as_fast_as_it_says(width):
    """transformers' rule: frequencies are theta^-(2i / width), and as many pairs turn as there are."""
    x = np.random.default_rng(0).normal(size=(1, 4, 2, 9))
    pairs = (width + 1) // 2
    want = x.copy()
    for i in range(pairs):
        angles = np.arange(4)[:, None] * 100.0 ** (-2 * i / width)
        a, b = x[..., i], x[..., i + pairs]
        want[..., i] = a * np.cos(angles) - b * np.sin(angles)
        want[..., i + pairs] = b * np.cos(angles) + a * np.sin(angles)
    with jax.enable_x64(True):
        turn = turn_at(Rope(width, 100.0), jnp.arange(4)[None], "float64")
        np.testing.assert_allclose(rotate(jnp.asarray(x), turn), want, rtol=0, atol=1e-12)


def test_widths_that_no_head_has_room_for_are_refused():
    with pytest.raises(ValueError, match="0 numbers of a head cannot turn"):
        Rope(0)
    turn = turn_at(Rope(5), jnp.arange(3)[None], "float32")
    with pytest.raises(ValueError, match="heads of 5 numbers cannot turn 6 of them"):
        rotate(jnp.zeros((1, 3, 5)), turn)
