"""CLIP: two towers that meet in one space (Radford et al. 2021, arXiv 2103.00020)."""

import math
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxrm.models.text import TextConfig, TextTower
from jaxrm.models.vit import VisionConfig, VisionTower


@dataclass(frozen=True)
class ClipConfig:
    """Two towers and the size of the space they meet in. `logit_scale` is the initial value, a logarithm."""

    vision: VisionConfig
    text: TextConfig
    projection: int = 512
    logit_scale: float = math.log(1 / 0.07)

    def with_dtype(self, dtype: str) -> "ClipConfig":
        """The same network, computed in another dtype."""
        vision = replace(self.vision, transformer=replace(self.vision.transformer, dtype=dtype))
        text = replace(self.text, transformer=replace(self.text.transformer, dtype=dtype))
        return replace(self, vision=vision, text=text)


class Clip(nnx.Module):
    """The dual encoder as a plain pytree: pass it to compiled functions as an argument.

    Use it under `jax.*` transforms only. `jax.grad` of it is a `Clip` again.
    """

    def __init__(self, config: ClipConfig, *, rngs: nnx.Rngs):
        for name, tower in (("vision", config.vision), ("text", config.text)):
            if tower.transformer.dtype == "float64" and jnp.zeros((), float).dtype != jnp.float64:
                raise ValueError(f"the {name} tower asks for float64, which needs `jax.enable_x64`")
        self.config = config
        self.vision = VisionTower(config.vision, rngs=rngs)
        self.text = TextTower(config.text, rngs=rngs)
        self.vision_projection = _projection(config.vision.transformer, config.projection, rngs)
        self.text_projection = _projection(config.text.transformer, config.projection, rngs)
        self.logit_scale = nnx.Param(jnp.asarray(config.logit_scale, jnp.float32))

    @classmethod
    def create(cls, config: ClipConfig, key: PRNGKeyArray) -> "Clip":
        """A network with random weights, drawn as OpenAI's are; the key is consumed."""
        return cls(config, rngs=nnx.Rngs(key))

    @classmethod
    def abstract(cls, config: ClipConfig) -> "Clip":
        """The same tree with shapes in place of arrays; nothing is allocated, whatever the size."""
        return jax.eval_shape(lambda key: cls.create(config, key), jax.random.key(0))

    def with_dtype(self, dtype: str) -> "Clip":
        """The same weights, computed in another dtype ("float32", "bfloat16", "float64")."""
        treedef = jax.tree.structure(Clip.abstract(self.config.with_dtype(dtype)))
        return jax.tree.unflatten(treedef, jax.tree.leaves(self))

    def encode_pixels(self, pixels: Float[Array, "n h w 3"]) -> Float[Array, "n d"]:
        """Normalised pixels of the model's size -> projections, before they get unit norm."""
        return self.vision_projection(self.vision(pixels))

    def encode_tokens(self, tokens: Int[Array, "n length"]) -> Float[Array, "n d"]:
        """Token ids with their end-of-text -> projections, before they get unit norm."""
        return self.text_projection(self.text(tokens))


def _projection(transformer, size: int, rngs: nnx.Rngs) -> nnx.Linear:
    normal = jax.nn.initializers.normal(transformer.width**-0.5)
    return nnx.Linear(
        transformer.width, size, use_bias=False, kernel_init=normal, dtype=transformer.dtype, rngs=rngs
    )
