"""Controls: what a score of a trajectory says where it should say nothing.

A published value-order correlation of .95 stays at .98 where the video is replaced by its first frame
repeated: it measures the length of the clip. So a score stands beside its controls.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

Trajectory = Any  # frames [time, h, w, 3], embeddings [time, d], or anything indexed by time
Score = Callable[[Trajectory], Any]

TRUE = "as it is"
WRONG = "wrong instruction"


def perturbations(trajectory: Trajectory, *, seed: int) -> dict[str, Trajectory]:
    """The trajectory as it is, its first frame repeated, reversed, and shuffled.

    Args:
      trajectory: an array [time, ...].
      seed: of the shuffle, which never is the order as it was.

    Raises:
      ValueError: fewer than two frames: nothing can be changed.
    """
    shape = np.shape(trajectory)
    if not shape or shape[0] < 2:
        raise ValueError(f"trajectory has shape {shape}; wanted [time, ...] with at least two frames")
    return {name: trajectory[order] for name, order in _orders(shape[0], seed).items()}


def _orders(time: int, seed: int) -> dict[str, Int[np.ndarray, "time"]]:
    forward = np.arange(time)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(time)
    while (shuffled == forward).all():
        shuffled = rng.permutation(time)
    return {
        TRUE: forward,
        "first frame repeated": np.zeros(time, int),
        "reversed": forward[::-1].copy(),
        "shuffled": shuffled,
    }


def score_with_controls(
    score: Score, trajectory: Trajectory, *, seed: int, wrong: Mapping[str, Score] | None = None
) -> dict[str, float]:
    """A score of a trajectory, and of what it should tell from it.

    Args:
      score: trajectory -> number, such as `lambda frames: value_order_correlation(reward(frames))`.
      trajectory: an array [time, ...].
      seed: of the shuffle.
      wrong: the same score for instructions that the trajectory does not carry out, by name.

    Returns:
      A row each, the true score first.

    Raises:
      ValueError: fewer than two frames, or a score that is not one number.
    """
    rows = {name: _number(score(x)) for name, x in perturbations(trajectory, seed=seed).items()}
    for name, other in (wrong or {}).items():
        rows[f"{WRONG}: {name}"] = _number(other(trajectory))
    return rows


def _number(value: Any) -> float:
    if np.size(value) != 1:
        raise ValueError(f"the score has shape {np.shape(value)}; wanted one number a trajectory")
    return float(np.asarray(value).reshape(()))


def controls_table(rows: Mapping[str, float] | Sequence[Mapping[str, float]]) -> str:
    """A Markdown table: mean score a row, and how far below the true score it is.

    Args:
      rows: what `score_with_controls` gave, for one trajectory or for several. Undefined scores are left
        out of the means and counted.

    Raises:
      ValueError: nothing to show, or trajectories with other rows than the first.
    """
    several = [rows] if isinstance(rows, Mapping) else list(rows)
    if not several or any(list(one) != list(several[0]) for one in several):
        raise ValueError("wanted the rows of at least one trajectory, the same ones of each")
    lines = ["| trajectory | score | below the true one | undefined |", "|---|---|---|---|"]
    truth = np.array([one[TRUE] for one in several])
    for name in several[0]:
        values = np.array([one[name] for one in several])
        gap = "" if name == TRUE else _mean(truth - values)
        lines.append(f"| {name} | {_mean(values)} | {gap} | {np.isnan(values).sum()} of {len(values)} |")
    return "\n".join(lines)


def _mean(values: np.ndarray) -> str:
    defined = values[~np.isnan(values)]
    return f"{defined.mean():.3f}" if defined.size else "nan"
