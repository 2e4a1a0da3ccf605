"""Trajectories spoiled in time, on the device: each perturbation says which frame stands where.

One order serves frames, embeddings and states alike, so that frames are embedded once and an oracle can judge
the spoiled states. `jaxrm.metrics.controls` does a little of this on the host for one film.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Shaped

KEPT = (0.3, 0.5)  # share of the frames that a truncated trajectory keeps
HASTE = 6  # times faster, then at rest where it ends


class Order(NamedTuple):
    """A trajectory made of another's frames.

    Attributes:
      index: which frame of the other stands in each place, [t].
      mask: which places belong to the trajectory, [t]; they come first.
    """

    index: Int[Array, "*batch t"]
    mask: Bool[Array, "*batch t"]

    def of(self, values: Shaped[Array, "*values"]) -> Shaped[Array, "*values"]:
        """Frames, embeddings or states [*batch, t, ...] in this order."""
        index = self.index.reshape(self.index.shape + (1,) * (values.ndim - self.index.ndim))
        return jnp.take_along_axis(values, index, axis=self.index.ndim - 1)


def reorder(key: Array, mask: Bool[Array, "*batch t"]) -> dict[str, Order]:
    """Every perturbation of the order of each trajectory; pure.

    "reversed", "frozen" (the first frame repeated), "shuffled" (never the order as it was, from two frames
    on), "truncated" (the first 30 to 50%, one frame at least), "too fast" (six times, then the last frame).
    Whether a reversed or a truncated one still does what it should is for an oracle to say: rising and
    bowing again looks the same backwards. The other three never do.

    Args:
      key: of the shuffle and of where to cut; consumed.
      mask: which frames belong to the trajectory, in any places.
    """
    if mask.ndim > 1:
        keys = jax.random.split(key, len(mask))
        return jax.vmap(reorder)(keys, mask)
    key_shuffle, key_cut = jax.random.split(key)
    t, count = len(mask), mask.sum()
    places = jnp.argsort(~mask, stable=True)  # the real frames in order, then the others
    rank = jnp.arange(t)
    real = rank < count
    last = jnp.maximum(count - 1, 0)
    share = jax.random.uniform(key_cut, (), minval=KEPT[0], maxval=KEPT[1])
    kept = jnp.maximum(jnp.floor(share * count), jnp.minimum(count, 1))
    ranks = {
        "reversed": jnp.where(real, last - rank, rank),
        "frozen": jnp.zeros_like(rank),
        "shuffled": _shuffled(key_shuffle, real, last),
        "truncated": rank,
        "too fast": jnp.minimum(rank * HASTE, last),
    }
    return {
        name: Order(places[order], real & (rank < kept) if name == "truncated" else real)
        for name, order in ranks.items()
    }


def _shuffled(key: Array, real: Bool[Array, "t"], last: Int[Array, ""]) -> Int[Array, "t"]:
    rank = jnp.arange(len(real))
    order = jnp.argsort(jnp.where(real, jax.random.uniform(key, real.shape), 2.0 + rank))
    same = (order == rank).all()
    return jnp.where(same & real, last - rank, order)


def another(key: Array, wrong: Bool[Array, "b n"]) -> tuple[Int[Array, "b"], Bool[Array, "b"]]:
    """For each of b instructions one of n trajectories that does not do it, and whether there is one.

    Args:
      wrong: [i, j]: trajectory j does not do what instruction i says.
    """
    chance = jnp.where(wrong, jax.random.uniform(key, wrong.shape), -1.0)
    return jnp.argmax(chance, axis=1), wrong.any(axis=1)
