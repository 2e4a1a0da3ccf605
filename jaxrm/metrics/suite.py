"""Does a score of trajectories fall when the trajectory or the instruction is spoiled? Each with its chance
level, and beside what a single frame knows already.

A published value-order correlation of .98 was reached on the first frame repeated, so no figure here stands
without that control.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from jaxrm.metrics.bootstrap import Statistic, bootstrap_interval
from jaxrm.metrics.inputs import numbers
from jaxrm.metrics.rank import roc_auc

CHANCE = 0.5  # of pairs in the right order, and of the area under the ROC curve
Interval = tuple[float, float]


class PerturbationRow(NamedTuple):
    """How a score tells what is right from one kind of perturbation.

    Attributes:
      name: of the perturbation.
      pairs: how many; figures are nan without any.
      gap: mean of the right score less the spoiled one's, and its interval.
      accuracy: share of pairs, each a trajectory and its own perturbation, whose right one stands higher; a
        tie counts half. With its interval.
      auc: area under the ROC curve over all right and all spoiled ones, and its interval.
      static_accuracy, static_auc, static_gap: the same where every trajectory is one frame repeated; nan
        where not given.
    """

    name: str
    pairs: int
    gap: float
    gap_interval: Interval
    accuracy: float
    accuracy_interval: Interval
    auc: float
    auc_interval: Interval
    static_accuracy: float
    static_auc: float
    static_gap: float = float("nan")


class Scores(NamedTuple):
    """Scores of right pairs of trajectory and instruction, and of the same ones spoiled.

    Attributes:
      right: [n].
      spoiled: by kind of perturbation, [n].
    """

    right: ArrayLike
    spoiled: Mapping[str, ArrayLike]


def perturbation_rows(
    scores: Scores,
    *,
    seed: int,
    wrong: Mapping[str, ArrayLike] | None = None,
    static: Scores | None = None,
    resamples: int = 1000,
) -> list[PerturbationRow]:
    """A row for each kind of perturbation.

    Args:
      scores: of the reward.
      seed: of the bootstrap, over trajectories.
      wrong: by kind, bool [n]: where the perturbation truly spoils, as an oracle says; others are left out.
        None, or a kind that is missing: everywhere.
      static: the same scores where each trajectory, spoiled or not, shows one frame only.
      resamples: of the bootstrap.

    Raises:
      ValueError: shapes that do not fit, NaN, or a kind without its control.
    """
    right = numbers(scores.right, "right")
    if static is not None and set(scores.spoiled) - set(static.spoiled):
        missing = sorted(set(scores.spoiled) - set(static.spoiled))
        raise ValueError(f"the static control lacks {', '.join(missing)}")
    rows = []
    for name, values in scores.spoiled.items():
        chosen = np.asarray((wrong or {}).get(name, np.ones(right.shape)), bool)
        worse = numbers(values, name)
        if not right.ndim == 1 or not worse.shape == chosen.shape == right.shape:
            raise ValueError(
                f"{name}: right scores have shape {right.shape}, spoiled ones {worse.shape} and the choice "
                f"{chosen.shape}; wanted [n] of one n"
            )
        control = _control(static, name, chosen)
        rows.append(_row(name, right[chosen], worse[chosen], control, seed, resamples))
    return rows


def _control(
    static: Scores | None, name: str, chosen: Bool[np.ndarray, "n"]
) -> tuple[Float[np.ndarray, "m"], Float[np.ndarray, "m"]] | None:
    if static is None:
        return None
    right, worse = numbers(static.right, "static right"), numbers(static.spoiled[name], f"static {name}")
    if not right.shape == worse.shape == chosen.shape:
        raise ValueError(
            f"{name}: the control has shapes {right.shape} and {worse.shape}, not {chosen.shape}"
        )
    return right[chosen], worse[chosen]


def _row(
    name: str, right: np.ndarray, worse: np.ndarray, control: tuple | None, seed: int, resamples: int
) -> PerturbationRow:
    nan = float("nan")
    if not right.size:
        return PerturbationRow(name, 0, nan, (nan, nan), nan, (nan, nan), nan, (nan, nan), nan, nan)

    def interval(*samples: np.ndarray, statistic: Statistic = np.mean) -> Interval:
        return bootstrap_interval(*samples, seed=seed, statistic=statistic, resamples=resamples)

    gaps, ordered = right - worse, _ordered(right, worse)
    return PerturbationRow(
        name,
        right.size,
        float(gaps.mean()),
        interval(gaps),
        float(ordered.mean()),
        interval(ordered),
        _auc(right, worse),
        interval(right, worse, statistic=_auc),
        float(_ordered(*control).mean()) if control else nan,
        _auc(*control) if control else nan,
        float((control[0] - control[1]).mean()) if control else nan,
    )


def _ordered(right: np.ndarray, worse: np.ndarray) -> np.ndarray:
    return (right > worse) + 0.5 * (right == worse)


def _auc(right: np.ndarray, worse: np.ndarray) -> float:
    labels = np.concatenate([np.ones(right.size), np.zeros(worse.size)])
    return roc_auc(np.concatenate([right, worse]), labels)


def perturbation_table(protocols: Mapping[str, list[PerturbationRow]]) -> str:
    """A Markdown table, protocol by perturbation; intervals are of 95%, chance stands in the head.

    Raises:
      ValueError: no protocols.
    """
    if not protocols:
        raise ValueError("wanted the rows of at least one protocol")
    lines = [
        "| protocol | perturbation | pairs | mean gap (chance 0) | one frame only | "
        "right in pairs (chance .50) | one frame only | AUC (chance .50) | one frame only |",
        "|" + "---|" * 9,
    ]
    for protocol, rows in protocols.items():
        for row in rows:
            cells = [
                protocol,
                row.name,
                str(row.pairs),
                _figure(row.gap, row.gap_interval),
                f"{row.static_gap:.3f}",
                _figure(row.accuracy, row.accuracy_interval),
                f"{row.static_accuracy:.3f}",
                _figure(row.auc, row.auc_interval),
                f"{row.static_auc:.3f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _figure(value: float, interval: Interval) -> str:
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"
