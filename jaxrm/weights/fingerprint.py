"""Names for weights, so that a part which was trained beside others can tell them from strangers."""

import hashlib
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

SAMPLES = 4096  # numbers of each array that are read: gigabytes take no time


def fingerprint(weights: Any) -> str:
    """Sixteen hex digits: of every array its shape and up to `SAMPLES` numbers, in float32 the same as in
    bfloat16, and in whatever order versions of flax put the arrays.

    The numbers are read in bfloat16. Float16 rounds them in other places, and small ones to nothing: weights
    that were put into it are not recognised, nor once they are back in float32.
    """
    return hashlib.sha256(b"".join(sorted(map(_digest, jax.tree.leaves(weights))))).hexdigest()[:16]


def _digest(array: Any) -> bytes:
    step = max(1, -(-array.size // SAMPLES))
    sample = jnp.asarray(array).reshape(-1)[::step].astype(jnp.bfloat16)
    return hashlib.sha256(str(array.shape).encode() + np.asarray(sample).tobytes()).digest()


def label(name: Any, weights: Any) -> str:
    """`NAME:FINGERPRINT`, of a checkpoint the name that people gave it."""
    return f"{Path(name).name}:{fingerprint(weights)}"


def check_label(known: str, weights: Any, part: str) -> None:
    """Raises ValueError where `known` is of other weights than these; an empty one is of any."""
    name, _, wanted = known.rpartition(":")
    if wanted and wanted != (found := fingerprint(weights)):
        rounded = any(leaf.dtype == jnp.float16 for leaf in jax.tree.leaves(weights))
        hint = "; if it is that one, load it with param_dtype float32 or bfloat16: float16 hides which it is"
        raise ValueError(
            f"the interface was trained with the {part} {name} (fingerprint {wanted}), and this {part} is "
            f"another ({found}): give that one, or train an interface for it (`python -m train interface`)"
            f"{hint if rounded else ''}"
        )
