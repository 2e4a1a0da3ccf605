"""Every kind of file gives its frames, one at a time; every broken one says what is wrong with it."""

import os
import subprocess
from fractions import Fraction

import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxrm.score.films import _exact
from jaxrm.score.sources import open_source

from .conftest import moving, write_folder, write_gif, write_video


def read(path):
    source = open_source(path)
    return source, list(source.frames)


def test_an_image(tmp_path):
    Image.fromarray(moving(1)[0]).save(tmp_path / "a.png")
    source, frames = read(tmp_path / "a.png")
    assert (source.count, source.timed, len(frames)) == (1, False, 1)
    assert frames[0][:3] == ("a.png", 0, None)
    np.testing.assert_array_equal(frames[0].pixels, moving(1)[0])


def test_a_folder_in_natural_order_and_what_is_no_image_is_said(tmp_path):
    folder = write_folder(tmp_path / "f", moving(12))
    (folder / "notes.txt").write_text("x")
    (folder / ".hidden.png").write_text("x")
    (folder / "deeper.png").mkdir()
    source, frames = read(folder)
    assert [frame.file for frame in frames] == [f"frame{i}.png" for i in range(12)]
    assert source.count == 12 and not source.timed and source.notes == ("skipped, no images: notes.txt",)
    np.testing.assert_array_equal([frame.pixels for frame in frames], moving(12))


def test_a_gif_has_the_times_of_its_frames(tmp_path):
    source, frames = read(write_gif(tmp_path / "a.gif", moving(4), [50, 200, 0, 100]))
    assert (source.count, source.timed) == (4, True)
    np.testing.assert_allclose([frame.time for frame in frames], [0, 0.05, 0.25, 0.35])
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert np.abs(frames[3].pixels.astype(int) - moving(4)[3]).mean() < 8  # 256 colours


def test_a_video(video):
    source, frames = read(video)
    assert (source.count, source.timed, len(frames)) == (23, True, 23)
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(23) / 10)
    difference = np.abs(np.stack([f.pixels for f in frames]).astype(int) - moving(23)).mean()
    assert difference < 4  # what H.264 loses; another frame's square would be far above


def test_a_video_of_uneven_times_keeps_the_time(tmp_path):
    """A second at 30 frames a second, then one at 10."""
    path = tmp_path / "uneven.mp4"
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "quiet", "-f", "lavfi", "-i"]
    make = [*ffmpeg, "testsrc=r=30:d=2:s=64x48", "-vf", "select=lt(t\\,1)+not(mod(n\\,3))"]
    subprocess.run([*make, "-fps_mode", "vfr", str(path)], check=True)
    assert read(path)[1][-1].time == pytest.approx(1.95, abs=0.1)


@pytest.mark.parametrize(
    ("said", "meant"), [(29.97, "30000/1001"), (23.98, "24000/1001"), (25.0, "25"), (12.5, "25/2")]
)
def test_the_rate_that_ffmpeg_rounds(said, meant):
    assert _exact(said) == Fraction(meant)


def test_a_video_filmed_upright_stands_upright(video, tmp_path):
    turned = tmp_path / "turned.mp4"
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    turn = [ffmpeg, "-loglevel", "quiet", "-display_rotation", "90", "-i", str(video), "-c", "copy"]
    subprocess.run([*turn, str(turned)], check=True)
    frames = read(turned)[1]
    assert frames[0].pixels.shape == (30, 20, 3)
    assert np.abs(np.rot90(frames[5].pixels, -1).astype(int) - moving(23)[5]).mean() < 4


def test_colours_alpha_and_orientation_are_those_of_hugging_faces_processors(tmp_path):
    pixels = moving(1)[0]
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read(tmp_path / "turned.png")[1][0].pixels, np.rot90(pixels, -1))
    alpha = np.concatenate([pixels, np.full((20, 30, 1), 7, np.uint8)], axis=-1)
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    np.testing.assert_array_equal(read(tmp_path / "alpha.png")[1][0].pixels, pixels)
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read(tmp_path / "grey.png")[1][0].pixels[..., 2], pixels[..., 0])


def test_pixels_of_sixteen_bits_are_refused_not_clipped(tmp_path):
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match=r"deep\.png has more than 8 bits a channel"):
        read(tmp_path / "deep.png")


def spoil(path, video):
    """A file of each name that cannot be what its name says."""
    content = video.read_bytes()
    audio = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "quiet", "-f", "lavfi", "-i", "sine=d=0.1"]
    match path.name:
        case "audio.mp4":
            subprocess.run([*audio, str(path)], check=True)
        case "head.mp4":
            path.write_bytes(content[:60])
        case "empty.mp4" | "empty.png" | "empty.gif":
            path.touch()
        case "cut.gif":
            whole = write_gif(path, moving(6), [50] * 6).read_bytes()
            path.write_bytes(whole[:-400])
        case "cut.png":
            Image.fromarray(moving(1, 200, 300)[0]).save(path)
            path.write_bytes(path.read_bytes()[:400])
        case _:
            path.write_bytes(b"neither a picture nor a film " * 20)
    return path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("audio.mp4", r"audio\.mp4 is not a video that can be read: .*does not contain any stream"),
        ("head.mp4", r"head\.mp4 is not a video that can be read: .*does not contain any stream"),
        ("text.mp4", r"text\.mp4 is not a video that can be read: moov atom not found"),
        ("empty.mp4", r"empty\.mp4' is empty"),
        ("text.gif", r"cannot identify image file .*text\.gif"),
        ("empty.gif", r"empty\.gif' is empty"),
        ("cut.gif", r"cut\.gif is broken at frame \d: image file is truncated"),
        ("text.png", r"cannot identify image file .*text\.png"),
        ("cut.png", r"cut\.png is broken at frame 0: .*truncated"),
        ("empty.png", r"empty\.png' is empty"),
        ("notes.txt", r"notes\.txt' ends with \.txt; known are images \(.*\.png.*videos \(.*\.mp4"),
        ("noextension", r"ends with nothing; known are images"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(name, message, tmp_path, video):
    with pytest.raises(ValueError, match=message):
        read(spoil(tmp_path / name, video))


def test_nothing_there_an_empty_folder_and_a_folder_of_other_things(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*gone\.mp4"):
        open_source(tmp_path / "gone.mp4")
    with pytest.raises(ValueError, match=r"no images in the folder .*it has no files"):
        open_source(tmp_path)
    for name in ("a.mp4", "b.gif", "c.txt", "d.txt"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"it holds a\.mp4, b\.gif, c\.txt and 1 more; .*is named itself"):
        open_source(tmp_path)


def test_a_broken_image_in_a_folder_comes_after_those_before_it(tmp_path):
    folder = write_folder(tmp_path / "f", moving(4))
    (folder / "frame2.png").write_bytes(b"x")
    frames = open_source(folder).frames
    assert [next(frames).index, next(frames).index] == [0, 0]
    with pytest.raises(ValueError, match=r"cannot identify image file .*frame2\.png"):
        next(frames)


def test_a_video_cut_in_the_middle_gives_what_is_left(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    cut = write_video(tmp_path / "cut.mp4", noise)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 2 // 3])
    source, frames = read(cut)
    assert source.count == 20 and 3 < len(frames) < 18


def test_ffmpeg_ends_where_the_reader_stops_early(tmp_path):
    source = open_source(write_video(tmp_path / "long.mp4", moving(200, 200, 300)))
    next(source.frames)
    source.frames.close()
    children = subprocess.run(["ps", "-o", "args", "--ppid", str(os.getpid())], capture_output=True)
    assert b"long.mp4" not in children.stdout


@given(
    kind=st.sampled_from(["png", "gif", "jpg", "webp", "bmp", "tif", "ppm"]),
    at=st.floats(0, 1),
    put=st.binary(max_size=8),
    cut=st.integers(0, 30),
)
@settings(max_examples=150, deadline=None)
@pytest.mark.filterwarnings("ignore")
def test_fuzz_a_garbled_image_is_read_or_refused_never_a_crash(kind, at, put, cut, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / f"fuzz.{kind}"
    first, *rest = [Image.fromarray(frame) for frame in moving(3, 6, 9)]
    first.save(path, **({"save_all": True, "append_images": rest} if kind == "gif" else {}))
    content = path.read_bytes()
    start = int(at * len(content))
    path.write_bytes(content[:start] + put + content[start + cut :])
    try:
        for frame in open_source(path).frames:
            assert frame.pixels.dtype == np.uint8 and frame.pixels.shape[-1] == 3
    except ValueError as error:
        assert str(path.name) in str(error)


@given(at=st.floats(0, 1), put=st.binary(max_size=8), cut=st.integers(0, 30))
@settings(max_examples=12, deadline=None)
def test_fuzz_a_garbled_video_is_read_or_refused_never_a_crash(at, put, cut, video, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "fuzz.mp4"
    content = video.read_bytes()
    start = int(at * len(content))
    path.write_bytes(content[:start] + put + content[start + cut :])
    try:
        assert all(frame.pixels.dtype == np.uint8 for frame in open_source(path).frames)
    except ValueError as error:
        assert "fuzz.mp4" in str(error) and "\n" not in str(error)
