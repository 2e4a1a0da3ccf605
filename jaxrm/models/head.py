"""Hidden states -> log-probabilities of tokens, a few positions at a time."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxrm.models.layers import norm_dtype
from jaxrm.models.rows import in_blocks

# Logits in work at once: positions x vocabulary. 64 M numbers are 256 MiB in float32.
_AT_ONCE = 2**26


def all_logits(
    table: Float[Array, "vocabulary width"], hidden: Float[Array, "*batch width"]
) -> Float[Array, "*batch vocabulary"]:
    """hidden . table', summed and kept in float32 at least, whatever the dtype of the hidden states."""
    last = (((hidden.ndim - 1,), (1,)), ((), ()))
    wide = norm_dtype(hidden.dtype)
    return jax.lax.dot_general(hidden, table.astype(hidden.dtype), last, preferred_element_type=wide)


def log_probs(
    table: Float[Array, "vocabulary width"],
    hidden: Float[Array, "*batch width"],
    targets: Int[Array, "*batch"],
    at_once: int = _AT_ONCE,
) -> Float[Array, "*batch"]:
    """Log-probability of each target under the softmax of its logits.

    Logits exist for `at_once / vocabulary` positions at a time, in the gradient too, where they are computed
    again.
    """
    flat, ids = hidden.reshape(-1, hidden.shape[-1]), targets.reshape(-1)
    table = table.astype(hidden.dtype)

    @jax.checkpoint
    def block(rows: tuple[jax.Array, jax.Array]) -> jax.Array:
        logits = all_logits(table, rows[0])
        chosen = jnp.take_along_axis(logits, rows[1][:, None], axis=-1)[:, 0]
        return chosen - jax.nn.logsumexp(logits, axis=-1)

    return in_blocks(block, (flat, ids), at_once // table.shape[0] or 1).reshape(targets.shape)
