"""Success as a list of measured bounds, and how far a state is from them."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

INF = float("inf")


class Bound(NamedTuple):
    """A measured value that must lie in [low, high]; `slack` is the unit in which a miss is counted.

    What is measured is a body's own: `envs.humanoid.measure.Measures`, or the few coordinates of a cart.
    """

    name: str
    value: Callable[[Any], Array]
    low: float
    high: float
    slack: float


def outside(bounds: tuple[Bound, ...], measures: Any) -> Float[Array, "bounds"]:
    """How far each value is from its bounds in units of slack, its sides averaged; 0 where it is met."""
    if not bounds:
        return jnp.zeros(0)
    sides = [jnp.ravel(bound.value(measures)) for bound in bounds]
    width = math.lcm(*(value.size for value in sides))
    values = jnp.stack([jnp.tile(value, width // value.size) for value in sides])
    low, high, slack = np.array([bound[2:] for bound in bounds], values.dtype).T[..., None]
    return (jnp.maximum(low - values, 0) + jnp.maximum(values - high, 0)).mean(1) / slack[:, 0]


def holds(
    bounds: tuple[Bound, ...], measures: Any, chosen: Bool[Array, "bounds"] | None = None
) -> Bool[Array, ""]:
    """All bounds are met, on both sides where a value has two; or all that are `chosen`."""
    met = outside(bounds, measures) == 0
    return met.all() if chosen is None else (met | ~chosen).all()


def miss(
    bounds: tuple[Bound, ...], measures: Any, chosen: Bool[Array, "bounds"] | None = None
) -> Float[Array, ""]:
    """Sum over the bounds, or those that are `chosen`, of the distance to them in units of slack; 0 where all
    hold."""
    distance = outside(bounds, measures)
    return (distance if chosen is None else jnp.where(chosen, distance, 0)).sum()


def degree(
    bounds: tuple[Bound, ...], measures: Any, chosen: Bool[Array, "bounds"] | None = None
) -> Float[Array, ""]:
    """exp(-miss): 1 where all bounds hold, and a slope everywhere else, so that no valley blocks the way."""
    return jnp.exp(-miss(bounds, measures, chosen))
