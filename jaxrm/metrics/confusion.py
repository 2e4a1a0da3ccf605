"""Does a reward listen to the instruction? Every video scored with every instruction."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from jaxrm.metrics.inputs import numbers


class InstructionConfusion(NamedTuple):
    """Attributes:
    matrix: mean final reward with instruction i of the videos that show instruction j; nan where none does.
    margin: mean of the diagonal minus mean of the rest; nan where a cell is, or with one instruction.
    """

    matrix: Float[np.ndarray, "instructions instructions"]
    margin: float


def instruction_confusion(final_rewards: ArrayLike, shown: ArrayLike) -> InstructionConfusion:
    """The confusion matrix of instructions.

    Args:
      final_rewards: [instructions, videos], the reward of each video's last frame (or of the whole video).
      shown: int [videos], the number of the instruction that each video carries out.

    Raises:
      ValueError: shapes that do not fit, numbers of instructions that there are not, rewards not finite.
    """
    rewards = numbers(final_rewards, "final_rewards", finite=True)
    labels = np.asarray(shown)
    if rewards.ndim != 2 or labels.shape != rewards.shape[1:]:
        raise ValueError(
            f"final_rewards has shape {rewards.shape} and shown {labels.shape}; "
            "wanted [instructions, videos] and [videos]"
        )
    count = rewards.shape[0]
    if not np.issubdtype(labels.dtype, np.integer) or (labels < 0).any() or (labels >= count).any():
        raise ValueError(f"shown must hold whole numbers from 0 to {count - 1}, the rows of final_rewards")
    videos = np.bincount(labels, minlength=count)
    sums = np.stack([np.bincount(labels, weights=row, minlength=count) for row in rewards])
    matrix = np.where(videos > 0, sums / np.maximum(videos, 1), np.nan)
    diagonal = np.eye(count, dtype=bool)
    margin = matrix[diagonal].mean() - matrix[~diagonal].mean() if count > 1 else np.nan
    return InstructionConfusion(matrix, float(margin))
