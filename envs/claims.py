"""What sentences claim of a state, and how true that is: the same for every body."""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

# Truth by how far a state misses what is claimed, in two halves. One falls so softly that a standing body has
# still a tenth of kneeling's, or the targets would be flat where a policy begins. The other is gone a few
# centimetres beyond a bound, so that what nearly holds is told from what does.
SOFTNESS, SHARPNESS = 2.0, 0.25
OPENINGS = ("", "", "", "a picture of ", "an image of ", "a photo of ", "a render of ", "there is ")
_OPENINGS = tuple(filter(None, OPENINGS))


class Claims(NamedTuple):
    """What can be claimed.

    Attributes:
      parts: columns of the misses that a claim is made of; -1 for nothing.
      negated: parts that are denied.
      weight: how often to speak of it.
      wordings: sentences for each.
    """

    parts: Int[np.ndarray, "claims parts"]
    negated: Bool[np.ndarray, "claims parts"]
    weight: Float[np.ndarray, "claims"]
    wordings: tuple[tuple[str, ...], ...]


def is_held_out(sentence: str) -> bool:
    """One wording in eight of those with an opening is never trained on."""
    return sentence.startswith(_OPENINGS) and zlib.crc32(sentence.encode()) % 8 == 0


def degrees(
    misses: Float[Array, "*batch columns"],
    parts: Int[Array, "claims parts"],
    negated: Bool[Array, "claims parts"],
) -> Float[Array, "*batch claims"]:
    """Truth of each claim, in [0, 1]: the product of its parts' `truth`, or of 1 less that."""
    true = truth(parts_misses(misses, parts))
    return jnp.where(negated, 1 - true, true).prod(-1)


def truth(miss: Float[Array, "..."]) -> Float[Array, "..."]:
    """1 where nothing is missed; the mean of a soft and a sharp exponential of the miss."""
    return (jnp.exp(-miss / SOFTNESS) + jnp.exp(-miss / SHARPNESS)) / 2


def parts_misses(
    misses: Float[Array, "*batch columns"], parts: Int[Array, "*claims parts"]
) -> Float[Array, "..."]:
    """[*batch, *claims, parts]: how far a state is from each part of claims; 0 for parts that say nothing."""
    padded = jnp.concatenate([misses, jnp.zeros_like(misses[..., :1])], axis=-1)  # -1 reads the zero
    return padded[..., parts]


def join(topics: Sequence[Claims], columns: Sequence[int], shares: Sequence[float]) -> Claims:
    """Claims of several bodies as one; nothing that is said of one is true of another, denials included.

    Args:
      topics: the claims of each body.
      columns: how many misses each body has.
      shares: how much of what is said is said of each.

    Returns:
      Claims over the columns of `join_misses`: those of all bodies, then one a body, "this body is there".
    """
    width = max(topic.parts.shape[1] for topic in topics)
    starts = np.cumsum([0, *columns])
    parts, negated, weight = [], [], []
    for number, (topic, start, share) in enumerate(zip(topics, starts[:-1], shares, strict=True)):
        missing = width - topic.parts.shape[1]
        moved = np.where(topic.parts >= 0, topic.parts + start, -1)
        there = np.full((len(moved), 1), starts[-1] + number)
        parts.append(np.hstack([np.pad(moved, ((0, 0), (0, missing)), constant_values=-1), there]))
        negated.append(np.pad(topic.negated, ((0, 0), (0, missing + 1))))
        weight.append(share * topic.weight / topic.weight.sum())
    return Claims(
        np.concatenate(parts).astype(np.int32),
        np.concatenate(negated),
        np.concatenate(weight),
        tuple(wordings for topic in topics for wordings in topic.wordings),
    )


def join_misses(misses: Sequence[Float[Array, "frames columns"]]) -> Float[Array, "all joined"]:
    """Misses of frames of several bodies in one table; every other body is infinitely far from a frame."""
    rows, total = [], sum(block.shape[1] for block in misses)
    start = 0
    for number, block in enumerate(misses):
        after = total - start - block.shape[1]
        there = jnp.full((len(block), len(misses)), jnp.inf, block.dtype).at[:, number].set(0.0)
        rows.append(jnp.hstack([jnp.pad(block, ((0, 0), (start, after))), there]))
        start += block.shape[1]
    return jnp.concatenate(rows)
