"""`jaxrm score` as people meet it: what it writes, and one line for each mistake."""

import csv
import os
import pkgutil
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import jaxrm
from jaxrm import cli
from jaxrm.score import ScoreConfig, score_path
from jaxrm.score.program import order_table
from jaxrm.score.scorer import Scorer
from jaxrm.score.sources import open_source

from .conftest import MODEL, PROMPTS, moving, write_folder, write_gif, write_video

ROOT = Path(__file__).parents[2]
SMALL = ("--model", MODEL, "--batch", "4")  # one shape for all: compiling is what takes the time


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Nothing is written into the checkout."""
    monkeypatch.chdir(tmp_path)


def run(capsys, *arguments: str | Path) -> tuple[int, str, str]:
    try:
        code = cli.main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


def table(folder: Path) -> tuple[list[str], list[list[str]]]:
    with (folder / "scores.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    return header, rows


def test_a_film_s_order_beside_its_controls():
    """One curve rises, one falls, one stands still."""
    rewards = np.stack([np.arange(9.0), -(np.arange(9.0) ** 2), np.ones(9)], axis=1)
    found = order_table(["up", "down", "[still]"], rewards)
    assert [column.header for column in found.columns] == [
        "prompt", "as it is", "first frame repeated", "reversed", "shuffled", "other prompts",
    ]  # fmt: skip
    up, down, still = zip(*(column.cells for column in found.columns), strict=True)
    assert (up[1:4], up[5]) == (("1.00", "-", "-1.00"), "-1.00, -")
    assert (down[1:4], down[5]) == (("-1.00", "-", "1.00"), "1.00, -")
    assert still == (r"\[still]", "-", "-", "-", "-", "1.00, -1.00")
    assert abs(float(up[4])) < 0.9
    alone = order_table(["up"], rewards[:, :1])
    assert "other prompts" not in [column.header for column in alone.columns]


def test_a_video_becomes_a_table_and_a_picture(capsys, video):
    code, out, err = run(capsys, "score", video, *PROMPTS, *SMALL)
    folder = Path("scores/clip.mp4")
    assert code == 0 and out.strip() == str(folder)
    assert "controls" in err and "reversed" in err
    header, rows = table(folder)
    assert header == ["file", "frame", "time", *PROMPTS] and len(rows) == 23
    assert rows[7][:3] == ["clip.mp4", "7", "0.7"]
    assert Image.open(folder / "scores.png").width > 1000
    assert sorted(path.name for path in folder.iterdir()) == ["scores.csv", "scores.png"]


def test_the_table_holds_the_float32_of_clip_reward(video):
    frames = np.stack([frame.pixels for frame in open_source(video).frames])
    options = {"baseline": "a humanoid robot", "alpha": 0.25}
    folder = score_path(ScoreConfig(video, PROMPTS, model=MODEL, batch=4, out=Path("out"), **options))
    given = np.array([row[3:] for row in table(folder)[1]], np.float32)
    clip = jaxrm.load_clip(MODEL)
    wanted = [jaxrm.ClipReward.create(clip, goal=prompt, **options)(frames) for prompt in PROMPTS]
    np.testing.assert_allclose(given, np.stack(wanted, axis=-1), atol=1e-6, rtol=0)


def test_a_folder_an_image_and_a_gif(capsys, tmp_path):
    folder = write_folder(tmp_path / "images", moving(3))
    gif = write_gif(tmp_path / "a.gif", moving(3), [100] * 3)
    for path, count in ((folder, 3), (folder / "frame1.png", 1), (gif, 3)):
        assert run(capsys, "score", path, PROMPTS[0], *SMALL)[0] == 0
        assert len(table(Path("scores", path.name))[1]) == count
    assert [row[:3] for row in table(Path("scores/images"))[1]] == [
        [f"frame{i}.png", "0", ""] for i in range(3)
    ]


def test_outputs_are_replaced_only_where_asked(capsys, video):
    arguments = ("score", video, PROMPTS[0], *SMALL, "--out", "o")
    assert run(capsys, *arguments)[0] == 0
    before = Path("o/scores.csv").read_bytes()
    code, _, err = run(capsys, *arguments)
    assert code == 2 and "scores.csv' exists: replace it with --overwrite" in err
    assert Path("o/scores.csv").read_bytes() == before
    assert run(capsys, *arguments, "--overwrite")[0] == 0


def test_a_mistake_in_the_model_or_the_words_leaves_the_old_table(capsys, video):
    Path("o").mkdir()
    Path("o/scores.csv").write_text("old")
    for wrong in (("a flying cat", "--model", MODEL), (PROMPTS[0], "--model", "no-such-model")):
        assert run(capsys, "score", video, *wrong, "--out", "o", "--overwrite")[0] == 2
        assert Path("o/scores.csv").read_text() == "old"


MISTAKES = [
    (["score"], "name a path first"),
    (["scoer"], "did you mean 'score'"),
    (["score", "VIDEO"], "no prompt: jaxrm score"),
    (["score", "VIDEO", " "], "a prompt is empty"),
    (["score", "VIDEO", "VIDEO", "a"], "is a file: one path comes first"),
    (["score", "VIDEO", "a robot", "a robot"], "two columns of the table would have the name 'a robot'"),
    (["score", "VIDEO", "time"], "two columns of the table would have the name 'time'"),
    (["score", "gone.mp4", "a robot"], "no file or folder 'gone.mp4'"),
    (["score", "a humanoid robot", "VIDEO"], "one path comes first"),
    (["score", "VIDEO", "a robot", "--alpha", "1.5", "--baseline", "a"], "--alpha is 1.5, wanted 0 to 1"),
    (["score", "VIDEO", "a robot", "--alpha", "nan", "--baseline", "a"], "--alpha is nan, wanted 0 to 1"),
    (["score", "VIDEO", "a robot", "--alpha", "0.5"], "above 0 it needs --baseline"),
    (["score", "VIDEO", "a robot", "--batch", "0"], "--batch is 0, wanted 1 or more"),
    (["score", "VIDEO", "a robot", "--out", "file/sub"], "cannot write to the folder 'file/sub'"),
    (["score", "images", "a robot", "--out", "images"], "'images' is what is scored"),
    (["score", "empty", "a robot"], "no images in the folder 'empty'"),
    (["score", "VIDEO", "a robot", "--model", "no-such-model"], "no checkpoint 'no-such-model'"),
    (["score", "text.mp4", "a robot"], "text.mp4 is not a video that can be read"),
    (["score", "VIDEO", "a humanoid robot " * 20, "--model", MODEL], "the model takes 16 at most"),
    (["inspect"], "name a model: jaxrm inspect scene-clip"),
    (["inspect", "no-such-model"], "no checkpoint 'no-such-model'"),
    (["inspect", "empty"], "empty has no config.json"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES)
def test_a_mistake_is_one_line(capsys, video, arguments, message):
    Path("file").touch()
    Path("text.mp4").write_text("no film " * 50)
    Path("empty").mkdir()
    write_folder(Path("images"), moving(1))
    code, out, err = run(capsys, *[str(video) if a == "VIDEO" else a for a in arguments])
    assert code == 2 and out == ""
    assert err.startswith("error: ") and message in err and err.count("\n") == 1
    assert not Path("scores").exists()


@pytest.mark.parametrize("arguments", [["VIDEO", "a", "--alpha", "x"], ["VIDEO", "a", "--no-such-option"]])
def test_an_option_that_cannot_be_read_is_told_by_tyro(capsys, video, arguments):
    code, _, err = run(capsys, "score", *[str(video) if a == "VIDEO" else a for a in arguments])
    assert code == 2 and "Traceback" not in err and arguments[2] in err


def test_unknown_words_are_refused_unless_allowed(capsys, video):
    code, _, err = run(capsys, "score", video, "a flying cat", "--model", MODEL)
    assert code == 2 and "'flying'" in err and "--allow-unknown-words" in err
    words = ("a humanoid robot standing on one cat", "--allow-unknown-words")
    assert run(capsys, "score", video, *words, *SMALL)[0] == 0


def test_a_folder_that_may_not_be_written(capsys, video, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    code, _, err = run(capsys, "score", video, PROMPTS[0], "--out", "o/deep")
    assert code == 2 and "cannot write to the folder 'o/deep': no permission in" in err


def test_what_was_scored_before_a_broken_frame_is_kept(capsys):
    folder = write_folder(Path("images"), moving(6))
    (folder / "frame4.png").write_bytes(b"x")
    code, _, err = run(capsys, "score", folder, PROMPTS[0], *SMALL)
    assert code == 2 and "frame4.png" in err and "4 scored frames are in scores/images/scores.csv" in err
    assert [row[0] for row in table(Path("scores/images"))[1]] == [f"frame{i}.png" for i in range(4)]


def test_what_was_scored_before_ctrl_c_is_kept(capsys, video, monkeypatch):
    stream = Scorer.stream

    def interrupted(self, frames, batch, look):
        for number, scored in enumerate(stream(self, frames, batch, look)):
            if number == 2:
                raise KeyboardInterrupt
            yield scored

    monkeypatch.setattr(Scorer, "stream", interrupted)
    code, _, err = run(capsys, "score", video, PROMPTS[0], *SMALL)
    assert code == 130 and "stopped; 8 scored frames are in" in err
    assert len(table(Path("scores/clip.mp4"))[1]) == 8


def test_a_video_that_was_cut_short_is_noted(capsys):
    noise = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    cut = write_video(Path("cut.mp4"), noise)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 2 // 3])
    code, _, err = run(capsys, "score", cut, PROMPTS[0], *SMALL)
    assert code == 0 and "its header says 20: it may be cut short" in err.replace("\n", " ")


def test_a_checkpoint_without_tokeniser_is_told(capsys, video):
    copy = Path(shutil.copytree(MODEL, "copy"))
    (copy / "tokenizer.json").unlink()
    (copy / "training_words.json").unlink()
    code, _, err = run(capsys, "score", video, PROMPTS[0], "--model", copy)
    assert code == 2 and "has no tokenizer.json" in err and "Traceback" not in err


def test_a_batch_that_is_too_large_for_the_device_is_told(capsys, video, monkeypatch):
    def full(*_):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")

    monkeypatch.setattr(Scorer, "stream", full)
    code, _, err = run(capsys, "score", video, PROMPTS[0], *SMALL)
    assert code == 2 and "no memory for 4 frames at once: lower --batch" in err


def test_what_nobody_foresaw_is_one_line_unless_the_trace_is_asked_for(capsys, video, monkeypatch):
    def broken(*_):
        raise TypeError("odd")

    monkeypatch.setattr(Scorer, "stream", broken)
    code, _, err = run(capsys, "score", video, PROMPTS[0], *SMALL)
    assert code == 1 and "error: TypeError: odd (JAXRM_TRACEBACK=1 shows where)" in err
    monkeypatch.setenv("JAXRM_TRACEBACK", "1")
    with pytest.raises(TypeError):
        run(capsys, "score", video, PROMPTS[0], *SMALL, "--overwrite")


def test_help_shows_the_defaults(capsys):
    code, out, _ = run(capsys, "score", "--help")
    assert code == 0 and all(word in out for word in ("--baseline", "--alpha", "scene-clip", "--overwrite"))
    assert run(capsys, "--help")[0] == 0 and run(capsys)[0] == 2


def test_as_a_console_script():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert pkgutil.resolve_name(scripts["jaxrm"]) is cli.main


def test_as_a_module():
    done = subprocess.run([sys.executable, "-m", "jaxrm", "--help"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and "jaxrm PROGRAM" in done.stdout


CHILD = """
import re, sys
from pathlib import Path
from jaxrm.cli import main
assert main(sys.argv[1:]) == 0
# of this process alone: getrusage would count the one that it was forked from
print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for the peak")
def test_memory_does_not_grow_with_the_length_of_a_video(tmp_path):
    """All frames of the long one together would be 2.5 GB."""
    peak = {}
    for name, repeat in (("short", 1), ("long", 180)):
        video = write_video(tmp_path / f"{name}.mp4", moving(100, 180, 256), rate=30, repeat=repeat)
        arguments = ["score", str(video), PROMPTS[0], "--model", MODEL, "--out", str(tmp_path / name)]
        done = subprocess.run(
            [sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, cwd=ROOT, check=True
        )
        peak[name] = int(done.stdout.split()[-1]) / 1024
        assert len(table(tmp_path / name)[1]) == 100 * repeat
    assert peak["long"] - peak["short"] < 150, f"peak resident memory in MiB: {peak}"
