"""The same numbers as `ClipReward`, at any batch; one frame of full size in memory at a time."""

import weakref

import numpy as np
import pytest

import jaxrm
from jaxrm.score.film import Film
from jaxrm.score.frames import Frame
from jaxrm.score.scorer import Scorer

from .conftest import MODEL, PROMPTS, moving

GOAL_BASELINE = {"baseline": "a humanoid robot", "alpha": 0.5}


@pytest.fixture(scope="module")
def clip():
    return jaxrm.load_clip(MODEL)


def stream_of(frames):
    return (Frame("f", index, index / 10, pixels) for index, pixels in enumerate(frames))


def scores(scorer: Scorer, frames, batch: int) -> np.ndarray:
    return np.concatenate([rewards for _, rewards in scorer.stream(stream_of(frames), batch)])


@pytest.mark.parametrize("options", [{}, GOAL_BASELINE])
@pytest.mark.parametrize("batch", [4, 8])
def test_the_rewards_are_those_of_clip_reward(clip, options, batch):
    given = scores(Scorer.create(clip, PROMPTS, **options), moving(7), batch)
    wanted = [jaxrm.ClipReward.create(clip, goal=p, **options)(moving(7)) for p in PROMPTS]
    assert given.dtype == np.float32
    np.testing.assert_allclose(given, np.stack(wanted, axis=-1), atol=1e-6, rtol=0)
    assert len({value.tobytes() for value in given}) == 7  # each frame its own


def test_frames_of_many_sizes_go_through_one_batch(clip):
    frames = [*moving(2), *moving(3, 33, 20)]
    reward = jaxrm.ClipReward.create(clip, goal=PROMPTS[0])
    given = scores(Scorer.create(clip, PROMPTS[:1]), frames, 4)
    np.testing.assert_allclose(given[:, 0], [reward(frame) for frame in frames], atol=1e-6, rtol=0)


def test_one_frame_of_full_size_is_held_at_a_time_and_nothing_is_read_ahead(clip):
    alive, most, read = 0, 0, 0

    class Pixels(np.ndarray):  # takes weak references
        pass

    def gone():
        nonlocal alive
        alive -= 1

    def endless():
        nonlocal alive, most, read
        while True:
            pixels = np.zeros((16, 16, 3), np.uint8).view(Pixels)
            weakref.finalize(pixels, gone)
            alive, read = alive + 1, read + 1
            most = max(most, alive)
            frame = Frame("f", read, None, pixels)
            del pixels
            yield frame
            del frame

    seen = 0
    film = Film(kept=4)
    for rows, _ in Scorer.create(clip, PROMPTS).stream(endless(), 4, film.look):
        seen += len(rows)
        assert read == seen
        if seen >= 40:
            break
    assert most <= 4  # the one that is looked at, and some that jax or a loop's variable has not let go yet
    assert len(film.thumbnails) <= 5


@pytest.mark.parametrize("count", [1, 4, 5, 97, 500])
def test_a_film_keeps_frames_evenly_spread(count):
    film = Film(kept=8, side=10)
    for frame in stream_of(moving(count)):
        film.look(frame)
    rows = [thumbnail.row for thumbnail in film.thumbnails]
    assert rows[0] == 0 and len(rows) <= 9 and len(rows) >= min(count, 4)
    assert len(set(np.diff(rows))) <= 1 and count - rows[-1] <= max(np.diff(rows), default=1)
    assert film.thumbnails[0].pixels.shape == (7, 10, 3)


def test_what_clip_reward_refuses_is_refused(clip):
    with pytest.raises(ValueError, match="never saw these words"):
        Scorer.create(clip, ["a flying cat"])
    Scorer.create(clip, ["a humanoid robot standing on one cat"], allow_unknown_words=True)
