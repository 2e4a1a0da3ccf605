"""Vectors as three separate arrays.

Pixels are the last axis of every array in the inner loops. A trailing axis of length 3 would
leave most lanes of a SIMD unit idle: it cost 6 to 16 times the run time on a CPU when measured.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Int

T = TypeVar("T")


class Vec(NamedTuple):
    """x, y and z, of shapes that broadcast against each other."""

    x: Array
    y: Array
    z: Array

    @classmethod
    def of(cls, rows: Array) -> "Vec":
        """[..., 3] -> three arrays [...]."""
        return cls(rows[..., 0], rows[..., 1], rows[..., 2])

    def map(self, f: Callable[[Array], Array]) -> "Vec":
        return Vec(f(self.x), f(self.y), f(self.z))

    def plus(self, other: "Vec") -> "Vec":
        return Vec(self.x + other.x, self.y + other.y, self.z + other.z)

    def minus(self, other: "Vec") -> "Vec":
        return Vec(self.x - other.x, self.y - other.y, self.z - other.z)

    def times(self, factor: Array | float) -> "Vec":
        return Vec(self.x * factor, self.y * factor, self.z * factor)

    def scaled(self, other: "Vec") -> "Vec":
        return Vec(self.x * other.x, self.y * other.y, self.z * other.z)

    def dot(self, other: "Vec") -> Array:
        return self.x * other.x + self.y * other.y + self.z * other.z

    def cross(self, other: "Vec") -> "Vec":
        return Vec(
            self.y * other.z - self.z * other.y,
            self.z * other.x - self.x * other.z,
            self.x * other.y - self.y * other.x,
        )

    def unit(self) -> "Vec":
        # the root of a clamped square: a zero vector stays zero and has a finite gradient;
        # 1 / sqrt, for XLA's rsqrt takes four times as long on a CPU
        return self.times(1.0 / jnp.sqrt(jnp.maximum(self.dot(self), 1e-20)))


def look_up(table: Array, index: Int[Array, "*any"]) -> Array:
    """Rows of a table; the numbers must be right.

    A flat table, as a gather with batch dimensions takes twice as long on a CPU, and without the care for
    negative and wild numbers that takes most of the operations of an ordinary index.
    """
    return table.at[index].get(mode="promise_in_bounds", wrap_negative_indices=False)


def once(tree: T) -> T:
    """Has a value computed once that is used many times.

    XLA's CPU compiler would rather compute it again for every use, such as each colour channel; on other
    devices that is the better trade.
    """
    return _barrier(tree) if jax.default_backend() == "cpu" else tree


@jax.custom_jvp
def _barrier(tree: Any) -> Any:
    return jax.lax.optimization_barrier(tree)


@_barrier.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    # slopes pass: JAX 0.12 cannot transpose a barrier of which only some parts have one
    return _barrier(*primals), tangents[0]
