"""A decoder LLM: tokens, or vectors of its input space, in order -> how likely each next token is.

One network with options serves Llama, Qwen, GPT-2, GPT-NeoX and MPT; `jaxrm.weights` says which options each
has.
"""

from dataclasses import dataclass, replace
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from jaxrm.models.blocks import BlocksConfig
from jaxrm.models.causal import CausalBlocks
from jaxrm.models.causal_attention import KeyValue
from jaxrm.models.context import Context, Sight
from jaxrm.models.head import all_logits, log_probs
from jaxrm.models.reader import Reader, real_of
from jaxrm.models.rows import in_cache

Format = Literal["llama", "qwen2", "qwen3", "gpt2", "gpt_neox", "mpt", "mosaic_gpt"]


@dataclass(frozen=True)
class DecoderConfig:
    """A decoder LLM.

    Attributes:
      blocks: what it is made of.
      vocabulary: number of token ids.
      context: longest sequence, in tokens.
      format: Hugging Face's `model_type`, the format that it is saved in.
      tied: what gives the logits is the table of embeddings.
      learned_positions: a vector for each position is added to its token's.
      bos_token_id: what sequences begin with, where the config says.
      eos_token_ids: what ends them.
    """

    blocks: BlocksConfig
    vocabulary: int
    context: int
    format: Format = "llama"
    tied: bool = True
    learned_positions: bool = False
    bos_token_id: int | None = None
    eos_token_ids: tuple[int, ...] = ()

    @property
    def dtype(self) -> str:
        return self.blocks.dtype

    def with_dtype(self, dtype: str) -> "DecoderConfig":
        """The same network, computed in another dtype."""
        return replace(self, blocks=self.blocks.with_dtype(dtype))

    def with_attention(self, attention: str) -> "DecoderConfig":
        """The same network, with attention computed in another way."""
        return replace(self, blocks=self.blocks.with_attention(attention))


class Decoder(Reader):
    """The network. Its methods of `Reader` take vectors (`embed(tokens)`, or an interface's) and give the
    final hidden states, which `logits_of` and `log_probs` turn into numbers about the next token."""

    config: DecoderConfig

    def __init__(self, config: DecoderConfig, *, rngs: nnx.Rngs):
        super().__init__(config, rngs=rngs)
        width, table = config.blocks.width, (config.vocabulary, config.blocks.width)
        self.embedding = nnx.Param(0.02 * jax.random.normal(rngs(), table, jnp.float32))
        places = (config.context, width)
        learned = config.learned_positions
        self.positions = nnx.Param(0.01 * jax.random.normal(rngs(), places, jnp.float32)) if learned else None
        self.stack = CausalBlocks(config.blocks, rngs=rngs)
        self.final_norm = config.blocks.norm_of(width)
        head = None if config.tied else nnx.Param(width**-0.5 * jax.random.normal(rngs(), table, jnp.float32))
        self.unembedding = head

    def embed(self, tokens: Int[Array, "*batch"]) -> Float[Array, "*batch width"]:
        """Token ids -> vectors of the input space."""
        return self.embedding[...][tokens].astype(self.config.dtype)

    def logits(
        self,
        tokens: Int[Array, "b t"] | None = None,
        *,
        embeds: Float[Array, "b t width"] | None = None,
        mask: Bool[Array, "b t"] | None = None,
    ) -> Float[Array, "b t vocabulary"]:
        """Logits of the token after each, in float32 at least.

        Args:
          tokens: ids, or
          embeds: vectors of the input space in their place.
          mask: which of them are no padding; None: all.

        Raises:
          ValueError: both or neither of tokens and embeds, sequences of no length, other axes, another width,
            a mask of another shape or of fractions, or more than the context holds.
        """
        if (tokens is None) == (embeds is None):
            raise ValueError("give either tokens or embeds")
        x = jnp.asarray(embeds) if tokens is None else self.embed(tokens)
        real = real_of(x, mask)  # checked before rows are cut into blocks
        if not x.shape[1]:
            raise ValueError("the sequence is empty: give one token or vector at least")
        self.check_length(x.shape[1])
        rows = x, None if mask is None else real
        return in_cache(lambda rows: self.logits_of(self.read(*rows)), rows, x.shape[1])

    def logits_of(self, hidden: Float[Array, "*batch width"]) -> Float[Array, "*batch vocabulary"]:
        """Final hidden states -> logits of the next token, in float32 at least."""
        return all_logits(self.table, hidden)

    def log_probs(
        self, hidden: Float[Array, "*batch width"], targets: Int[Array, "*batch"]
    ) -> Float[Array, "*batch"]:
        """log p(target) after each hidden state, in float32 at least; the logits are never all there at
        once.
        """
        return log_probs(self.table, hidden, targets)

    def with_config(self, config: DecoderConfig) -> "Decoder":
        """The same weights under another config of the same shapes (dtype, attention).

        Raises:
          ValueError: layers are unstacked.
        """
        if self.stack.is_unstacked:
            raise ValueError("choose dtype and attention before layers are unstacked")
        return super().with_config(config)

    def unstacked(self) -> "Decoder":
        """The same network, each layer's weights in arrays of their own: for CPUs, where XLA copies a layer
        out of the stack before it multiplies by it, which for a few tokens takes as long as the products.

        Compile time then grows with depth. Choose dtypes and attention first; what is unstacked can be read
        with, not saved, and an interface does not know it for the decoder that it was trained with.
        """
        new = jax.tree.map(lambda leaf: leaf, self)
        new.stack = self.stack.unstacked()
        return new

    @property
    def table(self) -> Float[Array, "vocabulary width"]:
        """What gives the logits."""
        head = self.embedding if self.unembedding is None else self.unembedding
        return head[...]

    def check_length(self, length: int) -> None:
        """Raise a ValueError where the context is shorter."""
        if length > self.config.context:
            raise ValueError(
                f"{length} tokens and vectors do not fit into the decoder's context of {self.config.context}"
            )

    def _blocks_config(self) -> BlocksConfig:
        return self.config.blocks

    def _check_slots(self, slots: int) -> None:
        if self.positions is not None and slots > self.config.context:
            raise ValueError(
                f"{slots} slots are more than the decoder's {self.config.context} positions, all learned"
            )

    def _run(
        self, x: jax.Array, sight: Sight, past: Context | None, keep: bool
    ) -> tuple[jax.Array, KeyValue | None]:
        width, dtype = self.config.blocks.width, self.config.dtype
        if x.shape[-1] != width:
            raise ValueError(f"the decoder takes vectors of {width} numbers, got {x.shape[-1]}")
        x = x.astype(dtype)
        if self.positions is not None:
            x = x + self.positions[...][sight.positions].astype(dtype)
        x, new = self.stack(x, sight, past, keep=keep)
        return self.final_norm(x).astype(dtype), new
