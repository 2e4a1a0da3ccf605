"""Dot-product attention, and the ways to compute it."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrm.models.layers import norm_dtype

# "einsum" is ours, for every dtype and device; "xla" and "cudnn" are those of `jax.nn.dot_product_attention`.
# cuDNN's needs an NVIDIA GPU, bfloat16 or float16, and a head width that is a multiple of 8, 256 at most.
ATTENTIONS = ("einsum", "xla", "cudnn")


def check_attention(name: str, dtype: str) -> None:
    """Raise a ValueError where this attention does not serve this dtype."""
    if name not in ATTENTIONS:
        raise ValueError(f"unknown attention {name!r}; known: {', '.join(ATTENTIONS)}")
    if name != "einsum" and dtype == "float64":
        raise ValueError(f"attention {name!r} has its softmax in float32, so float64 needs 'einsum'")
    if name == "cudnn" and dtype != "bfloat16":
        raise ValueError(f"attention 'cudnn' needs bfloat16, not {dtype}")


def attend(
    q: Float[Array, "*batch queries heads head"],
    k: Float[Array, "*batch keys heads head"],
    v: Float[Array, "*batch keys heads head"],
    *,
    causal: bool = False,
    how: str = "einsum",
) -> Float[Array, "*batch queries heads head"]:
    """softmax(q k' / sqrt(head)) v with the softmax in float32 at least.

    `causal`: position i looks at positions up to i only; queries and keys are then equally many.
    """
    if how == "xla" or how == "cudnn":
        return jax.nn.dot_product_attention(q, k, v, is_causal=causal, implementation=how)
    # jax.nn.dot_product_attention has its softmax in float32 even for float64 inputs, so this is our own.
    wide = norm_dtype(q.dtype)
    q = q * q.shape[-1] ** -0.5
    scores = jnp.einsum("...qhd,...khd->...hqk", q, k, preferred_element_type=wide)
    if causal:
        scores = jnp.where(jnp.tril(jnp.ones(scores.shape[-2:], bool)), scores, -jnp.inf)
    weights = jax.nn.softmax(scores, axis=-1).astype(v.dtype)
    return jnp.einsum("...hqk,...khd->...qhd", weights, v, preferred_element_type=wide).astype(v.dtype)


def split_heads(x: Float[Array, "*batch width"], heads: int) -> Float[Array, "*batch heads head"]:
    """The last axis as heads."""
    return x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads)
