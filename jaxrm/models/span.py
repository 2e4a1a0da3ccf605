"""How likely a span of a text is, given what stands before it."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxrm.models.decoder import Decoder
from jaxrm.models.rows import in_cache


def span_log_probs(
    model: Decoder,
    tokens: Int[Array, "n t"],
    mask: Bool[Array, "n t"],
    starts: Int[Array, "n"],
    count: int,
) -> Float[Array, "n count"]:
    """log p of the `count` tokens from `starts` on, each given all before it, in float32 at least. Pure.

    Logits are computed for these positions only.

    Args:
      model: the decoder.
      tokens: rows of ids, padded behind.
      mask: which ids are no padding; a span's tokens that are padding get 0.
      starts: where each span begins, 1 or more.
      count: tokens of a span at most; static.
    """
    model.check_length(tokens.shape[1])

    def block(rows: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        tokens, mask, starts = rows
        hidden = model.read(model.embed(tokens), mask)
        at = jnp.minimum(starts[:, None] + jnp.arange(count), tokens.shape[1] - 1)
        before = jnp.take_along_axis(hidden, at[..., None] - 1, axis=1)
        found = model.log_probs(before, jnp.take_along_axis(tokens, at, axis=1))
        inside = starts[:, None] + jnp.arange(count) < tokens.shape[1]
        return jnp.where(inside & jnp.take_along_axis(mask, at, axis=1), found, 0)

    return in_cache(block, (tokens, mask, starts), tokens.shape[1])
