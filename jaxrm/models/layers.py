"""Small parts that several towers are made of."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

Activation = Callable[[jax.Array], jax.Array]


def quick_gelu(x: jax.Array) -> jax.Array:
    """OpenAI's approximation, x * sigmoid(1.702 x); up to 2e-2 away from the exact GELU."""
    return x * jax.nn.sigmoid(1.702 * x)


_exact_gelu = partial(jax.nn.gelu, approximate=False)
_tanh_gelu = partial(jax.nn.gelu, approximate=True)

# The activation belongs to the checkpoint, not to the architecture; names are Hugging Face's `hidden_act`.
ACTIVATIONS: Mapping[str, Activation] = {
    "quick_gelu": quick_gelu,
    "gelu": _exact_gelu,
    "gelu_python": _exact_gelu,
    "gelu_new": _tanh_gelu,
    "gelu_fast": _tanh_gelu,
    "gelu_pytorch_tanh": _tanh_gelu,
    "gelu_python_tanh": _tanh_gelu,
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "swish": jax.nn.silu,
}


def check_activation(name: str) -> None:
    """Raise a ValueError that lists what is known."""
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise ValueError(f"unknown activation {name!r}; known: {', '.join(sorted(ACTIVATIONS))}")


def check_sizes(**sizes: int) -> None:
    """Raise a ValueError that names the first size that is no whole number of at least 1."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(f"{name} is {size!r}, wanted a whole number of at least 1")


def activate(name: str, x: Float[Array, "..."]) -> Float[Array, "..."]:
    """An activation, in float32 at least: no slower where it is fused, and rounded once."""
    return ACTIVATIONS[name](x.astype(norm_dtype(x.dtype))).astype(x.dtype)


def norm_dtype(dtype: str | np.dtype) -> np.dtype:
    """What norms and softmax are computed in: float32 at least."""
    return jnp.promote_types(dtype, jnp.float32)


def dot_general(a: jax.Array, b: jax.Array, dimensions: Any, *args: Any, **kwargs: Any) -> jax.Array:
    """`jax.lax.dot_general`, summed in float32 at least, rounded to the dtype of `a` once.

    Accelerators sum bfloat16 so anyway. XLA for CPUs would go through float32 products, half as fast as its
    kernel for bfloat16 with float32 results.
    """
    wide = norm_dtype(a.dtype)
    if wide != a.dtype and jax.default_backend() == "cpu":
        kwargs["preferred_element_type"] = wide
    return jax.lax.dot_general(a, b, dimensions, *args, **kwargs).astype(a.dtype)


def matmul(x: Float[Array, "*batch i"], kernel: Float[Array, "i *o"]) -> Float[Array, "..."]:
    """The last axis of `x` with the first of `kernel`, in the dtype of `x`."""
    return dot_general(x, kernel.astype(x.dtype), (((x.ndim - 1,), (0,)), ((), ())))


def linear(
    inputs: int,
    outputs: int | tuple[int, ...],
    std: float,
    dtype: str,
    rngs: nnx.Rngs,
    *,
    bias: bool = True,
) -> nnx.LinearGeneral:
    """x @ kernel + bias, the kernel [inputs, *outputs] drawn from a normal distribution."""
    normal = jax.nn.initializers.normal(std)
    kind = {"kernel_init": normal, "dtype": dtype, "use_bias": bias, "dot_general": dot_general}
    return nnx.LinearGeneral(inputs, outputs, **kind, rngs=rngs)


def layer_norm(width: int, eps: float, dtype: str) -> nnx.LayerNorm:
    """A layer norm over the last axis; its variance is the mean of squared deviations, as torch's."""
    return nnx.LayerNorm(
        width,
        epsilon=eps,
        dtype=norm_dtype(dtype),
        use_fast_variance=False,
        rngs=nnx.Rngs(0),  # draws nothing: scale is one, bias zero
    )


def patchify(x: Float[Array, "n h w c"], patch: int) -> Float[Array, "n rows columns inputs"]:
    """Non-overlapping squares as vectors: a convolution with stride = size is then a matrix product.

    A rest at the right and the lower edge falls away, as in a convolution without padding.
    """
    n, height, width, channels = x.shape
    rows, columns = height // patch, width // patch
    x = x[:, : rows * patch, : columns * patch]
    cut = x.reshape(n, rows, patch, columns, patch, channels).swapaxes(2, 3)
    return cut.reshape(n, rows, columns, patch * patch * channels)


class PatchEmbedding(nnx.Module):
    """Each square of `patch` x `patch` pixels -> a vector: a convolution with stride = size.

    The kernel is [height, width, channel, out], a permutation of torch's.
    """

    def __init__(self, patch: int, channels: int, width: int, *, bias: bool, dtype: str, rngs: nnx.Rngs):
        self.patch, self.dtype = patch, dtype
        bound = (channels * patch**2) ** -0.5
        shape = (patch, patch, channels, width)
        self.kernel = nnx.Param(jax.random.uniform(rngs(), shape, jnp.float32, -bound, bound))
        self.bias = nnx.Param(jnp.zeros(width, jnp.float32)) if bias else None

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n rows columns width"]:
        kernel = self.kernel[...].reshape(-1, self.kernel.shape[-1])
        y = matmul(patchify(x.astype(self.dtype), self.patch), kernel)
        return y if self.bias is None else y + self.bias[...].astype(self.dtype)
