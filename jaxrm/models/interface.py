"""From what a vision tower says about frames into the space in which a decoder LLM reads words (FoMo rewards,
arXiv 2312.03881): a linear map, or a small causal transformer over the frames."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from jaxrm.models.blocks import BlocksConfig
from jaxrm.models.causal import CausalBlocks
from jaxrm.models.causal_attention import KeyValue
from jaxrm.models.context import Context, Sight
from jaxrm.models.layers import check_sizes, linear, norm_dtype
from jaxrm.models.reader import Reader
from jaxrm.models.rope import Rope

_EPS = 1e-6


@dataclass(frozen=True)
class InterfaceConfig:
    """An interface.

    Attributes:
      inputs: size of a frame's embedding.
      outputs: width of the decoder.
      layers: blocks; 0: a linear map of each frame by itself, blind to time.
      width, heads: of the blocks; a perceptron is four times as wide.
      positions: how blocks tell the order: "alibi", linear biases, which serve lengths that were never seen
        in training (Press et al. 2022, arXiv 2108.12409), or "rope".
      output_std: size of the numbers that come out at the start; that of the decoder's embeddings is best.
      dtype: what is computed in.
      tower, decoder: between whose weights it was trained, as `jaxrm.weights.fingerprint.label` names them;
        empty where nobody knows.
      vocabulary: the `DecoderProcessor.vocabulary_digest` of that decoder; empty where nobody knows.
      form: what it was trained to make likely, "describe": an instruction, or "ask": the answer to whether it
        was carried out; empty where nobody knows.
    """

    inputs: int
    outputs: int
    layers: int = 1
    width: int = 256
    heads: int = 4
    positions: Literal["alibi", "rope"] = "alibi"
    output_std: float = 0.02
    dtype: str = "float32"
    tower: str = ""
    decoder: str = ""
    vocabulary: str = ""
    form: str = ""

    def __post_init__(self) -> None:
        check_sizes(inputs=self.inputs, outputs=self.outputs, width=self.width, heads=self.heads)
        if not isinstance(self.layers, int) or self.layers < 0:
            raise ValueError(f"layers is {self.layers}, wanted a whole number: 0 (linear) or more")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of the number of heads, {self.heads}")
        if not 0 <= self.output_std < math.inf:
            raise ValueError(f"output_std is {self.output_std}, wanted a number of at least 0")
        if self.positions not in ("alibi", "rope"):
            raise ValueError(f"positions is {self.positions!r}, wanted 'alibi' or 'rope'")
        if self.form not in ("", "describe", "ask"):
            raise ValueError(f"form is {self.form!r}, wanted 'describe', 'ask' or nothing")

    @property
    def blocks(self) -> BlocksConfig:
        """The stack that reads the frames in order."""
        head = self.width // self.heads
        return BlocksConfig(
            self.width,
            self.layers,
            self.heads,
            self.heads,
            head,
            4 * self.width,
            activation="gelu",
            gated=False,
            rope=Rope(head) if self.positions == "rope" else None,
            alibi=8.0 if self.positions == "alibi" else None,
            dtype=self.dtype,
        )

    def with_dtype(self, dtype: str) -> "InterfaceConfig":
        """The same, computed in another dtype."""
        return replace(self, dtype=dtype)


class Interface(Reader):
    """Frame embeddings [b, time, inputs] -> vectors of the decoder's input space [b, time, outputs].

    Its methods are those of `Reader`: `read` takes all frames at once; since no frame sees a later one, the
    first vectors of a long trajectory are those of its prefixes, and `remember` and `extend` go on where one
    stopped.
    """

    config: InterfaceConfig

    def __init__(self, config: InterfaceConfig, *, rngs: nnx.Rngs):
        super().__init__(config, rngs=rngs)
        inputs, width, dtype = config.inputs, config.width, config.dtype
        deep = config.layers > 0
        self.enter = linear(inputs, width, inputs**-0.5, dtype, rngs) if deep else None
        # blocks with linear biases see how far back a frame lies, not which one began
        self.first = nnx.Param(jax.random.normal(rngs.params(), (width,))) if deep else None
        self.stack = CausalBlocks(config.blocks, rngs=rngs) if deep else None
        self.final_norm = config.blocks.norm_of(width) if deep else None
        last = width if deep else inputs
        self.leave = linear(last, config.outputs, config.output_std * last**-0.5, dtype, rngs)

    def _blocks_config(self) -> BlocksConfig:
        return self.config.blocks

    def _run(
        self, x: jax.Array, sight: Sight, past: Context | None, keep: bool
    ) -> tuple[jax.Array, KeyValue | None]:
        if x.shape[-1] != self.config.inputs:
            raise ValueError(
                f"frame embeddings have {x.shape[-1]} numbers, but the interface takes {self.config.inputs}: "
                "it was made for another vision tower"
            )
        x = unit_size(x).astype(self.config.dtype)
        if self.enter is None or self.first is None or self.stack is None or self.final_norm is None:
            blocks = self.config.blocks
            none = jnp.zeros((0, *x.shape[:2], blocks.kv_heads, blocks.head_width), x.dtype)
            return self.leave(x), KeyValue(none, none)
        began = (sight.positions == 0)[..., None]
        x = self.enter(x) + jnp.where(began, self.first[...].astype(x.dtype), 0)
        x, new = self.stack(x, sight, past, keep=keep)
        return self.leave(self.final_norm(x).astype(x.dtype)), new


def unit_size(x: jax.Array) -> jax.Array:
    """Towers differ in the length of their vectors by orders of magnitude: here a number's mean square is
    1.
    """
    x = x.astype(norm_dtype(x.dtype))
    return x * jax.lax.rsqrt(jnp.mean(x**2, axis=-1, keepdims=True) + _EPS)
