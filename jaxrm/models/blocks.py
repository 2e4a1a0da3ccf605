"""What a stack of causal blocks is made of: one config for all published decoders and for our interface."""

from dataclasses import dataclass, replace
from typing import Literal

from flax import nnx

from jaxrm.models.attention import check_attention
from jaxrm.models.layers import check_activation, norm_dtype
from jaxrm.models.rope import Rope


@dataclass(frozen=True)
class BlocksConfig:
    """A stack of causal blocks. The defaults are Llama's.

    Attributes:
      width: size of a token's vector.
      layers: number of blocks.
      heads: heads that ask.
      kv_heads: heads that answer; each serves `heads / kv_heads` of those that ask (Ainslie et al. 2023,
        arXiv 2305.13245).
      head_width: size of a head, which need not be `width / heads`.
      mlp_width: hidden size of the perceptron.
      activation: Hugging Face's name, a key of `ACTIVATIONS`.
      gated: the perceptron is down(activation(gate(x)) * up(x)) (Shazeer 2020, arXiv 2002.05202).
      norm: "rms" (Zhang & Sennrich 2019, arXiv 1910.07467) or "layer".
      norm_bias: layer norms have a bias.
      norm_eps: epsilon of all norms.
      qkv_bias, out_bias, mlp_bias: which linear maps have one.
      qk_norm: norm of queries and keys: None, "head": each head by itself (Qwen3), "width": all heads
        together, before they are split (MPT; Dehghani et al. 2023, arXiv 2302.05442).
      parallel: attention and perceptron read the same input (Wang & Komatsuzaki's GPT-J).
      rope: how heads turn with the position; None: not.
      alibi: largest exponent of linear biases; None: none.
      scale: what scores are multiplied by; None: head_width^-1/2.
      clip: queries, keys and values are cut to [-clip, clip]; None: not.
      dtype: what is computed in; softmax and norms in float32 at least.
      attention: how attention is computed, one of `ATTENTIONS`.
    """

    width: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    mlp_width: int
    activation: str = "silu"
    gated: bool = True
    norm: Literal["rms", "layer"] = "rms"
    norm_bias: bool = False
    norm_eps: float = 1e-5
    qkv_bias: bool = False
    out_bias: bool = False
    mlp_bias: bool = False
    qk_norm: Literal["head", "width"] | None = None
    parallel: bool = False
    rope: Rope | None = None
    alibi: float | None = None
    scale: float | None = None
    clip: float | None = None
    dtype: str = "float32"
    attention: str = "einsum"

    def __post_init__(self) -> None:
        check_activation(self.activation)
        check_attention(self.attention, self.dtype)
        if self.heads % self.kv_heads:
            raise ValueError(
                f"{self.heads} heads cannot share {self.kv_heads} heads of keys and values evenly"
            )
        if self.rope is not None and 2 * self.rope.pairs > self.head_width:
            raise ValueError(f"heads of {self.head_width} numbers cannot turn {2 * self.rope.pairs} of them")

    @property
    def group(self) -> int:
        """How many heads ask one head of keys and values."""
        return self.heads // self.kv_heads

    def with_dtype(self, dtype: str) -> "BlocksConfig":
        """The same, computed in another dtype."""
        return replace(self, dtype=dtype)

    def with_attention(self, attention: str) -> "BlocksConfig":
        """The same, with attention computed in another way."""
        return replace(self, attention=attention)

    def norm_of(self, width: int, *, bias: bool | None = None) -> nnx.LayerNorm | nnx.RMSNorm:
        """A norm over the last axis, of the kind that this stack has."""
        rngs = nnx.Rngs(0)  # draws nothing: scale is one, bias zero
        options = {"epsilon": self.norm_eps, "dtype": norm_dtype(self.dtype), "use_fast_variance": False}
        if self.norm == "rms":
            return nnx.RMSNorm(width, **options, rngs=rngs)
        return nnx.LayerNorm(width, **options, use_bias=self.norm_bias if bias is None else bias, rngs=rngs)
