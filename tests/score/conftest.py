"""Small films and pictures, made here."""

import warnings
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

GOLDEN = Path(__file__).parents[1] / "golden"
MODEL = str(GOLDEN / "clip-quick-gelu")
PROMPTS = ("a humanoid robot kneeling", "a humanoid robot standing")


def moving(count: int, height: int = 20, width: int = 30) -> np.ndarray:
    """uint8 [count, height, width, 3]: a bright square that moves over a slope, each frame another."""
    y, x = np.mgrid[:height, :width]
    frames = np.zeros((count, height, width, 3), np.uint8)
    frames[..., 0], frames[..., 2] = x * 255 // width, y * 255 // height
    for index, frame in enumerate(frames):
        left = (width - 6) * index // max(count - 1, 1)
        frame[4:14, left : left + 6] = 250
    return frames


def write_video(path: Path, frames: np.ndarray, rate: int = 10, repeat: int = 1) -> Path:
    """H.264 at full colour resolution, odd sizes kept, the header in front."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="os.fork", category=RuntimeWarning)
        writer = imageio_ffmpeg.write_frames(
            str(path),
            frames.shape[2:0:-1],
            fps=rate,
            pix_fmt_out="yuv444p",
            macro_block_size=1,
            output_params=["-movflags", "+faststart"],
        )
        writer.send(None)
    for _ in range(repeat):
        for frame in frames:
            writer.send(np.ascontiguousarray(frame))
    writer.close()
    return path


def write_gif(path: Path, frames: np.ndarray, milliseconds: list[int]) -> Path:
    first, *rest = [Image.fromarray(frame) for frame in frames]
    first.save(path, save_all=True, append_images=rest, duration=milliseconds, loop=0)
    return path


def write_folder(path: Path, frames: np.ndarray) -> Path:
    path.mkdir(exist_ok=True)
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(path / f"frame{index}.png")
    return path


@pytest.fixture(scope="session")
def video(tmp_path_factory):
    """23 frames of 20 x 30 pixels at 10 a second."""
    return write_video(tmp_path_factory.mktemp("film") / "clip.mp4", moving(23))
