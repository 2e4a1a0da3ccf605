"""What passes from a file to the scorer: one frame at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8


class Frame(NamedTuple):
    """One picture.

    Attributes:
      file: name of the file that it comes from.
      index: its number in that file, from 0.
      time: seconds from the first frame; None where a file has no time.
      pixels: uint8 [height, width, 3].
    """

    file: str
    index: int
    time: float | None
    pixels: UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class Source:
    """An open file or folder. `frames` can be gone through once and holds one frame at a time.

    Attributes:
      frames: raises ValueError where a file is broken, after the frames before it.
      count: how many there will be, where that is known; an estimate for videos.
      timed: whether frames have a time.
      notes: what a user should know before the scores are read.
    """

    frames: Iterator[Frame]
    count: int | None
    timed: bool
    notes: tuple[str, ...] = ()
