"""Convolutions with the channels last."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxrm.models.layers import matmul, norm_dtype
from jaxrm.models.rows import in_blocks
from jaxrm.models.winograd import winograd

_LEAST_CHANNELS = 32  # fewer make products too thin for Winograd's sums to pay


def conv(
    x: Float[Array, "n h w c"], kernel: Float[Array, "kh kw i o"], *, stride: int = 1, groups: int = 1
) -> Float[Array, "n h2 w2 o"]:
    """A convolution padded by (size - 1) / 2 on each side, as torch's ResNets and ConvNeXt have it.

    The result has the dtype of `x`; a kernel of a wider one is rounded as late as possible.
    """
    size = kernel.shape[0]
    if size == 1 and stride == 1 and groups == 1:
        return matmul(x, kernel[0, 0])

    def plain(x: jax.Array, kernel: jax.Array) -> jax.Array:
        pad = (size - 1) // 2
        return jax.lax.conv_general_dilated(
            x,
            kernel.astype(x.dtype),
            window_strides=(stride, stride),
            padding=((pad, pad), (pad, pad)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        )

    if size == 3 and stride == 1 and groups == 1 and x.shape[-1] >= _LEAST_CHANNELS and x.size:
        return jax.lax.platform_dependent(x, kernel, cpu=winograd, default=plain)  # cuDNN chooses by itself
    return plain(x, kernel)


def image_by_image(
    layers: Callable[[jax.Array], jax.Array], x: Float[Array, "n h w i"]
) -> Float[Array, "n h2 w2 o"]:
    """Layers on one image after the other where that keeps large feature maps in the cache: on CPUs."""
    if jax.default_backend() != "cpu":
        return layers(x)
    return in_blocks(layers, x, 1)


def mean_pool(x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 c"]:
    """Means over squares of 2 x 2; an odd last row or column falls away, as in torch."""
    rows, columns = x.shape[1] // 2, x.shape[2] // 2
    wide = x[:, : 2 * rows, : 2 * columns].astype(norm_dtype(x.dtype))
    # four slices summed: XLA's reduction over the squares took a seventh of RN50's time on CPUs
    total = wide[:, ::2, ::2] + wide[:, 1::2, ::2] + wide[:, ::2, 1::2] + wide[:, 1::2, 1::2]
    return (total / 4).astype(x.dtype)


class FrozenBatchNorm(nnx.Module):
    """Batch norm at rest: an affine map from the running statistics, which get no gradient."""

    def __init__(self, width: int, dtype: str, eps: float = 1e-5):
        self.dtype, self.eps = dtype, eps
        self.scale = nnx.Param(jnp.ones(width, jnp.float32))
        self.bias = nnx.Param(jnp.zeros(width, jnp.float32))
        self.mean = nnx.Param(jnp.zeros(width, jnp.float32))
        self.variance = nnx.Param(jnp.ones(width, jnp.float32))

    def affine(self) -> tuple[jax.Array, jax.Array]:
        """(a, b) of the map a x + b, in float32 at least."""
        wide = jnp.promote_types(self.dtype, jnp.float32)
        mean, variance = (jax.lax.stop_gradient(x[...].astype(wide)) for x in (self.mean, self.variance))
        a = self.scale[...].astype(wide) * jax.lax.rsqrt(variance + self.eps)
        return a, self.bias[...].astype(wide) - mean * a


class ConvNorm(nnx.Module):
    """A convolution without bias and its batch norm. The kernel is [height, width, in, out]."""

    def __init__(self, inputs: int, outputs: int, size: int, dtype: str, *, stride: int = 1, rngs: nnx.Rngs):
        self.stride, self.dtype = stride, dtype
        shape, fan_in = (size, size, inputs, outputs), size**2 * inputs
        self.kernel = nnx.Param((2 / fan_in) ** 0.5 * jax.random.normal(rngs(), shape, jnp.float32))
        self.norm = FrozenBatchNorm(outputs, dtype)

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h2 w2 o"]:
        a, b = self.norm.affine()
        # The scale goes into the kernel, which is far smaller than the pixels, before it is rounded.
        return conv(x, self.kernel[...] * a, stride=self.stride) + b.astype(x.dtype)
