"""The interface: causal, indifferent to masked frames, carried on, at any length, and made for one tower."""

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrm.models.interface import Interface, InterfaceConfig

CONFIG = InterfaceConfig(inputs=5, outputs=7, layers=1, width=8, heads=2, dtype="float64")
LAYERS = (0, 1, 2)

read = jax.jit(lambda m, x, mask: m.read(x, mask))


def make(config: InterfaceConfig = CONFIG) -> Interface:
    draw = np.random.default_rng(0).normal
    return jax.tree.map(lambda x: jnp.asarray(0.3 * draw(size=x.shape)), Interface.abstract(config))


def frames(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape)


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("positions", ["alibi", "rope"])
def test_prefixes_give_prefixes_at_any_length(layers, positions):
    """Half and double of a length are read by the same weights, and later frames change nothing earlier."""
    interface = make(replace(CONFIG, layers=layers, positions=positions))
    x = frames(2, 8, 5)
    whole = read(interface, x, np.ones((2, 8), bool))
    assert whole.shape == (2, 8, 7)
    for t in (2, 4):
        part = read(interface, x[:, :t], np.ones((2, t), bool))
        np.testing.assert_allclose(part, whole[:, :t], rtol=0, atol=1e-12)


@pytest.mark.parametrize("layers", LAYERS)
def test_masked_frames_are_as_if_absent(layers):
    interface = make(replace(CONFIG, layers=layers))
    x, mask = frames(1, 6, 5), np.array([[0, 1, 1, 0, 1, 0]], bool)
    got = read(interface, x, mask)
    assert np.isfinite(got).all()
    want = read(interface, x[:, mask[0]], np.ones((1, 3), bool))
    np.testing.assert_allclose(got[:, mask[0]], want, rtol=0, atol=1e-12)
    broken = np.where(mask[..., None], x, [[np.nan]])
    np.testing.assert_array_equal(read(interface, broken, mask), got)
    assert read(interface, x[:0], mask[:0]).shape == (0, 6, 7)


@pytest.mark.parametrize("layers", LAYERS)
def test_carried_on_from_where_it_stopped(layers):
    interface = make(replace(CONFIG, layers=layers))
    x = frames(2, 6, 5)

    @jax.jit
    def in_two(interface, x):
        first, context = interface.remember(x[:, :4], slots=6)
        rest, _ = interface.extend(context, x[:, 4:])
        return jnp.concatenate([first, rest], axis=1)

    np.testing.assert_allclose(
        in_two(interface, x), read(interface, x, np.ones((2, 6), bool)), rtol=0, atol=1e-12
    )


def test_order_counts_with_layers_and_not_without():
    x = frames(1, 5, 5)
    mask = np.ones((1, 5), bool)
    for layers, blind in ((0, True), (1, False)):
        interface = make(replace(CONFIG, layers=layers))
        there, back = read(interface, x, mask), read(interface, x[:, ::-1], mask)[:, ::-1]
        assert np.allclose(there, back, atol=1e-12) == blind


def test_the_first_real_frame_is_known():
    """Of a film that stands still it alone is another: what came since can be told from it."""
    x = np.broadcast_to(frames(5), (1, 5, 5))
    mask = np.array([[False, True, True, True, True]])
    y = np.asarray(read(make(), x, mask))[0]
    still = make()
    assert still.first is not None
    still.first[...] = jnp.zeros(8)
    blind = np.asarray(read(still, x, mask))[0]
    assert np.abs(y[1] - y[2]).max() > 1e-2
    np.testing.assert_allclose(blind[2:], np.broadcast_to(blind[1], (3, 7)), atol=1e-12)


def test_the_length_of_embeddings_does_not_count():
    interface, x, mask = make(), frames(1, 3, 5), np.ones((1, 3), bool)
    np.testing.assert_allclose(read(interface, 1e3 * x, mask), read(interface, x, mask), atol=1e-5)


def test_it_starts_with_numbers_of_the_decoders_size():
    config = InterfaceConfig(inputs=64, outputs=96, layers=1, width=32, heads=2, output_std=0.05)
    interface = jax.jit(Interface.create, static_argnums=0)(config, jax.random.key(0))
    y = read(interface, jnp.asarray(frames(2, 9, 64), jnp.float32), np.ones((2, 9), bool))
    assert y.dtype == jnp.float32
    np.testing.assert_allclose(y.std(), 0.05, rtol=0.2)


def test_what_does_not_fit_is_told():
    with pytest.raises(ValueError, match="6 numbers, but the interface takes 5"):
        make().read(frames(1, 2, 6))
    for change, message in (
        ({"layers": -1}, "layers is -1"),
        ({"layers": 0.5}, "layers is 0.5"),
        ({"inputs": 0}, "inputs is 0, wanted a whole number of at least 1"),
        ({"outputs": -1}, "outputs is -1"),
        ({"width": 0}, "width is 0"),
        ({"heads": 0}, "heads is 0"),
        ({"heads": -2}, "heads is -2"),
        ({"heads": 0, "layers": 0}, "heads is 0"),
        ({"output_std": -0.1}, "output_std is -0.1, wanted a number of at least 0"),
        ({"output_std": math.nan}, "output_std is nan"),
        ({"heads": 3}, "not a multiple"),
        ({"positions": "sine"}, "'alibi' or 'rope'"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(CONFIG, **change)
