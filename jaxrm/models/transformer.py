"""The pre-norm transformer that every tower is made of: one block, stacked and scanned over its layers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

Activation = Callable[[jax.Array], jax.Array]


def quick_gelu(x: jax.Array) -> jax.Array:
    """OpenAI's approximation, x * sigmoid(1.702 x); up to 2e-2 away from the exact GELU."""
    return x * jax.nn.sigmoid(1.702 * x)


_exact_gelu = partial(jax.nn.gelu, approximate=False)
_tanh_gelu = partial(jax.nn.gelu, approximate=True)

# The activation belongs to the checkpoint, not to the architecture; names are Hugging Face's `hidden_act`.
ACTIVATIONS: Mapping[str, Activation] = {
    "quick_gelu": quick_gelu,
    "gelu": _exact_gelu,
    "gelu_python": _exact_gelu,
    "gelu_new": _tanh_gelu,
    "gelu_fast": _tanh_gelu,
    "gelu_pytorch_tanh": _tanh_gelu,
    "gelu_python_tanh": _tanh_gelu,
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "swish": jax.nn.silu,
}


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
    """

    width: int
    layers: int
    heads: int
    mlp_width: int
    activation: str
    norm_eps: float = 1e-5
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"unknown activation {self.activation!r}; known: {', '.join(sorted(ACTIVATIONS))}"
            )
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of the number of heads, {self.heads}")

    @property
    def norm_dtype(self) -> jnp.dtype:
        return jnp.promote_types(self.dtype, jnp.float32)


def layer_norm(config: TransformerConfig) -> nnx.LayerNorm:
    """A layer norm over `config.width`; its variance is the mean of squared deviations, as torch's."""
    return nnx.LayerNorm(
        config.width,
        epsilon=config.norm_eps,
        dtype=config.norm_dtype,
        use_fast_variance=False,
        rngs=nnx.Rngs(0),  # draws nothing: scale is one, bias zero
    )


class Attention(nnx.Module):
    """Multi-head self-attention. `qkv` is one fused projection, [width, 3, width]."""

    def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs):
        self.config = config
        width, normal = config.width, jax.nn.initializers.normal
        residual_std = width**-0.5 * (2 * config.layers) ** -0.5
        self.qkv = nnx.LinearGeneral(
            width, (3, width), kernel_init=normal(width**-0.5), dtype=config.dtype, rngs=rngs
        )
        self.out = nnx.Linear(width, width, kernel_init=normal(residual_std), dtype=config.dtype, rngs=rngs)

    def __call__(
        self, x: Float[Array, "*batch length width"], mask: Bool[Array, "length length"] | None
    ) -> Float[Array, "*batch length width"]:
        config = self.config
        q, k, v = jnp.moveaxis(self.qkv(x), -2, 0)
        q, k, v = (a.reshape(*a.shape[:-1], config.heads, config.width // config.heads) for a in (q, k, v))
        scale = q.shape[-1] ** -0.5
        # jax.nn.dot_product_attention has its softmax in float32 even for float64 inputs, so this is our own.
        scores = jnp.einsum("...qhd,...khd->...hqk", q * scale, k).astype(config.norm_dtype)
        if mask is not None:
            scores = jnp.where(mask, scores, -jnp.inf)
        weights = jax.nn.softmax(scores, axis=-1).astype(v.dtype)
        mixed = jnp.einsum("...hqk,...khd->...qhd", weights, v)
        return self.out(mixed.reshape(x.shape))


class Mlp(nnx.Module):
    """Two linear maps with the checkpoint's activation between them."""

    def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs):
        self.activation = config.activation
        normal, width, hidden = jax.nn.initializers.normal, config.width, config.mlp_width
        up_std = (2 * width) ** -0.5
        down_std = width**-0.5 * (2 * config.layers) ** -0.5
        self.up = nnx.Linear(width, hidden, kernel_init=normal(up_std), dtype=config.dtype, rngs=rngs)
        self.down = nnx.Linear(hidden, width, kernel_init=normal(down_std), dtype=config.dtype, rngs=rngs)

    def __call__(self, x: Float[Array, "*batch width"]) -> Float[Array, "*batch width"]:
        return self.down(ACTIVATIONS[self.activation](self.up(x)))


class Block(nnx.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs):
        self.attention_norm = layer_norm(config)
        self.attention = Attention(config, rngs=rngs)
        self.mlp_norm = layer_norm(config)
        self.mlp = Mlp(config, rngs=rngs)

    def __call__(
        self, x: Float[Array, "*batch length width"], mask: Bool[Array, "length length"] | None
    ) -> Float[Array, "*batch length width"]:
        x = x + self.attention(self.attention_norm(x).astype(x.dtype), mask)
        return x + self.mlp(self.mlp_norm(x).astype(x.dtype))


class Transformer(nnx.Module):
    """`layers` blocks whose parameters carry a leading axis, so compile time does not grow with depth."""

    def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs):
        keys = jax.random.split(rngs(), config.layers)
        self.blocks = jax.vmap(lambda key: Block(config, rngs=nnx.Rngs(key)))(keys)

    def __call__(
        self, x: Float[Array, "*batch length width"], mask: Bool[Array, "length length"] | None = None
    ) -> Float[Array, "*batch length width"]:
        """Run all blocks. `mask[q, k]` is true where position q may look at position k; None: everywhere."""
        return jax.lax.scan(lambda x, block: (block(x, mask), None), x, self.blocks)[0]
