"""What all networks share: random weights, a tree of shapes, another dtype."""

from typing import Any, Self

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import PRNGKeyArray


class Network(nnx.Module):
    """A network as a plain pytree: pass it to compiled functions as an argument.

    Use it under `jax.*` transforms only. `jax.grad` of it is a network again. A subclass takes
    `(config, *, rngs)`; its config is frozen and has `dtype` and `with_dtype`.
    """

    config: Any

    def __init__(self, config: Any, *, rngs: nnx.Rngs):
        if config.dtype == "float64" and jnp.zeros((), float).dtype != jnp.float64:
            raise ValueError(f"the {type(self).__name__} asks for float64, which needs `jax.enable_x64`")
        self.config = config

    @classmethod
    def create(cls, config: Any, key: PRNGKeyArray) -> Self:
        """A network with random weights; the key is consumed."""
        return cls(config, rngs=nnx.Rngs(key))

    @classmethod
    def abstract(cls, config: Any) -> Self:
        """The same tree with shapes in place of arrays; nothing is allocated, whatever the size."""
        return jax.eval_shape(lambda key: cls.create(config, key), jax.random.key(0))

    def with_dtype(self, dtype: str) -> Self:
        """The same weights, computed in another dtype ("float32", "bfloat16", "float64")."""
        return self.with_config(self.config.with_dtype(dtype))

    def with_config(self, config: Any) -> Self:
        """The same weights under another config of the same shapes (dtype, attention)."""
        treedef = jax.tree.structure(type(self).abstract(config))
        return jax.tree.unflatten(treedef, jax.tree.leaves(self))

    def with_param_dtype(self, dtype: str) -> Self:
        """The weights themselves in another dtype; half of the memory in "bfloat16"."""
        return jax.tree.map(lambda leaf: leaf.astype(dtype), self)
