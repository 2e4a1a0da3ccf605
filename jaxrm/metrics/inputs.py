"""What metrics take: numbers without NaN, in shapes that fit."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def numbers(values: ArrayLike, name: str, *, finite: bool = False) -> NDArray[np.float64]:
    """As float64, in their own shape.

    Raises:
      ValueError: NaN among them or, with `finite`, infinities; the message counts them.
    """
    array = np.asarray(values, np.float64)
    bad = ~np.isfinite(array) if finite else np.isnan(array)
    if bad.any():
        kind = "not finite" if finite else "NaN"
        raise ValueError(f"{bad.sum()} of the {array.size} values of {name} are {kind}: leave them out first")
    return array


def paired(
    a: ArrayLike, b: ArrayLike, names: tuple[str, str] = ("a", "b"), *, finite: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two arrays of one shape, flat.

    Raises:
      ValueError: they differ in shape, or `numbers` refuses one.
    """
    first, second = numbers(a, names[0], finite=finite), numbers(b, names[1], finite=finite)
    if first.shape != second.shape:
        raise ValueError(
            f"{names[0]} has {first.size} values and {names[1]} has {second.size} "
            f"(shapes {first.shape} and {second.shape}); wanted one shape"
        )
    return first.ravel(), second.ravel()


def scored(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores and their truth, flat.

    Raises:
      ValueError: they differ in shape, NaN among them, or labels other than true, false, 0 and 1.
    """
    flat, truth = paired(scores, labels, ("scores", "labels"))
    if not np.isin(truth, (0, 1)).all():
        raise ValueError("labels must be true or false (or 1 and 0)")
    return flat, truth.astype(bool)
