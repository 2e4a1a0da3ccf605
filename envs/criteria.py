"""Success as a list of measured bounds, and how far a state is from them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

INF = float("inf")


class Bound(NamedTuple):
    """A measured value that must lie in [low, high]; `slack` is the miss that costs a factor e of truth.

    What is measured is a body's own: `envs.humanoid.measure.Measures`, or the few coordinates of a cart.
    """

    name: str
    value: Callable[[Any], Array]
    low: float
    high: float
    slack: float


def holds(bounds: tuple[Bound, ...], measures: Any) -> Bool[Array, ""]:
    """All bounds are met, on both sides where a value has two."""
    met = [
        jnp.all((bound.value(measures) >= bound.low) & (bound.value(measures) <= bound.high))
        for bound in bounds
    ]
    return jnp.stack(met).all()


def miss(bounds: tuple[Bound, ...], measures: Any) -> Float[Array, ""]:
    """Sum over the bounds of the distance to them in units of slack, sides averaged; 0 where all hold."""

    def outside(bound: Bound) -> Array:
        value = bound.value(measures)
        return jnp.mean(jnp.maximum(bound.low - value, 0) + jnp.maximum(value - bound.high, 0)) / bound.slack

    return sum((outside(bound) for bound in bounds), jnp.zeros(()))


def degree(bounds: tuple[Bound, ...], measures: Any) -> Float[Array, ""]:
    """exp(-miss): 1 where all bounds hold, and a slope everywhere else, so that no valley blocks the way."""
    return jnp.exp(-miss(bounds, measures))
