"""Attention as pooling: one query looks at all tokens, and what it gathers stands for the image."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxrm.models.attention import split_heads
from jaxrm.models.layers import linear, matmul, norm_dtype
from jaxrm.models.transformer import Mlp, TransformerConfig


class QueryPool(nnx.Module):
    """SigLIP's head: a learned query, then x + mlp(norm(x)) (Zhai et al. 2022, arXiv 2106.04560)."""

    def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs):
        self.config = config
        width = config.width
        self.query = nnx.Param(width**-0.5 * jax.random.normal(rngs(), (width,), jnp.float32))
        self.qkv = linear(width, (3, width), width**-0.5, config.dtype, rngs)
        self.out = linear(width, width, width**-0.5, config.dtype, rngs)
        self.norm = config.norm()
        self.mlp = Mlp(config, rngs=rngs)

    def __call__(self, x: Float[Array, "n length width"]) -> Float[Array, "n width"]:
        query = jnp.broadcast_to(self.query[...].astype(x.dtype), (len(x), x.shape[-1]))
        x = self.out(_gather(query, x, self.qkv, self.config.heads))
        return x + self.mlp(self.norm(x).astype(x.dtype))


class MeanPool(nnx.Module):
    """CLIP ResNet's head: the mean of all places asks (Radford et al. 2021, section 2.4)."""

    def __init__(self, places: int, width: int, heads: int, output: int, dtype: str, *, rngs: nnx.Rngs):
        self.heads = heads
        std = width**-0.5
        self.positions = nnx.Param(std * jax.random.normal(rngs(), (places + 1, width), jnp.float32))
        self.qkv = linear(width, (3, width), std, dtype, rngs)
        self.out = linear(width, output, std, dtype, rngs)

    def __call__(self, x: Float[Array, "n places width"]) -> Float[Array, "n output"]:
        x = jnp.concatenate([x.mean(axis=1, keepdims=True), x], axis=1) + self.positions[...].astype(x.dtype)
        return self.out(_gather(x[:, 0], x, self.qkv, self.heads))


def _gather(query: jax.Array, x: jax.Array, qkv: nnx.LinearGeneral, heads: int) -> jax.Array:
    """[n, width] asks [n, length, width], as attention does.

    There is one query, so the key's matrix is taken to it and the value's to what it gathers, and no token is
    projected: q . (K x) = (K' q) . x, and V sum(p x) = sum(p V x). The key's bias adds the same to all scores
    of a head, which softmax does not see; the value's comes once, for weights sum to one.
    """
    assert qkv.bias is not None
    kernel, bias = (p[...].astype(x.dtype) for p in (qkv.kernel, qkv.bias))
    wide = norm_dtype(x.dtype)
    key, value = (split_heads(kernel[:, which], heads) for which in (1, 2))  # [width, heads, head]
    q = split_heads(matmul(query, kernel[:, 0]) + bias[0], heads)
    q = jnp.einsum("nhd,ihd->nhi", q * q.shape[-1] ** -0.5, key, preferred_element_type=wide)
    scores = jnp.einsum("nhi,nti->nht", q.astype(x.dtype), x, preferred_element_type=wide)
    weights = jax.nn.softmax(scores, axis=-1).astype(x.dtype)
    seen = jnp.einsum("nht,nti->nhi", weights, x, preferred_element_type=wide).astype(x.dtype)
    gathered = jnp.einsum("nhi,ihd->nhd", seen, value, preferred_element_type=wide).astype(x.dtype)
    return gathered.reshape(query.shape) + bias[2]
