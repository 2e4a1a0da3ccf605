"""CLIP's ResNets (Radford et al. 2021, arXiv 2103.00020, section 2.4; after He et al. 2019, 1812.01187).

Three convolutions as a stem, means in place of strides and of the max pool, attention as the last pool.
"""

from dataclasses import dataclass, replace

import jax
from flax import nnx
from jaxtyping import Array, Float

from jaxrm.models.conv import ConvNorm, image_by_image, mean_pool
from jaxrm.models.layers import check_sizes
from jaxrm.models.network import Network
from jaxrm.models.pool import MeanPool

EXPANSION = 4  # a block's output over its inner width
STRIDE = 32  # of the whole network
_LARGE = 2  # stages whose feature maps of one image fill a CPU's cache


@dataclass(frozen=True)
class ResNetConfig:
    """A CLIP ResNet.

    Attributes:
      layers: blocks in each of the four stages.
      channels: inner width of the first stage; it doubles from stage to stage.
      image_size: side of the square images in pixels, a multiple of 32.
      width: size of the vector that comes out, the common space of both towers.
      head_width: width of a head of the attention pool.
      dtype: what is computed in.
    """

    layers: tuple[int, int, int, int]
    channels: int = 64
    image_size: int = 224
    width: int = 1024
    head_width: int = 64
    dtype: str = "float32"

    def __post_init__(self) -> None:
        sizes = {"channels": self.channels, "width": self.width, "head_width": self.head_width}
        check_sizes(image_size=self.image_size, **sizes)
        if self.image_size % STRIDE:
            raise ValueError(f"image_size {self.image_size} is not a multiple of {STRIDE}")
        if len(self.layers) != 4 or min(self.layers) < 1:
            raise ValueError(f"layers are {self.layers}, wanted four numbers of at least 1")
        if self.channels % 2 or self.pooled % self.head_width:
            raise ValueError(f"channels {self.channels} do not make whole heads of {self.head_width}")

    @property
    def pooled(self) -> int:
        """Channels that reach the attention pool."""
        return self.channels * 8 * EXPANSION

    def with_dtype(self, dtype: str) -> "ResNetConfig":
        """The same, computed in another dtype."""
        return replace(self, dtype=dtype)

    def with_attention(self, attention: str) -> "ResNetConfig":
        """The same: what attention there is here, one query's, has one way."""
        return self


class Bottleneck(nnx.Module):
    """relu(shortcut(x) + expand(relu(mix(relu(reduce(x)))))); `halve` takes means of 2 x 2 on the way."""

    def __init__(self, inputs: int, inner: int, dtype: str, *, first: bool, halve: bool, rngs: nnx.Rngs):
        outputs, self.halve = inner * EXPANSION, halve
        self.reduce = ConvNorm(inputs, inner, 1, dtype, rngs=rngs)
        self.mix = ConvNorm(inner, inner, 3, dtype, rngs=rngs)
        self.expand = ConvNorm(inner, outputs, 1, dtype, rngs=rngs)
        self.shortcut = ConvNorm(inputs, outputs, 1, dtype, rngs=rngs) if first else None

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h2 w2 o"]:
        inner = jax.nn.relu(self.mix(jax.nn.relu(self.reduce(x))))
        if self.halve:
            x, inner = mean_pool(x), mean_pool(inner)
        across = x if self.shortcut is None else self.shortcut(x)
        return jax.nn.relu(across + self.expand(inner))


class Stage(nnx.Module):
    """Blocks of one width: the first changes the shape, the rest are stacked and scanned."""

    def __init__(self, inputs: int, inner: int, blocks: int, dtype: str, *, halve: bool, rngs: nnx.Rngs):
        self.first = Bottleneck(inputs, inner, dtype, first=True, halve=halve, rngs=rngs)

        def block(key: jax.Array) -> Bottleneck:
            kind = {"first": False, "halve": False}
            return Bottleneck(inner * EXPANSION, inner, dtype, **kind, rngs=nnx.Rngs(key))

        self.rest = jax.vmap(block)(jax.random.split(rngs(), blocks - 1)) if blocks > 1 else None

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h2 w2 o"]:
        x = self.first(x)
        return x if self.rest is None else jax.lax.scan(lambda x, block: (block(x), None), x, self.rest)[0]


class ResNet(Network):
    """Images of the model's size -> one vector each."""

    config: ResNetConfig

    def __init__(self, config: ResNetConfig, *, rngs: nnx.Rngs):
        super().__init__(config, rngs=rngs)
        width, dtype = config.channels, config.dtype
        self.stem = nnx.List(
            [
                ConvNorm(3, width // 2, 3, dtype, stride=2, rngs=rngs),
                ConvNorm(width // 2, width // 2, 3, dtype, rngs=rngs),
                ConvNorm(width // 2, width, 3, dtype, rngs=rngs),
            ]
        )
        inputs, stages = width, []
        for number, blocks in enumerate(config.layers):
            inner = width * 2**number
            stages.append(Stage(inputs, inner, blocks, dtype, halve=number > 0, rngs=rngs))
            inputs = inner * EXPANSION
        self.stages = nnx.List(stages)
        places, heads = (config.image_size // STRIDE) ** 2, inputs // config.head_width
        self.pool = MeanPool(places, inputs, heads, config.width, dtype, rngs=rngs)

    def __call__(self, pixels: Float[Array, "n h w 3"]) -> Float[Array, "n width"]:
        """Encode normalised pixels.

        Raises:
          ValueError: the images do not have the model's size.
        """
        x = self.features(pixels)
        return self.pool(x.reshape(len(x), x.shape[1] * x.shape[2], x.shape[3]))

    def features(self, pixels: Float[Array, "n h w 3"]) -> Float[Array, "n rows columns channels"]:
        """What the last stage sees, a 32nd of the image's size."""
        size = self.config.image_size
        if pixels.ndim != 4 or pixels.shape[1:] != (size, size, 3):
            raise ValueError(f"pixels have shape {pixels.shape}, wanted [n, {size}, {size}, 3]")
        x = image_by_image(self._first_layers, pixels.astype(self.config.dtype))
        for stage in self.stages[_LARGE:]:
            x = stage(x)
        return x

    def _first_layers(self, x: jax.Array) -> jax.Array:
        """The stem, and the stages whose feature maps are large."""
        for layer in self.stem:
            x = jax.nn.relu(layer(x))
        x = mean_pool(x)
        for stage in self.stages[:_LARGE]:
            x = stage(x)
        return x
