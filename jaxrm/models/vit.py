"""The vision transformer (Dosovitskiy et al. 2021, arXiv 2010.11929) of CLIP, SigLIP and DINOv2."""

from dataclasses import dataclass, replace
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxrm.models.layers import PatchEmbedding, check_sizes
from jaxrm.models.network import Network
from jaxrm.models.pool import QueryPool
from jaxrm.models.positions import resample
from jaxrm.models.transformer import Transformer, TransformerConfig


@dataclass(frozen=True)
class VisionConfig:
    """A vision tower: `image_size` and `patch_size` in pixels, and its blocks. The defaults are CLIP's.

    An image that is not a multiple of the patch loses its right and lower rest, as in a convolution.

    Attributes:
      pool: "class": the class token stands for the image; "query": a learned query looks at all tokens,
        and there is no class token (SigLIP).
      pre_norm: a layer norm before the first block.
      patch_bias: the patch embedding has a bias.
      registers: tokens beside the class token that nobody reads (Darcet et al. 2024, arXiv 2309.16588).
      mask_token: carry the token that stood for hidden patches in training; nothing here uses it.
      other_sizes: how position embeddings are resampled for other image sizes: "bicubic",
        "bicubic-antialias", or None: other sizes are refused.
    """

    transformer: TransformerConfig
    image_size: int = 224
    patch_size: int = 32
    pool: Literal["class", "query"] = "class"
    pre_norm: bool = True
    patch_bias: bool = False
    registers: int = 0
    mask_token: bool = False
    other_sizes: Literal["bicubic", "bicubic-antialias"] | None = None

    def __post_init__(self) -> None:
        check_sizes(image_size=self.image_size, patch_size=self.patch_size)
        if self.patch_size > self.image_size:
            raise ValueError(f"patch_size {self.patch_size} is larger than image_size {self.image_size}")

    @property
    def grid(self) -> int:
        return self.image_size // self.patch_size

    @property
    def width(self) -> int:
        """Size of the vector that comes out."""
        return self.transformer.width

    @property
    def dtype(self) -> str:
        return self.transformer.dtype

    def with_dtype(self, dtype: str) -> "VisionConfig":
        """The same, computed in another dtype."""
        return replace(self, transformer=self.transformer.with_dtype(dtype))

    def with_attention(self, attention: str) -> "VisionConfig":
        """The same, with attention computed in another way."""
        return replace(self, transformer=self.transformer.with_attention(attention))


class VisionTower(Network):
    """Images of the model's size -> one vector each."""

    config: VisionConfig

    def __init__(self, config: VisionConfig, *, rngs: nnx.Rngs):
        super().__init__(config, rngs=rngs)
        blocks, std = config.transformer, config.width**-0.5

        def draw(*shape: int) -> nnx.Param:
            return nnx.Param(std * jax.random.normal(rngs(), shape, jnp.float32))

        self.patches = PatchEmbedding(
            config.patch_size, 3, config.width, bias=config.patch_bias, dtype=config.dtype, rngs=rngs
        )
        has_class = config.pool == "class"
        self.class_token = draw(config.width) if has_class else None
        self.positions = draw(config.grid**2 + has_class, config.width)
        self.registers = draw(config.registers, config.width) if config.registers else None
        self.mask_token = nnx.Param(jnp.zeros(config.width, jnp.float32)) if config.mask_token else None
        self.pre_norm = blocks.norm() if config.pre_norm else None
        self.transformer = Transformer(blocks, rngs=rngs)
        self.post_norm = blocks.norm()
        self.head = None if has_class else QueryPool(blocks, rngs=rngs)

    def __call__(self, pixels: Float[Array, "n h w 3"]) -> Float[Array, "n width"]:
        """Encode normalised pixels.

        Raises:
          ValueError: the images do not have the model's size, and it takes no other.
        """
        x = self._tokens(pixels)
        if self.head is None:
            return self.post_norm(x[:, 0]).astype(x.dtype)
        return self.head(self.post_norm(x).astype(x.dtype))

    def features(self, pixels: Float[Array, "n h w 3"]) -> Float[Array, "n length width"]:
        """All tokens after the last norm: the class token, registers and patches, row by row, as they are."""
        x = self._tokens(pixels)
        return self.post_norm(x).astype(x.dtype)

    def _tokens(self, pixels: jax.Array) -> jax.Array:
        self._check(pixels)
        dtype = self.config.dtype
        x = self.patches(pixels)
        x = x + self._grid_positions(*x.shape[1:3]).astype(dtype)
        x = x.reshape(len(x), x.shape[1] * x.shape[2], x.shape[3])
        if self.class_token is not None:
            extra = (self.class_token[...].astype(dtype) + self.positions[...][0].astype(dtype))[None]
            if self.registers is not None:
                extra = jnp.concatenate([extra, self.registers[...].astype(dtype)])
            extra = jnp.broadcast_to(extra, (len(x), *extra.shape))
            x = jnp.concatenate([extra, x], axis=1)
        if self.pre_norm is not None:
            x = self.pre_norm(x).astype(dtype)
        return self.transformer(x)

    def _grid_positions(self, rows: int, columns: int) -> jax.Array:
        """[rows, columns, width], without the class token's."""
        grid = self.config.grid
        positions = self.positions[...][-(grid**2) :].reshape(grid, grid, -1)
        antialias = self.config.other_sizes == "bicubic-antialias"
        return resample(positions, rows, columns, antialias=antialias)

    def _check(self, pixels: jax.Array) -> None:
        size, patch = self.config.image_size, self.config.patch_size
        wanted = f"[n, {size}, {size}, 3]"
        fits = pixels.ndim == 4 and pixels.shape[-1] == 3
        if self.config.other_sizes is None:
            fits = fits and pixels.shape[1:3] == (size, size)
        else:
            fits = fits and min(pixels.shape[1:3]) >= patch
            wanted += f" or another size of at least {patch}"
        if not fits:
            raise ValueError(f"pixels have shape {pixels.shape}, wanted {wanted}")
