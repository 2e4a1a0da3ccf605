"""Rotary position embeddings (Su et al. 2021, arXiv 2104.09864), with the scalings of published decoders."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxrm.models.layers import norm_dtype


@dataclass(frozen=True)
class Rope:
    """Which part of a head turns, and how fast.

    Attributes:
      width: how many of a head's numbers turn, the first ones; even.
      theta: base of the frequencies.
      kind: "default"; "linear": all frequencies divided by `factor`; "llama3": only the slow ones, blended
        in between (Llama 3.1's, Grattafiori et al. 2024, arXiv 2407.21783).
      factor: how much longer the context became.
      low, high: llama3: waves longer than `original / low` tokens are slowed, those shorter than
        `original / high` are left.
      original: llama3: context before it was stretched, in tokens.
    """

    width: int
    theta: float = 10_000.0
    kind: Literal["default", "linear", "llama3"] = "default"
    factor: float = 1.0
    low: float = 1.0
    high: float = 4.0
    original: int = 8192

    def __post_init__(self) -> None:
        if self.width % 2 or self.width < 2:
            raise ValueError(f"{self.width} numbers of a head cannot turn in pairs")

    def frequencies(self) -> np.ndarray:
        """Radians a token, float64 [width / 2]."""
        frequencies = self.theta ** -(np.arange(0, self.width, 2) / self.width)
        if self.kind == "linear":
            return frequencies / self.factor
        if self.kind == "llama3":
            waves_in_original = self.original * frequencies / (2 * math.pi)
            kept = np.clip((waves_in_original - self.low) / (self.high - self.low), 0, 1)
            return frequencies * (kept + (1 - kept) / self.factor)
        return frequencies


class Turn(NamedTuple):
    """Cosine and sine of the angle of each token and pair, [*batch, width / 2] each."""

    cosine: jax.Array
    sine: jax.Array


def turn_at(rope: Rope, positions: Int[Array, "*batch"], dtype: str) -> Turn:
    """The angles of tokens at these positions, in float32 at least."""
    wide = norm_dtype(dtype)
    angles = positions[..., None].astype(wide) * jnp.asarray(rope.frequencies(), wide)
    return Turn(jnp.cos(angles), jnp.sin(angles))


def rotate(x: Float[Array, "n tokens *heads head"], turn: Turn) -> Float[Array, "n tokens *heads head"]:
    """Turn pairs (i, i + width / 2) of each head; what lies behind the first `width` numbers stays."""
    ones = x.ndim - turn.cosine.ndim
    cosine, sine = (jnp.expand_dims(a, range(a.ndim - 1, a.ndim - 1 + ones)) for a in turn)
    half = cosine.shape[-1]
    first, second, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    turned = (first * cosine - second * sine, second * cosine + first * sine)
    return jnp.concatenate([*(part.astype(x.dtype) for part in turned), rest], axis=-1)
