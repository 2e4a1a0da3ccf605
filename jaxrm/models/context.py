"""What causal blocks remember of what they have read, and who may look at what."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Context(NamedTuple):
    """Keys and values of all layers (a "KV cache"), in a fixed number of slots.

    Attributes:
      keys, values: [layers, b, slots, kv_heads, head]; keys are turned to their positions already.
      mask: bool [b, slots]: slots that hold a token; padding and what is not written yet do not.
      length: int32, how many slots have been written, the same for all rows.
    """

    keys: Float[Array, "layers b slots kv head"]
    values: Float[Array, "layers b slots kv head"]
    mask: Bool[Array, "b slots"]
    length: Int[Array, ""]

    @property
    def slots(self) -> int:
        return self.mask.shape[-1]

    @classmethod
    def of(cls, keys: jax.Array, values: jax.Array, mask: jax.Array, slots: int | None = None) -> "Context":
        """Of what was just read, with room for `slots` tokens in all (None: for no more)."""
        length = mask.shape[-1]
        free = 0 if slots is None else slots - length
        if free < 0:
            raise ValueError(f"{length} tokens do not fit into {slots} slots")
        keys, values = (jnp.pad(a, ((0, 0), (0, 0), (0, free), (0, 0), (0, 0))) for a in (keys, values))
        return cls(keys, values, jnp.pad(mask, ((0, 0), (0, free))), jnp.asarray(length, jnp.int32))

    def append(self, keys: jax.Array, values: jax.Array, mask: jax.Array) -> "Context":
        """With more tokens, [layers, b, t, kv, head] and [b, t], in the next free slots, of which there
        must be enough: as under jit nothing can be raised, where they are not, the last ones are overwritten.
        """
        put = jax.lax.dynamic_update_slice_in_dim
        return Context(
            put(self.keys, keys.astype(self.keys.dtype), self.length, axis=2),
            put(self.values, values.astype(self.values.dtype), self.length, axis=2),
            put(self.mask, mask, self.length, axis=1),
            self.length + mask.shape[-1],
        )


class Sight(NamedTuple):
    """Where new tokens stand and what they see, the same in all layers. n = b * branches.

    Attributes:
      positions: int [n, t], how many tokens stand before each, padding not counted.
      own: bool [n, t, t]: which of the new ones each sees; itself at least.
      past: bool [b, branches, slots]: which slots of the context a branch sees; None: there is no context.
      past_positions: int [b, slots].
    """

    positions: Int[Array, "n t"]
    own: Bool[Array, "n t t"]
    past: Bool[Array, "b branches slots"] | None = None
    past_positions: Int[Array, "b slots"] | None = None


def look(mask: Bool[Array, "n t"], past: Context | None = None, visible: jax.Array | None = None) -> Sight:
    """Causal sight of new tokens, after a context if there is one.

    Args:
      mask: which tokens are no padding; padding is seen by nothing but itself.
      past: what was read before.
      visible: bool [b, branches, slots], what each branch sees of it; None: one branch that sees all.
    """
    t = mask.shape[-1]
    causal = jnp.tril(jnp.ones((t, t), bool))
    own = (causal & mask[:, None, :]) | jnp.eye(t, dtype=bool)
    # Padding in front would stand at -1.
    positions = jnp.maximum(jnp.cumsum(mask, axis=-1, dtype=jnp.int32) - 1, 0)
    if past is None:
        return Sight(positions, own)
    seen = past.mask[:, None] if visible is None else visible & past.mask[:, None]
    before = seen.sum(-1, dtype=jnp.int32).reshape(-1, 1)
    past_positions = jnp.cumsum(past.mask, axis=-1, dtype=jnp.int32) - 1
    return Sight(positions + before, own, seen, past_positions)
