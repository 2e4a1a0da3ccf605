"""Convolutions with the channels last."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxrm.models.layers import matmul, norm_dtype

# XLA for CPUs computes a convolution of bfloat16 in float32, where products of bfloat16 are twice as fast.
_LEAST_CHANNELS = 64  # fewer make products too thin to win
_LAID_OUT = 2**21  # bytes of the columns that lie side by side at a time, so that they stay in the cache


def conv(
    x: Float[Array, "n h w c"], kernel: Float[Array, "kh kw i o"], *, stride: int = 1, groups: int = 1
) -> Float[Array, "n h2 w2 o"]:
    """A convolution padded by (size - 1) / 2 on each side, as torch's ResNets and ConvNeXt have it."""
    size = kernel.shape[0]
    if size == 1 and stride == 1 and groups == 1:
        return matmul(x, kernel[0, 0])
    if _products_win(x, groups):
        return _by_products(x, kernel, stride)
    pad = (size - 1) // 2
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=((pad, pad), (pad, pad)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def _products_win(x: jax.Array, groups: int) -> bool:
    narrow = norm_dtype(x.dtype) != x.dtype
    return narrow and groups == 1 and x.shape[-1] >= _LEAST_CHANNELS and jax.default_backend() == "cpu"


def _by_products(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """The same convolution as one matrix product a row of the kernel, a few images at a time.

    Sums are in float32 and rounded once, as where XLA goes through float32.
    """
    rows, columns, channels, outputs = kernel.shape
    wide, kernel = norm_dtype(x.dtype), kernel.reshape(rows, columns * channels, outputs)

    def one(image: jax.Array) -> jax.Array:
        height, width = ((side - 1) // stride * stride + 1 for side in image.shape[:2])
        pads = ((rows - 1) // 2,) * 2, ((columns - 1) // 2,) * 2, (0, 0)
        image = jnp.pad(image, pads)
        shifted = [image[:, at : at + width : stride] for at in range(columns)]
        beside = jnp.concatenate(shifted, axis=-1)
        total = jnp.zeros((), wide)
        for at, weights in enumerate(kernel):
            seen = beside[at : at + height : stride]
            total += jnp.einsum("hwi,io->hwo", seen, weights, preferred_element_type=wide)
        return total.astype(image.dtype)

    image_bytes = math.prod(x.shape[1:]) * columns * x.dtype.itemsize
    return jax.lax.map(one, x, batch_size=max(1, min(len(x), _LAID_OUT // image_bytes)))


def image_by_image(
    layers: Callable[[jax.Array], jax.Array], x: Float[Array, "n h w i"]
) -> Float[Array, "n h2 w2 o"]:
    """Layers on one image after the other where that keeps large feature maps in the cache: on CPUs."""
    if jax.default_backend() != "cpu":
        return layers(x)
    return jax.lax.map(lambda image: layers(image[None])[0], x)


def mean_pool(x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 c"]:
    """Means over squares of 2 x 2; an odd last row or column falls away, as in torch."""
    n, height, width, channels = x.shape
    rows, columns = height // 2, width // 2
    x = x[:, : 2 * rows, : 2 * columns].reshape(n, rows, 2, columns, 2, channels)
    return x.mean(axis=(2, 4))


class FrozenBatchNorm(nnx.Module):
    """Batch norm at rest: an affine map from the running statistics, which get no gradient."""

    def __init__(self, width: int, dtype: str, eps: float = 1e-5):
        self.dtype, self.eps = dtype, eps
        self.scale = nnx.Param(jnp.ones(width, jnp.float32))
        self.bias = nnx.Param(jnp.zeros(width, jnp.float32))
        self.mean = nnx.Param(jnp.zeros(width, jnp.float32))
        self.variance = nnx.Param(jnp.ones(width, jnp.float32))

    def affine(self) -> tuple[jax.Array, jax.Array]:
        """(a, b) of the map a x + b, in the dtype of the computation; made in float32 at least."""
        wide = jnp.promote_types(self.dtype, jnp.float32)
        mean, variance = (jax.lax.stop_gradient(x[...].astype(wide)) for x in (self.mean, self.variance))
        a = self.scale[...].astype(wide) * jax.lax.rsqrt(variance + self.eps)
        return a.astype(self.dtype), (self.bias[...].astype(wide) - mean * a).astype(self.dtype)


class ConvNorm(nnx.Module):
    """A convolution without bias and its batch norm. The kernel is [height, width, in, out]."""

    def __init__(self, inputs: int, outputs: int, size: int, dtype: str, *, stride: int = 1, rngs: nnx.Rngs):
        self.stride, self.dtype = stride, dtype
        shape, fan_in = (size, size, inputs, outputs), size**2 * inputs
        self.kernel = nnx.Param((2 / fan_in) ** 0.5 * jax.random.normal(rngs(), shape, jnp.float32))
        self.norm = FrozenBatchNorm(outputs, dtype)

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h2 w2 o"]:
        a, b = self.norm.affine()
        # The scale goes into the kernel, which is far smaller than the pixels.
        return conv(x, self.kernel[...].astype(self.dtype) * a, stride=self.stride) + b
