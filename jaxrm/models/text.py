"""The text tower of CLIP: a causal transformer read at the end-of-text token."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from jaxrm.models.transformer import Transformer, TransformerConfig, layer_norm

# Old configs of the hub say 2 whatever the vocabulary; transformers then reads at the largest id.
LEGACY_EOS = 2


@dataclass(frozen=True)
class TextConfig:
    """A text tower: its vocabulary, the longest text in tokens (`context`), the end id, its blocks."""

    transformer: TransformerConfig
    vocabulary: int = 49408
    context: int = 77
    eos_token_id: int = 49407


class TextTower(nnx.Module):
    """Token ids -> one vector per text."""

    def __init__(self, config: TextConfig, *, rngs: nnx.Rngs):
        self.config = config
        width = config.transformer.width
        self.embedding = nnx.Param(0.02 * jax.random.normal(rngs(), (config.vocabulary, width), jnp.float32))
        self.positions = nnx.Param(0.01 * jax.random.normal(rngs(), (config.context, width), jnp.float32))
        self.transformer = Transformer(config.transformer, rngs=rngs)
        self.final_norm = layer_norm(config.transformer)

    def __call__(self, tokens: Int[Array, "n length"]) -> Float[Array, "n width"]:
        """Encode token ids; a text may be shorter than the context. What follows its end has no influence.

        Raises:
          ValueError: more tokens than the context holds, or not a batch of rows.
        """
        if tokens.ndim != 2 or tokens.shape[1] > self.config.context:
            raise ValueError(f"tokens have shape {tokens.shape}, wanted [n, at most {self.config.context}]")
        length, dtype = tokens.shape[1], self.config.transformer.dtype
        x = self.embedding[...][tokens].astype(dtype) + self.positions[...][:length].astype(dtype)
        x = self.transformer(x, jnp.tril(jnp.ones((length, length), bool)))
        end = end_of_text(tokens, self.config.eos_token_id)
        return self.final_norm(x[jnp.arange(len(x)), end]).astype(dtype)


def end_of_text(tokens: Int[Array, "n length"], eos_token_id: int) -> Int[Array, "n"]:
    """The position each text is read at: the first `eos_token_id` or, in legacy configs, the largest id.

    A text without that id is read at position 0, as in transformers.
    """
    if eos_token_id == LEGACY_EOS:
        return jnp.argmax(tokens, axis=-1)
    return jnp.argmax(tokens == eos_token_id, axis=-1)
