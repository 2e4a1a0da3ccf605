"""A first layer that finds its way: what it sees has no direction that is larger than the others."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from jaxrm.models.interface import Interface, unit_size

FLOOR = 1e-3  # of the largest variance: directions that hardly vary are noise and stay small
FRAMES = 50_000  # that are looked at, at most


def whiten(
    interface: Interface, embeddings: Float[np.ndarray, "n t d"], mask: Bool[np.ndarray, "n t"]
) -> Interface:
    """The interface with a first layer of random weights that takes embeddings as if they had mean 0 and the
    same variance in every direction (ZCA). On the host.

    A tower's embeddings vary a hundred times more in some directions than in others, and what an interface
    has to multiply, as two headings whose difference is a turn, may lie in small ones: gradients find it ten
    times later there, or never.

    Args:
      mask: which frames count.

    Raises:
      ValueError: no frame counts.
    """
    frames = np.asarray(embeddings)[np.asarray(mask)][:FRAMES]
    if not len(frames):
        raise ValueError("no frame counts: there is nothing to tell an interface what frames look like")
    x = np.asarray(unit_size(jnp.asarray(frames, jnp.float32)), np.float64)
    mean, (variances, axes) = x.mean(axis=0), np.linalg.eigh(np.cov(x.T, bias=True))
    scale = 1 / np.sqrt(np.maximum(variances, 0) + FLOOR * max(variances[-1], np.finfo(np.float32).tiny))
    after = jax.tree.map(jnp.copy, interface)
    layer = after.leave if after.enter is None else after.enter
    kernel = (axes * scale) @ (axes.T @ np.asarray(layer.kernel[...], np.float64))
    layer.kernel[...] = jnp.asarray(kernel, layer.kernel[...].dtype)
    layer.bias[...] = jnp.asarray(layer.bias[...] - mean @ kernel, layer.kernel[...].dtype)
    return after
