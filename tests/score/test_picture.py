"""The picture: frames stand under the part of the curve that they belong to, at any number of either."""

import io

import numpy as np
import pytest
from PIL import Image

from jaxrm.score import picture
from jaxrm.score.film import Thumbnail
from jaxrm.score.picture import Curves, draw, limits, pick, running_mean

from .conftest import moving


def curves(rows: int, prompts: int = 2, timed: bool = True) -> Curves:
    rewards = np.linspace(0, 1, rows * prompts, dtype=np.float32).reshape(rows, prompts)
    names = [f"frame_{index}.png" for index in range(rows)]
    times = np.arange(rows) / 10 if timed else None
    return Curves("clip.mp4", [f"prompt ${i} of it" for i in range(prompts)], rewards, times, names, "reward")


@pytest.mark.parametrize(
    ("rows", "prompts", "timed"), [(1, 1, False), (2, 9, True), (13, 2, False), (700, 1, True)]
)
def test_a_picture_of_anything(rows, prompts, timed):
    thumbnails = [Thumbnail(row, moving(1)[0]) for row in range(0, rows, max(rows // 40, 1))]
    image = Image.open(io.BytesIO(draw(curves(rows, prompts, timed), thumbnails)))
    assert image.format == "PNG" and image.width == picture.WIDTH * 130 and image.height > 300


def test_a_script_that_the_font_lacks_is_no_error():
    odd = Curves("a.png", ["走る $x_1$ 🤖"], np.zeros((2, 1), np.float32), None, ["a", "b"], "reward")
    draw(odd, [Thumbnail(0, moving(1)[0]), Thumbnail(1, moving(1)[0])])


def test_each_cell_of_the_strip_shows_the_frame_nearest_to_its_middle():
    positions = np.arange(100) / 10
    thumbnails = [Thumbnail(row, moving(1)[0]) for row in range(0, 100, 4)]
    low, high = limits(positions)
    assert (low, high) == pytest.approx((-0.05, 9.95))
    for cells in (1, 5, 14):
        shown = pick(thumbnails, positions, cells)
        middles = low + (np.arange(cells) + 0.5) * (high - low) / cells
        assert np.abs(positions[[t.row for t in shown]] - middles).max() <= 0.2


def test_where_every_image_has_a_cell_it_stands_exactly_under_its_point():
    thumbnails = [Thumbnail(row, moving(1)[0]) for row in range(6)]
    assert [t.row for t in pick(thumbnails, np.arange(6.0), 6)] == list(range(6))


def test_a_running_mean_keeps_a_constant_and_its_ends():
    np.testing.assert_allclose(running_mean(np.ones(50), 7), 1)
    np.testing.assert_allclose(running_mean(np.arange(50.0), 5)[2:-2], np.arange(50)[2:-2])
