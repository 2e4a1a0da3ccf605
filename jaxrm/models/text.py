"""The text tower of CLIP and SigLIP: a transformer read at one position."""

from dataclasses import dataclass, replace
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from jaxrm.models.layers import check_sizes
from jaxrm.models.network import Network
from jaxrm.models.transformer import Transformer, TransformerConfig

# Old configs of the hub say 2 whatever the vocabulary; transformers then reads at the largest id.
LEGACY_EOS = 2


@dataclass(frozen=True)
class TextConfig:
    """A text tower: its vocabulary, the longest text in tokens (`context`), the end id, its blocks.

    Attributes:
      pool: "end": causal, read at the end of the text (CLIP); "last": every token looks at all, padding
        too, read at the last position of a full row (SigLIP).
    """

    transformer: TransformerConfig
    vocabulary: int = 49408
    context: int = 77
    eos_token_id: int = 49407
    pool: Literal["end", "last"] = "end"

    def __post_init__(self) -> None:
        check_sizes(vocabulary=self.vocabulary, context=self.context)
        if not isinstance(self.eos_token_id, int):
            raise ValueError(f"eos_token_id is {self.eos_token_id!r}, wanted one whole number")

    @property
    def dtype(self) -> str:
        return self.transformer.dtype

    def with_dtype(self, dtype: str) -> "TextConfig":
        """The same, computed in another dtype."""
        return replace(self, transformer=self.transformer.with_dtype(dtype))

    def with_attention(self, attention: str) -> "TextConfig":
        """The same, with attention computed in another way."""
        return replace(self, transformer=self.transformer.with_attention(attention))


class TextTower(Network):
    """Token ids -> one vector per text."""

    config: TextConfig

    def __init__(self, config: TextConfig, *, rngs: nnx.Rngs):
        super().__init__(config, rngs=rngs)
        width = config.transformer.width
        self.embedding = nnx.Param(0.02 * jax.random.normal(rngs(), (config.vocabulary, width), jnp.float32))
        self.positions = nnx.Param(0.01 * jax.random.normal(rngs(), (config.context, width), jnp.float32))
        self.transformer = Transformer(config.transformer, rngs=rngs)
        self.final_norm = config.transformer.norm()

    def __call__(self, tokens: Int[Array, "n length"]) -> Float[Array, "n width"]:
        """Encode token ids.

        With pool "end" a text may be shorter than the context, and what follows its end has no influence.

        Raises:
          ValueError: more tokens than the context holds, not a batch of rows, or rows that are not full
            where the last position is read.
        """
        context, dtype, ends = self.config.context, self.config.dtype, self.config.pool == "end"
        if tokens.ndim != 2 or tokens.shape[1] > context or not (ends or tokens.shape[1] == context):
            at_most = "at most " if ends else ""
            raise ValueError(f"tokens have shape {tokens.shape}, wanted [n, {at_most}{context}]")
        length = tokens.shape[1]
        x = self.embedding[...][tokens].astype(dtype) + self.positions[...][:length].astype(dtype)
        x = self.transformer(x, causal=ends)
        at = end_of_text(tokens, self.config.eos_token_id) if ends else length - 1
        return self.final_norm(x[jnp.arange(len(x)), at]).astype(dtype)


def end_of_text(tokens: Int[Array, "n length"], eos_token_id: int) -> Int[Array, "n"]:
    """The position each text is read at: the first `eos_token_id` or, in legacy configs, the largest id.

    A text without that id is read at position 0, as in transformers.
    """
    if eos_token_id == LEGACY_EOS:
        return jnp.argmax(tokens, axis=-1)
    return jnp.argmax(tokens == eos_token_id, axis=-1)
