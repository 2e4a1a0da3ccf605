"""The pre-norm transformer that every tower is made of: one block, stacked and scanned over its layers."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxrm.models.attention import attend, check_attention, split_heads
from jaxrm.models.layers import activate, check_activation, check_sizes, layer_norm, linear


@dataclass(frozen=True)
class TransformerConfig:
    """What a stack of blocks is made of.

    Attributes:
      width: size of a token's vector.
      layers: number of blocks.
      heads: attention heads; the head width is `width / heads`, which need not be 64.
      mlp_width: hidden size of the perceptron in a block.
      activation: Hugging Face's name, a key of `ACTIVATIONS`.
      norm_eps: epsilon of all layer norms.
      dtype: what is computed in: "float32", "bfloat16" or, under x64, "float64". Softmax and norms
        are in float32 at least.
      gated: the perceptron is down(activation(gate(x)) * up(x)) (Shazeer 2020, arXiv 2002.05202).
      layer_scale: what each branch is multiplied by, per channel, at the start; None: by nothing
        (Touvron et al. 2021, arXiv 2103.17239).
      attention: how attention is computed, one of `ATTENTIONS`.
    """

    width: int
    layers: int
    heads: int
    mlp_width: int
    activation: str
    norm_eps: float = 1e-5
    dtype: str = "float32"
    gated: bool = False
    layer_scale: float | None = None
    attention: str = "einsum"

    def __post_init__(self) -> None:
        check_sizes(width=self.width, layers=self.layers, heads=self.heads, mlp_width=self.mlp_width)
        check_activation(self.activation)
        check_attention(self.attention, self.dtype)
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of the number of heads, {self.heads}")

    def with_dtype(self, dtype: str) -> "TransformerConfig":
        """The same, computed in another dtype."""
        return replace(self, dtype=dtype)

    def with_attention(self, attention: str) -> "TransformerConfig":
        """The same, with attention computed in another way."""
        return replace(self, attention=attention)

    def norm(self) -> nnx.LayerNorm:
        """A layer norm over `width`."""
        return layer_norm(self.width, self.norm_eps, self.dtype)


class Attention(nnx.Module):
    """Multi-head self-attention. `qkv` is one fused projection, [width, 3, width]."""

    def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs):
        self.config = config
        width, std = config.width, config.width**-0.5
        self.qkv = linear(width, (3, width), std, config.dtype, rngs)
        self.out = linear(width, width, std * (2 * config.layers) ** -0.5, config.dtype, rngs)

    def __call__(
        self, x: Float[Array, "*batch length width"], causal: bool
    ) -> Float[Array, "*batch length width"]:
        q, k, v = (split_heads(a, self.config.heads) for a in jnp.moveaxis(self.qkv(x), -2, 0))
        return self.out(attend(q, k, v, causal=causal, how=self.config.attention).reshape(x.shape))


class Mlp(nnx.Module):
    """Two linear maps with the checkpoint's activation between them; gated: three, `up` holds two."""

    def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs):
        self.config = config
        width, hidden = config.width, config.mlp_width
        up_width = 2 * hidden if config.gated else hidden
        self.up = linear(width, up_width, (2 * width) ** -0.5, config.dtype, rngs)
        self.down = linear(hidden, width, width**-0.5 * (2 * config.layers) ** -0.5, config.dtype, rngs)

    def __call__(self, x: Float[Array, "*batch width"]) -> Float[Array, "*batch width"]:
        hidden, name = self.up(x), self.config.activation
        if not self.config.gated:
            return self.down(activate(name, hidden))
        gate, value = jnp.split(hidden, 2, axis=-1)
        return self.down(activate(name, gate) * value)


class Block(nnx.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)); each branch times its layer scale, if any."""

    def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs):
        self.attention_norm = config.norm()
        self.attention = Attention(config, rngs=rngs)
        self.mlp_norm = config.norm()
        self.mlp = Mlp(config, rngs=rngs)
        self.attention_scale, self.mlp_scale = _layer_scale(config), _layer_scale(config)

    def __call__(
        self, x: Float[Array, "*batch length width"], causal: bool = False
    ) -> Float[Array, "*batch length width"]:
        branch = self.attention(self.attention_norm(x).astype(x.dtype), causal)
        x = x + _scaled(branch, self.attention_scale)
        return x + _scaled(self.mlp(self.mlp_norm(x).astype(x.dtype)), self.mlp_scale)


def _layer_scale(config: TransformerConfig) -> nnx.Param | None:
    start = config.layer_scale
    return None if start is None else nnx.Param(jnp.full(config.width, start, jnp.float32))


def _scaled(x: jax.Array, scale: nnx.Param | None) -> jax.Array:
    return x if scale is None else x * scale[...].astype(x.dtype)


class Transformer(nnx.Module):
    """`layers` blocks whose parameters carry a leading axis, so compile time does not grow with depth."""

    def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs):
        keys = jax.random.split(rngs(), config.layers)
        self.blocks = jax.vmap(lambda key: Block(config, rngs=nnx.Rngs(key)))(keys)

    def __call__(
        self, x: Float[Array, "*batch length width"], causal: bool = False
    ) -> Float[Array, "*batch length width"]:
        """Run all blocks. `causal`: a position looks at itself and what stands before it only."""
        return jax.lax.scan(lambda x, block: (block(x, causal), None), x, self.blocks)[0]
