"""Frames -> vectors, in blocks that bound the memory."""

import math
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxrm.models import rows
from jaxrm.spread import axes_of, on_parts
from jaxrm.types import Embeddings, Frames
from jaxrm.weights.preprocess import ImageSettings, check_frames, preprocess


class Encoder(Protocol):
    """A network and the normalised pixels of a batch -> one vector each."""

    def __call__(self, model: Any, pixels: Float[Array, "n h w 3"], /) -> Float[Array, "n d"]: ...


def unit(x: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
    """Vectors of length one, in float32 at least."""
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


def run(
    encode: Encoder, model: Any, frames: Frames, settings: ImageSettings, batch: int | None = None
) -> Embeddings:
    """Preprocess and encode: uint8 [*b, h, w, 3] -> [*b, d]. Pure.

    `batch`: how many frames are in work at once; None: all of them. The vectors do not depend on it.
    """
    check_frames(frames)
    frames = jnp.asarray(frames)
    axes = axes_of(frames, frames.ndim - 3)
    if axes is not None:
        return on_parts(lambda m, x: run(encode, m, x, settings, batch), (model, frames), (None, axes))
    leading, image = frames.shape[:-3], frames.shape[-3:]
    flat = jnp.reshape(frames, (math.prod(leading), *image))

    def embed(block: jax.Array) -> jax.Array:
        return encode(model, preprocess(block, settings))

    embedded = embed(flat) if batch is None else rows.in_blocks(embed, flat, check_batch(batch))
    return embedded.reshape(*leading, embedded.shape[-1])


def in_blocks(
    encode: Encoder, model: Any, frames: Frames, settings: ImageSettings, batch: int | None = None
) -> Embeddings:
    """`run`, compiled, for people. With `batch`, frames stay on the host and go to the device block by block,
    all through one compiled program, whatever their number: the last block is padded.

    Raises:
      TypeError, ValueError: frames of another dtype or shape, or a batch below 1.
    """
    check_frames(frames)
    spread = isinstance(frames, jax.Array) and axes_of(frames, frames.ndim - 3) is not None
    if batch is None or spread or isinstance(frames, jax.core.Tracer):
        return _run(encode, model, frames, settings, batch)
    leading = frames.shape[:-3]
    flat = frames.reshape(math.prod(leading), *frames.shape[-3:])
    blocks = []
    for start in range(0, max(len(flat), 1), check_batch(batch)):
        block = np.asarray(flat[start : start + batch])
        kept = len(block)
        if kept < batch:
            block = np.concatenate([block, np.zeros((batch - kept, *block.shape[1:]), np.uint8)])
        blocks.append(_run(encode, model, block, settings, None)[:kept])
    embedded = jnp.concatenate(blocks)
    return embedded.reshape(*leading, embedded.shape[-1])


_run = partial(jax.jit, static_argnums=(0, 3, 4))(run)


def check_batch(batch: int) -> int:
    """The batch, if it is one."""
    if not isinstance(batch, (int, np.integer)) or batch < 1:
        raise ValueError(f"batch is {batch!r}, wanted a whole number of at least 1")
    return batch
