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
      width: how many of a head's numbers turn, the first ones; where that is odd, one more, since they turn
        in pairs, but as fast as the odd `width` says: so transformers does it.
      theta: base of the frequencies.
      kind: "default"; "linear": all frequencies divided by `factor`; "llama3" (Llama 3.1's, Grattafiori et
        al. 2024, arXiv 2407.21783) and "yarn" (Peng et al. 2023, arXiv 2309.00071): only the slow ones,
        blended in between, by the number of their turns or by the number of their pair.
      factor: how much longer the context became.
      low, high: llama3, yarn: waves longer than `original / low` tokens are slowed, those shorter than
        `original / high` are left.
      original: llama3, yarn: context before it was stretched, in tokens.
      truncate: yarn: the blend begins and ends with a whole pair.
      attention: yarn: what queries and keys that turn are multiplied by.
    """

    width: int
    theta: float = 10_000.0
    kind: Literal["default", "linear", "llama3", "yarn"] = "default"
    factor: float = 1.0
    low: float = 1.0
    high: float = 4.0
    original: int = 8192
    truncate: bool = True
    attention: float = 1.0

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"{self.width} numbers of a head cannot turn in pairs")

    @property
    def pairs(self) -> int:
        """How many pairs turn; of an odd width the last takes one number more."""
        return -(-self.width // 2)

    def frequencies(self) -> np.ndarray:
        """Radians a token, float64 [pairs]."""
        frequencies = self.theta ** -(np.arange(0, self.width, 2) / self.width)
        if self.kind == "linear":
            return frequencies / self.factor
        if self.kind == "default":
            return frequencies
        kept = self._turns_kept(frequencies) if self.kind == "llama3" else self._pairs_kept()
        return frequencies * (kept + (1 - kept) / self.factor)

    def _turns_kept(self, frequencies: np.ndarray) -> np.ndarray:
        """How much of each frequency is left as it was, from 0 to 1: Llama 3.1's rule."""
        turns_in_original = self.original * frequencies / (2 * math.pi)
        return np.clip((turns_in_original - self.low) / (self.high - self.low), 0, 1)

    def _pairs_kept(self) -> np.ndarray:
        """The same by YaRN's rule, as transformers has it, its rounding and limits included."""

        def pair(turns: float) -> float:
            """Which pair turns that often within the original context."""
            return self.width * math.log(self.original / (turns * 2 * math.pi)) / (2 * math.log(self.theta))

        first, last = pair(self.high), pair(self.low)
        if self.truncate:
            first, last = math.floor(first), math.ceil(last)
        first, last = max(first, 0), min(last, self.width - 1)
        length = last - first or 0.001
        return 1 - np.clip((np.arange(self.pairs) - first) / length, 0, 1)


class Turn(NamedTuple):
    """Cosine and sine of each token's and pair's angle, times `Rope.attention`: [*batch, pairs] each."""

    cosine: jax.Array
    sine: jax.Array


def turn_at(rope: Rope, positions: Int[Array, "*batch"], dtype: str) -> Turn:
    """The angles of tokens at these positions, in float32 at least."""
    wide = norm_dtype(dtype)
    angles = positions[..., None].astype(wide) * jnp.asarray(rope.frequencies(), wide)
    return Turn(jnp.cos(angles) * rope.attention, jnp.sin(angles) * rope.attention)


def rotate(x: Float[Array, "n tokens *heads head"], turn: Turn) -> Float[Array, "n tokens *heads head"]:
    """Turn pairs (i, i + pairs) of each head; the numbers behind them stay.

    Raises:
      ValueError: a head has fewer numbers than turn.
    """
    if (turning := 2 * turn.cosine.shape[-1]) > x.shape[-1]:
        raise ValueError(f"heads of {x.shape[-1]} numbers cannot turn {turning} of them")
    ones = x.ndim - turn.cosine.ndim
    cosine, sine = (jnp.expand_dims(a, range(a.ndim - 1, a.ndim - 1 + ones)) for a in turn)
    half = cosine.shape[-1]
    first, second, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    turned = (first * cosine - second * sine, second * cosine + first * sine)
    return jnp.concatenate([*(part.astype(x.dtype) for part in turned), rest], axis=-1)
