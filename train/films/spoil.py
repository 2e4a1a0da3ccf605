"""What makes a film or its instruction wrong, as far as the oracle agrees."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from envs.humanoid.instructions import CHANGES, change_table, held_out
from envs.humanoid.motion_truth import carried_out
from jaxrm.metrics.reorder import Order, another, reorder
from jaxrm.rewards.likelihood import Trajectories
from train.films.films import Dataset
from train.films.trajectories import Batch

# What spoils a trajectory whatever it shows; of the others the oracle says whether they do.
ALWAYS_WRONG = ("frozen", "shuffled", "too fast")
ANOTHER = "another motion's"
SPOILED = ("reversed", "frozen", "shuffled", "truncated", "too fast", ANOTHER)


class Spoiled(NamedTuple):
    """Perturbations of trajectories, in the order of `SPOILED`.

    Attributes:
      trajectories: embeddings [b, q, t, d] and mask [b, q, t], as `protocols.contrastive` takes them.
      wrong: [b, q]: it truly does not carry out the instruction any more.
    """

    trajectories: Trajectories
    wrong: Bool[Array, "b q"]


def spoil(key: Array, data: Dataset) -> Spoiled:
    """Every perturbation of each trajectory, judged by the oracle; pure."""
    batch, b = data.batch, len(data.embeddings)
    key_order, key_other = jax.random.split(key)
    orders = reorder(key_order, batch.mask)
    other, found = another(key_other, ~batch.same.T)
    index = jnp.broadcast_to(jnp.arange(batch.mask.shape[1]), batch.mask.shape)
    embeddings, masks, wrong = [], [], []
    for name in SPOILED:
        if name == ANOTHER:
            order, source, spoils = Order(index, batch.mask[other]), data.embeddings[other], found
        else:
            order, source = orders[name], data.embeddings
            spoils = jnp.ones(b, bool) if name in ALWAYS_WRONG else ~_judged(batch, order)
        embeddings.append(order.of(source))
        masks.append(order.mask)
        wrong.append(spoils)
    worse = Trajectories(jnp.stack(embeddings, axis=1), jnp.stack(masks, axis=1))
    return Spoiled(worse, jnp.stack(wrong, axis=1))


def _judged(batch: Batch, order: Order) -> Bool[Array, "b"]:
    """Whether each still does its instruction in another order."""
    seen = jax.tree.map(order.of, batch.signs)
    return jax.vmap(carried_out)(seen, order.mask, batch.which)


def change_instructions(
    key: Array, batch: Batch, unseen: bool = True
) -> tuple[Int[Array, "b kinds"], Bool[Array, "b kinds"]]:
    """For each kind of `CHANGES`, the number of a changed instruction, and whether it is one that the
    trajectory does not carry out; where a kind does not apply the number is the instruction's own. Pure.

    Args:
      unseen: instructions that are held out are among the changed ones.
    """
    kept, numbers, wrong = np.append(~held_out() | unseen, False), [], []  # -1 reads the last
    for kind, key_kind in zip(CHANGES, jax.random.split(key, len(CHANGES)), strict=True):
        table = change_table(kind)
        options = jnp.asarray(np.where(kept[table], table, -1))[batch.which]
        chance = jax.random.uniform(key_kind, options.shape)
        pick = jnp.argmax(jnp.where(options >= 0, chance, -1.0), axis=1)[:, None]
        number = jnp.take_along_axis(options, pick, axis=1)[:, 0]
        number = jnp.where(number < 0, batch.which, number)
        numbers.append(number)
        wrong.append(~jnp.take_along_axis(batch.truth, number[:, None], axis=1)[:, 0])
    own = jnp.stack(numbers, axis=1) != batch.which[:, None]
    return jnp.stack(numbers, axis=1), jnp.stack(wrong, axis=1) & own
