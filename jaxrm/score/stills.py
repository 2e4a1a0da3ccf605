"""Single pictures and folders of them, by Pillow."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from jaxrm.score.frames import Frame, Source

STILLS = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
_DEEP = ("I", "F")  # modes of more than 8 bits a channel: Pillow would clip them to white


def open_folder(path: Path) -> Source:
    """The images of a folder in natural order (frame2 before frame10); folders in it are not entered.

    Raises:
      ValueError: there are none; names what there is instead.
    """
    files = sorted((f for f in path.iterdir() if f.is_file() and not f.name.startswith(".")), key=_natural)
    images = [file for file in files if file.suffix.lower() in STILLS]
    others = [file.name for file in files if file.suffix.lower() not in STILLS]
    if not images:
        raise ValueError(
            f"no images in the folder {str(path)!r}: "
            + (f"it holds {_few(others)}" if others else "it has no files")
            + f"; images end with {', '.join(STILLS)}, and a GIF or a video is named itself"
        )
    notes = (f"skipped, no images: {_few(others)}",) if others else ()
    return Source(_read_all(images), len(images), timed=False, notes=notes)


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(digits or -1), text) for digits, text in re.findall(r"(\d+)|(\D+)", path.name.lower())]


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _read_all(files: list[Path]) -> Iterator[Frame]:
    for file in files:
        with opened(file) as image:
            pixels = to_pixels(image, file)
        yield Frame(file.name, 0, None, pixels)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Pillow's image; whatever Pillow says of a broken file becomes a ValueError that names the file."""
    try:
        with Image.open(path) as image:
            yield image
    except (PermissionError, FileNotFoundError):
        raise
    except Exception as error:  # decoders raise nearly anything over garbled bytes
        said = f"{error or type(error).__name__}"
        if str(path) in said:
            raise ValueError(said) from error
        raise ValueError(f"{path} is not an image that can be read: {said}") from error


def to_pixels(image: Image.Image, path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """RGB as Hugging Face's processors make it (an alpha channel is dropped), turned upright by EXIF.

    Raises:
      ValueError: more than 8 bits a channel.
    """
    if image.mode.split(";")[0] in _DEEP:
        raise ValueError(f"{path} has more than 8 bits a channel (mode {image.mode}): convert it to 8 first")
    return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
