"""A first layer that takes all directions of what it sees alike."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrm.models.interface import Interface, InterfaceConfig
from train.interface.whiten import FLOOR, whiten


@pytest.mark.parametrize("layers", [0, 1])
def test_every_direction_counts_alike(layers):
    """What the first layer gives has the covariance that its random weights give to white noise: also of a
    direction with a hundredth of the largest variance, and no matter what stands at masked frames."""
    config = InterfaceConfig(inputs=6, outputs=5, layers=layers, width=8, heads=2)
    interface = Interface.create(config, jax.random.key(0))
    draw = np.random.default_rng(0)
    x = draw.normal(size=(40, 50, 6)) * np.array([1.0, 0.7, 0.5, 0.3, 0.2, 0.1]) + np.array(
        [0, 0, 3, 0, 0, 1]
    )
    x *= 1e3 / np.linalg.norm(x, axis=-1, keepdims=True)
    mask = draw.random((40, 50)) < 0.8
    after = whiten(interface, np.where(mask[..., None], x, 1e6), mask)
    kernels = [
        np.asarray((part.leave if part.enter is None else part.enter).kernel[...], np.float64)
        for part in (interface, after)
    ]
    bias = np.asarray((after.leave if after.enter is None else after.enter).bias[...], np.float64)
    frames = x[mask] / np.sqrt((x[mask] ** 2).mean(axis=-1, keepdims=True))
    out = frames @ kernels[1] + bias
    variances, axes = np.linalg.eigh(np.cov(frames.T))
    shrunk = (axes * (variances / (variances + FLOOR * variances[-1]))) @ axes.T  # what the floor leaves
    want = kernels[0].T @ shrunk @ kernels[0]
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(out.T), want, atol=2e-3 * np.abs(want).max())
    assert variances[1] < 0.05 * variances[-1] and np.linalg.eigvalsh(shrunk)[1] > 0.9


def test_nothing_to_look_at():
    interface = Interface.create(InterfaceConfig(inputs=3, outputs=2, layers=0), jax.random.key(0))
    with pytest.raises(ValueError, match="no frame counts"):
        whiten(interface, np.ones((2, 4, 3)), np.zeros((2, 4), bool))
    still = whiten(interface, np.ones((2, 4, 3)), np.ones((2, 4), bool))
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(still))
