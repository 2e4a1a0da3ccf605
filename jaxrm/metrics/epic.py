"""Distance of two rewards that no potential and no scale changes (Gleave et al. 2020, arXiv 2006.13900)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jaxrm.metrics.inputs import numbers, paired

_SUM_TOLERANCE = 1e-6  # of probabilities that come as float32


def pearson(a: ArrayLike, b: ArrayLike) -> float:
    """Pearson correlation of two arrays of one shape; nan where either is constant.

    Raises:
      ValueError: they differ in shape, or are not all finite.
    """
    first, second = paired(a, b, finite=True)
    if _is_constant(first) or _is_constant(second):
        return float("nan")
    first, second = _centred(first), _centred(second)
    correlation = first @ second / np.sqrt((first @ first) * (second @ second))
    return float(np.clip(correlation, -1.0, 1.0))


def epic_distance(a: ArrayLike, b: ArrayLike) -> float:
    """sqrt((1 - pearson) / 2) of two rewards on the same states or transitions: 0 alike, 1 opposite.

    For rewards of the state alone, as VLM-RM's (arXiv 2310.12921, where it is written
    sqrt(1 - pearson) / sqrt(2)), canonical shaping subtracts a constant, which the correlation does not
    see: give the rewards as they are. Rewards of transitions go through `canonical_shaping` first.

    Args:
      a, b: rewards, any one shape; states drawn from the distribution that the distance is about.

    Returns:
      nan where either is constant.

    Raises:
      ValueError: they differ in shape, or are not all finite.
    """
    first, second = paired(a, b, finite=True)
    if _is_constant(first) or _is_constant(second):
        return float("nan")
    first, second = _centred(first), _centred(second)
    # of unit vectors u, v: (1 - u.v) / 2 = |u - v|^2 / 4, which loses no digits where the rewards are alike
    apart = first / np.linalg.norm(first) - second / np.linalg.norm(second)
    return float(min(np.linalg.norm(apart) / 2, 1.0))


def canonical_shaping(
    rewards: ArrayLike,
    gamma: float,
    state_probabilities: ArrayLike | None = None,
    action_probabilities: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """The canonically shaped reward of a finite problem (definition 4.1 of the paper).

    C(R)(s, a, s') = R(s, a, s') + E[gamma R(s', A, S') - R(s, A, S') - gamma R(S, A, S')], with S and S'
    drawn from one distribution of states and A from one of actions, all independent.

    Args:
      rewards: [states, actions, states].
      gamma: discount, 0 to 1.
      state_probabilities: [states]; uniform by default.
      action_probabilities: [actions]; uniform by default.

    Raises:
      ValueError: another shape, a gamma outside [0, 1], or probabilities that are none.
    """
    table = numbers(rewards, "rewards", finite=True)
    if table.ndim != 3 or table.shape[0] != table.shape[2]:
        raise ValueError(f"rewards has shape {table.shape}; wanted [states, actions, states]")
    if not 0 <= gamma <= 1:
        raise ValueError(f"gamma is {gamma}; it must lie in 0 to 1")
    states = _probabilities(state_probabilities, table.shape[0], "state_probabilities")
    actions = _probabilities(action_probabilities, table.shape[1], "action_probabilities")
    leaving = np.einsum("sat,a,t->s", table, actions, states)  # mean reward of going on from each state
    return table + gamma * leaving - leaving[:, None, None] - gamma * (states @ leaving)


def _probabilities(values: ArrayLike | None, size: int, name: str) -> NDArray[np.float64]:
    if values is None:
        return np.full(size, 1.0 / size)
    given = numbers(values, name, finite=True)
    if given.shape != (size,):
        raise ValueError(f"{name} has shape {given.shape}; wanted [{size}]")
    if (given < 0).any() or abs(given.sum() - 1) > _SUM_TOLERANCE:
        raise ValueError(f"{name} must be at least 0 and sum to 1, not to {given.sum():g}")
    return given


def _is_constant(values: NDArray[np.float64]) -> bool:
    """By exact comparison: the mean of equal numbers may round to another one."""
    return values.size < 2 or values.min() == values.max()


def _centred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without their mean; scaled, so that squares of very large or small rewards stay in range."""
    scaled = values / np.abs(values).max()
    return scaled - scaled.mean()
