"""Moving pictures: GIFs and their like by Pillow, videos by ffmpeg; one frame in memory at a time."""

import logging
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
from PIL import Image

from jaxrm.score.frames import Frame, Source
from jaxrm.score.stills import opened, to_pixels

VIDEOS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
# Words of the lines of ffmpeg's log that say most, those that say more first.
_TELLING = ("does not contain any stream", "not found", "denied", "Invalid", "rror")
UNTIMED_SECONDS = 0.1  # what browsers show a GIF's frame for that has no duration


def open_image(path: Path) -> Source:
    """A picture, or a GIF, APNG or WebP that moves; times are sums of the durations in the file.

    Raises:
      ValueError: not an image.
    """
    with opened(path) as image:
        count = getattr(image, "n_frames", 1)
        # A TIFF's pages are no film, yet all of them are looked at.
        timed = bool(getattr(image, "is_animated", False)) and image.format != "TIFF"
    return Source(_read_image(path, count, timed), count, timed)


def _read_image(path: Path, count: int, timed: bool) -> Iterator[Frame]:
    with opened(path) as image:
        seconds = 0.0
        for index in range(count):
            yield Frame(path.name, index, seconds if timed else None, _seek(image, index, path))
            seconds += (image.info.get("duration") or 0) / 1000 or UNTIMED_SECONDS


def _seek(image: Image.Image, index: int, path: Path) -> np.ndarray:
    try:
        image.seek(index)
        return to_pixels(image, path)
    except Exception as error:
        raise ValueError(f"{path} is broken at frame {index}: {error or type(error).__name__}") from error


def open_video(path: Path) -> Source:
    """A video at a constant rate, its mean one; a frame's time is its number by that rate.

    Where frames come at uneven times, as from phones and screen recorders, ffmpeg repeats and drops some.

    Raises:
      ValueError: ffmpeg finds no video in it.
    """
    # It warns of videos that were filmed upright, which ffmpeg turns as it should.
    logging.getLogger("imageio_ffmpeg").setLevel(logging.ERROR)
    try:
        stream, meta = _start(path)
        stream.close()
        rate, seconds = _exact(float(meta.get("fps") or 0)), float(meta.get("duration") or 0)
        if rate <= 0:
            raise ValueError(f"{path} has no video frames: ffmpeg finds no frame rate")
        # Left to itself ffmpeg takes a rate that is not the one it reports, where that is uneven.
        stream, meta = _start(path, "-r", str(rate))
    except (OSError, RuntimeError, StopIteration) as error:
        raise ValueError(f"{path} is not a video that can be read: {_reason(error)}") from error
    count = round(rate * Fraction(seconds)) or None
    return Source(_read_video(path, stream, meta["size"], float(rate)), count, timed=True)


def _start(path: Path, *parameters: str) -> tuple[Any, dict[str, Any]]:
    """ffmpeg's stream of frames and what it says of the video."""
    stream: Any = imageio_ffmpeg.read_frames(str(path.resolve()), output_params=list(parameters))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="os.fork", category=RuntimeWarning)  # it execs at once
        return stream, next(stream)


def _exact(rate: float) -> Fraction:
    """ffmpeg prints two digits: 29.97 stands for 30000/1001."""
    broadcast = Fraction(round(rate * 1.001) * 1000, 1001)
    return broadcast if rate % 1 and abs(broadcast - Fraction(rate)) < 0.01 else Fraction(f"{rate:.2f}")


def _read_video(path: Path, stream: Any, size: tuple[int, int], rate: float) -> Iterator[Frame]:
    width, height = size
    index = 0
    try:
        for content in stream:
            pixels = np.frombuffer(content, np.uint8).reshape(height, width, 3)
            yield Frame(path.name, index, index / rate, pixels)
            index += 1
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{path} is broken at frame {index}: {_reason(error)}") from error
    finally:
        stream.close()  # ends ffmpeg, also where the reader stops early


def _reason(error: BaseException) -> str:
    """The line of ffmpeg's log that says what is wrong, without its addresses."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = (line for word in _TELLING for line in lines if word in line)
    return next(telling, (lines or [type(error).__name__])[0]).split("] ", 1)[-1]
