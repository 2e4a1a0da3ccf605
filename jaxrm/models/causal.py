"""Causal blocks with options, stacked and scanned: decoder LLMs and our interface are made of them."""

from typing import Self, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxrm.models.blocks import BlocksConfig
from jaxrm.models.causal_attention import CausalAttention, KeyValue
from jaxrm.models.context import Context, Sight
from jaxrm.models.layers import activate, linear

Tree = TypeVar("Tree")


class CausalMlp(nnx.Module):
    """down(activation(up(x))); gated: `up` is [width, 2, hidden], the gate first."""

    def __init__(self, config: BlocksConfig, *, rngs: nnx.Rngs):
        self.config = config
        width, hidden = config.width, config.mlp_width
        outputs = (2, hidden) if config.gated else hidden
        self.up = linear(width, outputs, width**-0.5, config.dtype, rngs, bias=config.mlp_bias)
        std = hidden**-0.5 * (2 * config.layers) ** -0.5
        self.down = linear(hidden, width, std, config.dtype, rngs, bias=config.mlp_bias)

    def __call__(self, x: Float[Array, "*batch width"]) -> Float[Array, "*batch width"]:
        hidden, name = self.up(x), self.config.activation
        if not self.config.gated:
            return self.down(activate(name, hidden))
        return self.down(activate(name, hidden[..., 0, :]) * hidden[..., 1, :])


class CausalBlock(nnx.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)); parallel: both branches read the first x."""

    def __init__(self, config: BlocksConfig, *, rngs: nnx.Rngs):
        self.parallel = config.parallel
        self.attention_norm = config.norm_of(config.width)
        self.attention = CausalAttention(config, rngs=rngs)
        self.mlp_norm = config.norm_of(config.width)
        self.mlp = CausalMlp(config, rngs=rngs)

    def __call__(
        self, x: Float[Array, "n t width"], sight: Sight, past: KeyValue | None = None
    ) -> tuple[Float[Array, "n t width"], KeyValue]:
        attended, new = self.attention(self.attention_norm(x).astype(x.dtype), sight, past)
        read = x if self.parallel else x + attended
        changed = self.mlp(self.mlp_norm(read).astype(x.dtype))
        return (x + attended + changed if self.parallel else read + changed), new


class CausalBlocks(nnx.Module):
    """Blocks in order. Their parameters carry a leading axis, so compile time does not grow with depth; or,
    `unstacked`, each block has arrays of its own."""

    blocks: CausalBlock | nnx.List[CausalBlock]

    def __init__(self, config: BlocksConfig, *, rngs: nnx.Rngs):
        keys = jax.random.split(rngs(), config.layers)
        self.blocks = jax.vmap(lambda key: CausalBlock(config, rngs=nnx.Rngs(key)))(keys)

    def __call__(
        self,
        x: Float[Array, "n t width"],
        sight: Sight,
        past: Context | None = None,
        *,
        keep: bool = False,
    ) -> tuple[Float[Array, "n t width"], KeyValue | None]:
        """Run all blocks; with `keep` also the new keys and values, [layers, n, t, kv, head]."""

        def step(x: jax.Array, layer: tuple) -> tuple[jax.Array, KeyValue | None]:
            block, remembered = layer
            x, new = block(x, sight, remembered)
            return x, new if keep else None

        remembered = None if past is None else KeyValue(past.keys, past.values)
        if isinstance(self.blocks, CausalBlock):
            return jax.lax.scan(step, x, (self.blocks, remembered))
        layers = []
        for i, block in enumerate(self.blocks):
            x, new = step(x, (block, _layer(remembered, i)))
            layers.append(new)
        return x, jax.tree.map(lambda *arrays: jnp.stack(arrays), *layers)

    @property
    def is_unstacked(self) -> bool:
        """Whether each block has arrays of its own."""
        return isinstance(self.blocks, nnx.List)

    def unstacked(self) -> Self:
        """The same blocks, each with arrays of its own; what is unstacked already stays so."""
        new = jax.tree.map(lambda leaf: leaf, self)
        if not self.is_unstacked:
            count = len(jax.tree.leaves(self.blocks)[0])
            new.blocks = nnx.List([_layer(self.blocks, i) for i in range(count)])
        return new


def _layer(stacked: Tree, i: int) -> Tree:
    return jax.tree.map(lambda array: array[i], stacked)
