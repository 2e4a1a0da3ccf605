"""ConvNeXt (Liu et al. 2022, arXiv 2201.03545): a convolutional image tower."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxrm.models.conv import conv
from jaxrm.models.layers import PatchEmbedding, activate, check_activation, check_sizes, layer_norm, linear
from jaxrm.models.network import Network

NORM_EPS = 1e-6  # of all norms but the last
KERNEL = 7  # side of the depthwise convolution
EXPANSION = 4  # hidden width of a block over its width


@dataclass(frozen=True)
class ConvNextConfig:
    """A ConvNeXt.

    Attributes:
      widths, layers: of each stage.
      patch_size: side of the squares that the stem merges, in pixels.
      image_size: what the weights were trained on; any other size of at least the whole stride works.
      activation: Hugging Face's name, a key of `ACTIVATIONS`.
      norm_eps: epsilon of the norm after pooling; all others have 1e-6.
      layer_scale: what each branch is multiplied by at the start, per channel; None: by nothing.
      dtype: what is computed in.
    """

    widths: tuple[int, ...] = (96, 192, 384, 768)
    layers: tuple[int, ...] = (3, 3, 9, 3)
    patch_size: int = 4
    image_size: int = 224
    activation: str = "gelu"
    norm_eps: float = 1e-12
    layer_scale: float | None = 1e-6
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_activation(self.activation)
        if len(self.widths) != len(self.layers) or not self.layers:
            raise ValueError(f"widths {self.widths} and layers {self.layers} do not match")
        check_sizes(patch_size=self.patch_size, image_size=self.image_size)
        for width, layers in zip(self.widths, self.layers, strict=True):
            check_sizes(width=width, layers=layers)

    @property
    def width(self) -> int:
        """Size of the vector that comes out."""
        return self.widths[-1]

    @property
    def stride(self) -> int:
        """Pixels of the image along a side of one place of the last stage."""
        return self.patch_size * 2 ** (len(self.widths) - 1)

    def with_dtype(self, dtype: str) -> "ConvNextConfig":
        """The same, computed in another dtype."""
        return replace(self, dtype=dtype)

    def with_attention(self, attention: str) -> "ConvNextConfig":
        """The same: there is no attention here."""
        return self


class Block(nnx.Module):
    """x + scale * down(activation(up(norm(depthwise convolution of x))))."""

    def __init__(self, width: int, config: ConvNextConfig, *, rngs: nnx.Rngs):
        self.config = config
        dtype, std = config.dtype, 0.02
        kernel = std * jax.random.normal(rngs(), (KERNEL, KERNEL, 1, width), jnp.float32)
        self.kernel = nnx.Param(kernel)
        self.bias = nnx.Param(jnp.zeros(width, jnp.float32))
        self.norm = layer_norm(width, NORM_EPS, dtype)
        self.up = linear(width, EXPANSION * width, std, dtype, rngs)
        self.down = linear(EXPANSION * width, width, std, dtype, rngs)
        start = config.layer_scale
        self.scale = None if start is None else nnx.Param(jnp.full(width, start, jnp.float32))

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        y = conv(x, self.kernel[...].astype(x.dtype), groups=x.shape[-1]) + self.bias[...].astype(x.dtype)
        y = self.down(activate(self.config.activation, self.up(self.norm(y).astype(x.dtype))))
        return x + (y if self.scale is None else y * self.scale[...].astype(x.dtype))


class Stage(nnx.Module):
    """A norm and squares of 2 x 2 merged, but for the first stage; then blocks, stacked and scanned."""

    def __init__(self, inputs: int, width: int, blocks: int, config: ConvNextConfig, *, rngs: nnx.Rngs):
        merges = inputs != 0
        self.norm = layer_norm(inputs, NORM_EPS, config.dtype) if merges else None
        kind = {"bias": True, "dtype": config.dtype, "rngs": rngs}
        self.merge = PatchEmbedding(2, inputs, width, **kind) if merges else None
        keys = jax.random.split(rngs(), blocks)
        self.blocks = jax.vmap(lambda key: Block(width, config, rngs=nnx.Rngs(key)))(keys)

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h2 w2 o"]:
        if self.norm is not None and self.merge is not None:
            x = self.merge(self.norm(x))
        return jax.lax.scan(lambda x, block: (block(x), None), x, self.blocks)[0]


class ConvNext(Network):
    """Images -> one vector each."""

    config: ConvNextConfig

    def __init__(self, config: ConvNextConfig, *, rngs: nnx.Rngs):
        super().__init__(config, rngs=rngs)
        first, kind = config.widths[0], {"bias": True, "dtype": config.dtype, "rngs": rngs}
        self.patches = PatchEmbedding(config.patch_size, 3, first, **kind)
        self.patch_norm = layer_norm(first, NORM_EPS, config.dtype)
        inputs, stages = 0, []
        for width, blocks in zip(config.widths, config.layers, strict=True):
            stages.append(Stage(inputs, width, blocks, config, rngs=rngs))
            inputs = width
        self.stages = nnx.List(stages)
        self.post_norm = layer_norm(inputs, config.norm_eps, config.dtype)

    def __call__(self, pixels: Float[Array, "n h w 3"]) -> Float[Array, "n width"]:
        """Encode normalised pixels: the mean over all places, after a norm.

        Raises:
          ValueError: images smaller than the stride of the network.
        """
        x = self.features(pixels)
        return self.post_norm(x.mean(axis=(1, 2))).astype(x.dtype)

    def features(self, pixels: Float[Array, "n h w 3"]) -> Float[Array, "n rows columns width"]:
        """What the last stage sees."""
        stride = self.config.stride
        if pixels.ndim != 4 or pixels.shape[-1] != 3 or min(pixels.shape[1:3]) < stride:
            raise ValueError(f"pixels have shape {pixels.shape}, wanted [n, h, w, 3] of at least {stride}")
        x = self.patches(pixels)
        x = self.patch_norm(x).astype(x.dtype)
        for stage in self.stages:
            x = stage(x)
        return x
