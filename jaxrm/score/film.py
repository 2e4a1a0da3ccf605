"""The few frames that are shown under the curves, picked from a film of unknown length."""

from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from jaxrm.score.frames import Frame

KEPT, SIDE = 96, 256  # thumbnails, and their longer edge in pixels: 19 MB at most


class Thumbnail(NamedTuple):
    """A shrunk frame and the number of its row in the table."""

    row: int
    pixels: UInt8[np.ndarray, "height width 3"]


class Film:
    """Keeps every n-th frame, with n doubled whenever there are too many: evenly spread at any length."""

    def __init__(self, kept: int = KEPT, side: int = SIDE):
        self.thumbnails: list[Thumbnail] = []
        self._kept, self._side = kept, side
        self._stride, self._seen = 1, 0

    def look(self, frame: Frame) -> None:
        """Takes the next frame into account."""
        if self._seen % self._stride == 0:
            self.thumbnails.append(Thumbnail(self._seen, shrink(frame.pixels, self._side)))
            if len(self.thumbnails) > self._kept:
                self.thumbnails = self.thumbnails[::2]
                self._stride *= 2
        self._seen += 1


def shrink(pixels: UInt8[np.ndarray, "h w 3"], side: int) -> UInt8[np.ndarray, "height width 3"]:
    """The longer edge becomes `side` pixels; a smaller picture stays as it is. Always a copy."""
    image = Image.fromarray(pixels)
    image.thumbnail((side, side))
    return np.array(image)
