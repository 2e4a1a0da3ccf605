"""A path -> its frames, by what kind of thing lies there."""

from pathlib import Path

from jaxrm.score.films import VIDEOS, open_image, open_video
from jaxrm.score.frames import Source
from jaxrm.score.stills import STILLS, open_folder

IMAGES = tuple(sorted((*STILLS, ".apng", ".gif")))


def open_source(path: Path) -> Source:
    """An image, a folder of images, a GIF or a video.

    Raises:
      FileNotFoundError: there is nothing at that path.
      ValueError: an unknown kind of file, a broken one, or a folder without images.
    """
    if path.is_dir():
        return open_folder(path)
    if not path.exists():
        raise FileNotFoundError(f"no file or folder {str(path)!r}")
    if not path.is_file():
        raise ValueError(f"{str(path)!r} is neither a file nor a folder")
    with path.open("rb"):  # a lack of permission, in the system's own words
        pass
    kind = path.suffix.lower()
    if kind not in IMAGES + VIDEOS:
        raise ValueError(
            f"{str(path)!r} ends with {kind or 'nothing'}; known are images ({', '.join(IMAGES)}), "
            f"videos ({', '.join(VIDEOS)}) and folders of images"
        )
    if path.stat().st_size == 0:
        raise ValueError(f"{str(path)!r} is empty")
    return open_video(path) if kind in VIDEOS else open_image(path)
