"""A start for the interface: frames come to stand for the words that the oracle has for them.

No part of FoMo. A protocol's gradient reaches the interface through the decoder only, as one number a
trajectory, and finds left and right last; words for single frames are a short way to where it can go on.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from envs.humanoid.motion_truth import Signs
from jaxrm.models import Decoder
from jaxrm.models.interface import Interface
from jaxrm.weights import DecoderCheckpoint
from train.films.films import Dataset
from train.lm import films
from train.mesh import spread_rows

LEARNING_RATE = 3e-3


def targets(
    lm: Decoder,
    words: tuple[Int[Array, "words k"], Bool[Array, "words k"]],
    signs: Signs,
    mask: Bool[Array, "n t"],
) -> Float[Array, "n t width"]:
    """For each frame the sum of the decoder's embeddings of its words, as `train lm` tells films."""
    weights = jnp.concatenate([signs.holds, films.turned(signs.heading, mask)], axis=-1)
    return films.frame_vectors(lm, words, weights)


def spliced(key: Array, data: Dataset) -> Dataset:
    """Half of the films go on with the frames of the next one, from any place on. Pure.

    A film that turns shows one turn, too few to learn turning from; any two films that face different ways
    are a turn too. What they were to carry out does not hold for them any more.
    """
    key_half, key_cut = jax.random.split(key)
    n, t = data.batch.mask.shape
    cut = jax.random.randint(key_cut, (n,), 0, t)
    cut = jnp.where(jax.random.bernoulli(key_half, shape=(n,)), cut, t)
    own = jnp.arange(t) < cut[:, None]

    def splice(x: Array) -> Array:
        return jnp.where(own.reshape(n, t, *[1] * (x.ndim - 2)), x, jnp.roll(x, 1, axis=0))

    batch = data.batch
    signs, mask = jax.tree.map(splice, (batch.signs, batch.mask))
    return Dataset(batch._replace(signs=signs, mask=mask), splice(data.embeddings))


def misfit(interface: Interface, data: Dataset, wanted: Float[Array, "n t width"]) -> Float[Array, ""]:
    """Squared error over real frames, in units of the wanted vectors' spread about their mean."""
    mask = data.batch.mask[..., None]
    count = jnp.maximum(mask.sum(), 1)
    mean = (wanted * mask).sum(axis=(0, 1)) / count
    spread = jnp.where(mask, (wanted - mean) ** 2, 0).sum()
    found = interface.read(data.embeddings.astype(jnp.float32), data.batch.mask)
    return jnp.where(mask, (found - wanted) ** 2, 0).sum() / spread


def align(
    interface: Interface, lm: DecoderCheckpoint, data: Dataset, key: Array, steps: int, batch: int = 64
) -> tuple[Interface, Float[Array, "steps"]]:
    """`steps` steps of Adam on `misfit`, in one compiled program; the interface, and the misfit of each."""
    weights: Any = interface
    words = films.word_tokens(lm.processor)
    schedule = optax.cosine_decay_schedule(LEARNING_RATE, max(steps, 1))
    optimiser = optax.adam(schedule)

    def step(lm: Decoder, data: Dataset, state: tuple, key: Array) -> tuple[tuple, Array]:
        weights, memory = state
        key_rows, key_splice = jax.random.split(key)
        rows = jax.random.randint(key_rows, (batch,), 0, len(data.embeddings))
        films = spliced(key_splice, data[rows])
        wanted = targets(lm, words, films.batch.signs, films.batch.mask)
        value, slope = jax.value_and_grad(misfit)(weights, *spread_rows((films, wanted)))
        change, memory = optimiser.update(slope, memory, weights)
        return (optax.apply_updates(weights, change), memory), value

    @jax.jit
    def run(lm, weights, data, keys):
        return jax.lax.scan(partial(step, lm, data), (weights, optimiser.init(weights)), keys)

    (after, _), curve = run(lm.model, weights, data, jax.random.split(key, steps))
    return after, curve
