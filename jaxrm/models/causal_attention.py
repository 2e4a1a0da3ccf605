"""Causal attention with options: of new tokens among themselves, and of branches of them with one context.

Shapes are told in full: of no rows at all nobody can work out a size.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxrm.models.alibi import slopes
from jaxrm.models.blocks import BlocksConfig
from jaxrm.models.context import Sight
from jaxrm.models.layers import linear, norm_dtype
from jaxrm.models.rope import rotate, turn_at


class KeyValue(NamedTuple):
    """Keys and values of one layer, [n, tokens, kv_heads, head]."""

    keys: jax.Array
    values: jax.Array


class CausalAttention(nnx.Module):
    """Self-attention of new tokens, and of those with a context.

    `qkv_heads` is one fused projection, [width, kv_heads, group + 2, head]: the queries that ask a head of
    keys and values, then its key, then its value. So all that belongs together lies on one device of a mesh.
    """

    def __init__(self, config: BlocksConfig, *, rngs: nnx.Rngs):
        self.config = config
        kv, group, head, width = config.kv_heads, config.group, config.head_width, config.width
        std, dtype = width**-0.5, config.dtype
        self.qkv_heads = linear(width, (kv, group + 2, head), std, dtype, rngs, bias=config.qkv_bias)
        inside = config.heads * head
        deep = (2 * config.layers) ** -0.5
        self.out = linear(inside, width, inside**-0.5 * deep, dtype, rngs, bias=config.out_bias)
        each = config.qk_norm == "head"
        self.q_norm = config.norm_of(head if each else inside, bias=False) if config.qk_norm else None
        self.k_norm = config.norm_of(head if each else kv * head, bias=False) if config.qk_norm else None

    def __call__(
        self, x: Float[Array, "n t width"], sight: Sight, past: KeyValue | None
    ) -> tuple[Float[Array, "n t width"], KeyValue]:
        """Attend; also gives the keys and values of the new tokens."""
        config = self.config
        qkv = self.qkv_heads(x)
        if config.clip is not None:
            qkv = jnp.clip(qkv, -config.clip, config.clip)
        q, k, v = qkv[..., : config.group, :], qkv[..., config.group, :], qkv[..., config.group + 1, :]
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self._normed(q, self.q_norm), self._normed(k, self.k_norm)
        if config.rope is not None:
            turn = turn_at(config.rope, sight.positions, config.dtype)
            q, k = rotate(q, turn), rotate(k, turn)
        new = KeyValue(k, v)
        if past is None and config.attention != "einsum":
            y = _fused(config, q, new, sight)
        else:
            y = _gathered(config, q, new, past, sight)
        return self.out(y.reshape(*x.shape[:-1], config.heads * config.head_width)), new

    def _normed(self, x: jax.Array, norm: nnx.Module) -> jax.Array:
        """A norm of each head, or of all heads of a token as one vector."""
        heads = x if self.config.qk_norm == "head" else x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
        return norm(heads).reshape(x.shape).astype(x.dtype)


def _bias(config: BlocksConfig, queries: jax.Array, keys: jax.Array) -> jax.Array | None:
    """Linear biases [n, kv, q, group, k] from positions [n, q] and [n, k]."""
    if config.alibi is None:
        return None
    wide = norm_dtype(config.dtype)
    fall = jnp.asarray(slopes(config.heads, config.alibi), wide).reshape(config.kv_heads, 1, config.group, 1)
    distance = (keys[:, None, :] - queries[:, :, None]).astype(wide)
    return fall * distance[:, None, :, None, :]


def _scores(config: BlocksConfig, q: jax.Array, k: jax.Array, bias: jax.Array | None, seen: jax.Array):
    """[n, kv, q, group, k], with what is not seen at -inf. `seen`: [n, q, k]."""
    scores = jnp.einsum("nqhgd,nkhd->nhqgk", q, k, preferred_element_type=norm_dtype(q.dtype))
    scores = scores if bias is None else scores + bias
    return jnp.where(seen[:, None, :, None, :], scores, -jnp.inf)


def _gathered(
    config: BlocksConfig, q: jax.Array, new: KeyValue, past: KeyValue | None, sight: Sight
) -> Float[Array, "n t kv group head"]:
    """softmax over the context, if any, and the new tokens, then the sum of their values.

    The branches of a row share its context, which is never copied for them.
    """
    wide = norm_dtype(q.dtype)
    q = (q.astype(wide) * _scale(config)).astype(q.dtype)
    own = _scores(config, q, new.keys, _bias(config, sight.positions, sight.positions), sight.own)
    if past is None:
        weights = jax.nn.softmax(own, axis=-1).astype(q.dtype)
        return _summed(weights, new.values, wide).astype(q.dtype)
    assert sight.past is not None and sight.past_positions is not None
    b, branches, slots = sight.past.shape
    n, t = sight.positions.shape
    keys, values = past.keys.astype(q.dtype), past.values.astype(q.dtype)
    folded = q.reshape(b, branches * t, *q.shape[2:])
    bias = _bias(config, sight.positions.reshape(b, branches * t), sight.past_positions)
    seen = jnp.repeat(sight.past, t, axis=1)
    before = _unfold(_scores(config, folded, keys, bias, seen), branches, t)
    weights = jax.nn.softmax(jnp.concatenate([before, own], axis=-1), axis=-1).astype(q.dtype)
    before, own = weights[..., :slots], weights[..., slots:]
    remembered = _summed(_fold(before, b, branches), values, wide).reshape(n, t, *q.shape[2:])
    return (remembered + _summed(own, new.values, wide)).astype(q.dtype)


def _summed(weights: jax.Array, values: jax.Array, wide) -> jax.Array:
    """Weights [n, kv, q, group, k] of values [n, k, kv, head] -> [n, q, kv, group, head]."""
    return jnp.einsum("nhqgk,nkhd->nqhgd", weights, values, preferred_element_type=wide)


def _unfold(x: jax.Array, branches: int, t: int) -> jax.Array:
    """[b, kv, branches * t, group, k] -> [b * branches, kv, t, group, k]."""
    b, kv, _, group, k = x.shape
    x = jnp.moveaxis(x.reshape(b, kv, branches, t, group, k), 2, 1)
    return x.reshape(b * branches, kv, t, group, k)


def _fold(x: jax.Array, b: int, branches: int) -> jax.Array:
    """The inverse of `_unfold`."""
    _, kv, t, group, k = x.shape
    x = jnp.moveaxis(x.reshape(b, branches, kv, t, group, k), 1, 2)
    return x.reshape(b, kv, branches * t, group, k)


def _fused(config: BlocksConfig, q: jax.Array, new: KeyValue, sight: Sight) -> jax.Array:
    """`jax.nn.dot_product_attention` over new tokens alone; its heads are in our order."""
    n, t = q.shape[:2]
    bias = _bias(config, sight.positions, sight.positions)
    if bias is not None:
        bias = jnp.moveaxis(bias, 2, 3).reshape(n, config.heads, t, t).astype(q.dtype)
    flat = q.reshape(n, t, config.heads, config.head_width)
    how = {"scale": _scale(config), "implementation": config.attention}
    return jax.nn.dot_product_attention(flat, new.keys, new.values, bias, sight.own[:, None], **how)


def _scale(config: BlocksConfig) -> float:
    return config.head_width**-0.5 if config.scale is None else config.scale
