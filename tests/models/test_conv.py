"""Convolutions, however they are computed, against plain sums."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrm.flops import count_flops
from jaxrm.models.conv import conv
from jaxrm.models.winograd import winograd

HALF_A_STEP = 2.0**-8  # of bfloat16, over the value


def inputs(shape: tuple[int, ...], outputs: int, size: int) -> tuple[jax.Array, jax.Array]:
    x, kernel = jax.random.key(0), jax.random.key(1)
    x = jax.random.normal(x, shape, jnp.bfloat16)
    return x, jax.random.normal(kernel, (size, size, shape[-1], outputs), jnp.bfloat16)


@pytest.mark.parametrize(
    ("shape", "size", "stride"),
    [
        *[((2, 8, 5, 64), 1, stride) for stride in (1, 2)],
        *[((1, 6, 6, 64), 5, stride) for stride in (1, 2)],
        *[((2, 6, 6, 16), 3, stride) for stride in (1, 2)],
        *[((0, 6, 6, 64), 3, stride) for stride in (1, 2)],
        ((5, 9, 7, 64), 3, 2),
        ((45, 20, 20, 64), 3, 2),
    ],
)
def test_bfloat16_is_rounded_once(shape, size, stride):
    x, kernel = inputs(shape, 6, size)
    got = jax.jit(conv, static_argnames="stride")(x, kernel, stride=stride)
    want = conv(x.astype(jnp.float32), kernel.astype(jnp.float32), stride=stride)
    assert got.dtype == jnp.bfloat16 and got.shape == want.shape
    np.testing.assert_allclose(np.asarray(got, np.float32), want, rtol=HALF_A_STEP, atol=1e-3)


@pytest.mark.parametrize(("dtype", "error"), [("float64", 1e-14), ("float32", 1e-6), ("bfloat16", 5e-3)])
@pytest.mark.parametrize(
    "shape",
    [
        (3, 6, 8, 32),
        (2, 7, 5, 32),  # odd sides: the last squares reach over the edge
        (5, 1, 1, 32),
        (37, 48, 48, 64),  # more images than are transformed at a time, and no multiple of them
    ],
)
def test_winograd_is_the_convolution(shape, dtype, error):
    """Against a sum over the nine shifts in float64."""
    with jax.enable_x64(True):
        x, kernel = (np.asarray(a, np.float64) for a in inputs(shape, 6, 3))
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        height, width = shape[1:3]
        want = sum(
            padded[:, i : i + height, j : j + width] @ kernel[i, j] for i in range(3) for j in range(3)
        )
        got = jax.jit(winograd)(jnp.asarray(x, dtype), jnp.asarray(kernel, dtype))
        assert got.dtype == dtype and got.shape == want.shape
        assert np.linalg.norm(np.asarray(got, np.float64) - want) < error * np.linalg.norm(want)


def test_gradients_and_vmap_in_bfloat16():
    x, kernel = inputs((3, 6, 6, 64), 4, 3)

    def loss(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return (conv(x, kernel).astype(jnp.float32) ** 2).sum()

    got = jax.grad(loss, (0, 1))(x, kernel)
    want = jax.grad(loss, (0, 1))(x.astype(jnp.float32), kernel.astype(jnp.float32))
    for ours, theirs in zip(got, want, strict=True):
        difference = np.asarray(ours, np.float32) - theirs
        assert np.linalg.norm(difference) < 0.01 * np.linalg.norm(theirs)
    many = jax.vmap(conv, (0, None))(x[:, None], kernel)[:, 0]
    np.testing.assert_array_equal(np.asarray(many, np.float32), np.asarray(conv(x, kernel), np.float32))


def test_work_is_counted_alike_in_either_dtype():
    counts = set()
    for dtype in (jnp.float32, jnp.bfloat16):
        x, kernel = jax.ShapeDtypeStruct((2, 8, 8, 64), dtype), jax.ShapeDtypeStruct((3, 3, 64, 6), dtype)
        counts.add(count_flops(conv, x, kernel))
    assert counts == {2 * 2 * 8 * 8 * 9 * 64 * 6}
