"""A model that frames are drawn from, where the renderer reads it itself."""

import copy
import hashlib

import mujoco
import numpy as np


class Source:
    """A model to draw from, as the static part of a pytree: hashed and compared by content.

    Args:
      mj_model: copied, so later changes do not show.
      groups: geom groups that are drawn.
    """

    def __init__(self, mj_model: mujoco.MjModel, groups: tuple[int, ...] = (0, 1, 2)):
        self.mj_model, self.groups = copy.copy(mj_model), tuple(groups)
        content = np.empty(mujoco.mj_sizeModel(mj_model), np.uint8)
        mujoco.mj_saveModel(self.mj_model, None, content)
        self._key = hashlib.sha256(content.tobytes()).hexdigest(), self.groups

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Source) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)
