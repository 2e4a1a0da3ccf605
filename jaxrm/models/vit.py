"""The vision transformer of CLIP: patches, a class token, blocks; the class token is what comes out."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxrm.models.transformer import Transformer, TransformerConfig, layer_norm


@dataclass(frozen=True)
class VisionConfig:
    """A vision tower: `image_size` and `patch_size` in pixels, and its blocks.

    An image that is not a multiple of the patch loses its right and lower rest, as in a convolution.
    """

    transformer: TransformerConfig
    image_size: int = 224
    patch_size: int = 32

    def __post_init__(self) -> None:
        if self.patch_size > self.image_size:
            raise ValueError(f"patch_size {self.patch_size} is larger than image_size {self.image_size}")

    @property
    def grid(self) -> int:
        return self.image_size // self.patch_size


class VisionTower(nnx.Module):
    """Images of the model's size -> one vector each."""

    def __init__(self, config: VisionConfig, *, rngs: nnx.Rngs):
        self.config = config
        width, patch = config.transformer.width, config.patch_size
        std, fan_in = width**-0.5, 3 * patch**2
        # Kept as [height, width, channel, out]: a permutation of torch's convolution kernel.
        self.patch_kernel = nnx.Param(
            jax.random.uniform(rngs(), (patch, patch, 3, width), jnp.float32, -1, 1) * fan_in**-0.5
        )
        self.class_token = nnx.Param(std * jax.random.normal(rngs(), (width,), jnp.float32))
        self.positions = nnx.Param(std * jax.random.normal(rngs(), (config.grid**2 + 1, width), jnp.float32))
        self.pre_norm = layer_norm(config.transformer)
        self.transformer = Transformer(config.transformer, rngs=rngs)
        self.post_norm = layer_norm(config.transformer)

    def __call__(self, pixels: Float[Array, "n h w 3"]) -> Float[Array, "n width"]:
        """Encode normalised pixels.

        Raises:
          ValueError: the images do not have the model's size.
        """
        size, dtype = self.config.image_size, self.config.transformer.dtype
        if pixels.ndim != 4 or pixels.shape[1:] != (size, size, 3):
            raise ValueError(f"pixels have shape {pixels.shape}, wanted [n, {size}, {size}, 3]")
        tokens = self._patches(pixels.astype(dtype)) @ self._patch_matrix().astype(dtype)
        first = jnp.broadcast_to(self.class_token[...].astype(dtype), (len(tokens), 1, tokens.shape[-1]))
        x = jnp.concatenate([first, tokens], axis=1) + self.positions[...].astype(dtype)
        x = self.transformer(self.pre_norm(x).astype(dtype))
        return self.post_norm(x[:, 0]).astype(dtype)

    def _patches(self, pixels: jax.Array) -> jax.Array:
        """[n, h, w, 3] -> [n, grid * grid, patch * patch * 3], a matmul beats a convolution on CPUs."""
        grid, patch = self.config.grid, self.config.patch_size
        pixels = pixels[:, : grid * patch, : grid * patch]
        cut = pixels.reshape(-1, grid, patch, grid, patch, 3).swapaxes(2, 3)
        return cut.reshape(-1, grid * grid, patch * patch * 3)

    def _patch_matrix(self) -> jax.Array:
        return self.patch_kernel[...].reshape(-1, self.config.transformer.width)
