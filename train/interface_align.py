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
from train import lm_films
from train.mesh import spread_rows
from train.trajectories import Dataset

LEARNING_RATE = 3e-3


@jax.jit
def targets(
    lm: Decoder,
    words: tuple[Int[Array, "words k"], Bool[Array, "words k"]],
    signs: Signs,
    mask: Bool[Array, "n t"],
) -> Float[Array, "n t width"]:
    """For each frame the sum of the decoder's embeddings of its words, as `train lm` tells films."""
    weights = jnp.concatenate([signs.holds, lm_films.turned(signs.heading, mask)], axis=-1)
    return lm_films.frame_vectors(lm, words, weights)


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
    schedule = optax.cosine_decay_schedule(LEARNING_RATE, max(steps, 1))
    optimiser = optax.adam(schedule)

    def step(data: Dataset, wanted: Array, state: tuple, key: Array) -> tuple[tuple, Array]:
        weights, memory = state
        rows = jax.random.randint(key, (batch,), 0, len(wanted))
        value, slope = jax.value_and_grad(misfit)(weights, *spread_rows((data[rows], wanted[rows])))
        change, memory = optimiser.update(slope, memory, weights)
        return (optax.apply_updates(weights, change), memory), value

    @jax.jit
    def run(weights, data, wanted, keys):
        return jax.lax.scan(partial(step, data, wanted), (weights, optimiser.init(weights)), keys)

    wanted = targets(lm.model, lm_films.word_tokens(lm.processor), data.batch.signs, data.batch.mask)
    (after, _), curve = run(weights, data, wanted, jax.random.split(key, steps))
    return after, curve
