"""The table of scores: a CSV that grows as frames are scored, so that what is stopped is not lost."""

import csv
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import Float

from jaxrm.score.frames import Frame

COLUMNS = ("file", "frame", "time")  # time in seconds; empty where a file has none


class ScoreTable:
    """One row a frame, one column a prompt; on disk after each `append`. Use as a context manager."""

    def __init__(self, path: Path, prompts: Sequence[str]):
        self.rows = 0
        self._file = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        self._writer.writerow((*COLUMNS, *prompts))
        self._file.flush()

    def append(self, frames: Sequence[Frame], rewards: Float[np.ndarray, "n prompts"]) -> None:
        """Nine digits give back the same float32."""
        for frame, values in zip(frames, rewards, strict=True):
            time = "" if frame.time is None else round(frame.time, 6)
            self._writer.writerow((frame.file, frame.index, time, *(f"{value:.9g}" for value in values)))
        self._file.flush()
        self.rows += len(frames)

    def __enter__(self) -> "ScoreTable":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
