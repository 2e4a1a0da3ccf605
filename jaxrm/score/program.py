"""`jaxrm score`: what it is asked, and the way from a path to a table and a picture."""

import dataclasses
import os
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path

import jax
import numpy as np
import tyro
from jaxtyping import Float
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from jaxrm.metrics import score_with_controls, value_order_correlation
from jaxrm.metrics.controls import WRONG
from jaxrm.score.film import Film
from jaxrm.score.frames import Source
from jaxrm.score.picture import Curves, draw
from jaxrm.score.scorer import Scorer
from jaxrm.score.sources import open_source
from jaxrm.score.table import COLUMNS, ScoreTable
from jaxrm.weights import load_clip
from jaxrm.weights.files import write_bytes

TABLE, PICTURE = "scores.csv", "scores.png"


@dataclasses.dataclass(frozen=True)
class ScoreConfig:
    """Score an image, a folder of images, a GIF or a video against sentences.

    Writes scores.csv (a row a frame, a column a prompt) and scores.png (the curves, with frames under them).
    """

    path: tyro.conf.Positional[Path]
    """The image, folder, GIF or video. One path, and it comes first."""
    prompts: tyro.conf.Positional[tuple[str, ...]]
    """One or several sentences, each in quotes."""
    model: str = "scene-clip"
    """A directory, a model that comes with us, or a hub id (organisation/name)."""
    baseline: str | None = None
    """What the scene looks like anyway; goes with --alpha."""
    alpha: float = 0.0
    """Strength of the goal-baseline regularisation, 0 to 1; 0 is the cosine."""
    batch: int = 32
    """Frames that go through the network together."""
    out: Path | None = None
    """Folder for the table and the picture; by default scores/ and the name of what is scored."""
    overwrite: bool = False
    """Replace a table and a picture that are there already."""
    allow_unknown_words: bool = False
    """Go on with words that the model never saw in training."""

    @property
    def folder(self) -> Path:
        return self.out or Path("scores", self.path.resolve().name or "root")

    def validate(self) -> None:
        """Raises ValueError, FileNotFoundError or FileExistsError: all that can be told without a model."""
        if not self.prompts:
            raise ValueError(f'no prompt: jaxrm score {self.path} "a sentence that says what to look for"')
        _check_prompts(self.prompts)
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"--alpha is {self.alpha}, wanted 0 to 1")
        if self.alpha > 0 and not self.baseline:
            raise ValueError(
                f'--alpha is {self.alpha}, and above 0 it needs --baseline "what is there anyway"'
            )
        if self.batch < 1:
            raise ValueError(f"--batch is {self.batch}, wanted 1 or more")
        _check_folder(self.folder, self.path, self.overwrite)


def _check_prompts(prompts: Sequence[str]) -> None:
    for prompt in prompts:
        if not prompt.strip():
            raise ValueError("a prompt is empty")
        if len(prompt) < 256 and "\0" not in prompt and Path(prompt).is_file():
            raise ValueError(
                f"the prompt {prompt!r} is a file: one path comes first, the rest are prompts; "
                "several images are given as their folder"
            )
    names = [*COLUMNS, *prompts]
    if twice := [name for name in prompts if names.count(name) > 1]:
        raise ValueError(f"two columns of the table would have the name {twice[0]!r}")


def _check_folder(folder: Path, source: Path, overwrite: bool) -> None:
    """Told before anything is computed."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not there.is_dir():
        raise ValueError(f"cannot write to the folder {str(folder)!r}: {str(there)!r} is a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"cannot write to the folder {str(folder)!r}: no permission in {str(there)!r}")
    if source.is_dir() and folder.exists() and folder.samefile(source):
        raise ValueError(
            f"{str(folder)!r} is what is scored; with --out there, {PICTURE} would be scored next"
        )
    exists = [name for name in (TABLE, PICTURE) if (folder / name).exists()]
    if exists and not overwrite:
        raise FileExistsError(
            f"{str(folder / exists[0])!r} exists: replace it with --overwrite, or take another --out"
        )


def score_path(config: ScoreConfig, console: Console | None = None) -> Path:
    """Scores `config.path`; gives back the folder with scores.csv and scores.png.

    Rows are written as they are scored: an error in the middle of a film, or Ctrl-C, keeps those before it.

    Raises:
      FileNotFoundError, FileExistsError, PermissionError, ValueError: a mistake in what was asked, a model
        that cannot be loaded, or a file that cannot be read; the message names it.
    """
    console = console or Console(stderr=True)
    config.validate()
    source = open_source(config.path)
    with closing(source.frames):  # type: ignore[type-var]  # a generator
        for note in source.notes:
            console.print(f"note: {note}", highlight=False, markup=False)
        first = next(source.frames, None)
        if first is None:
            raise ValueError(f"{str(config.path)!r} has no frames")
        scorer = Scorer.create(
            load_clip(config.model),
            config.prompts,
            baseline=config.baseline,
            alpha=config.alpha,
            allow_unknown_words=config.allow_unknown_words,
        )
        source = dataclasses.replace(source, frames=chain([first], source.frames))
        folder = _make_folder(config.folder)
        _run(config, source, scorer, folder, console)
    return folder


def _make_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PICTURE).unlink(missing_ok=True)  # it belongs to the table that is replaced
    except OSError as error:
        raise ValueError(f"cannot write to the folder {str(folder)!r}: {error.strerror}") from error
    return folder


def _run(config: ScoreConfig, source: Source, scorer: Scorer, folder: Path, console: Console) -> None:
    film, rewards, times, names = Film(), [], [], []
    batch = min(config.batch, source.count or config.batch)
    with ScoreTable(folder / TABLE, config.prompts) as table:
        try:
            with _progress(console) as progress:
                task = progress.add_task("scoring", total=source.count)
                for rows, scored in scorer.stream(source.frames, batch, film.look):
                    table.append(rows, scored)
                    rewards.append(scored)
                    times += [row.time for row in rows]
                    names += [row.file for row in rows]
                    progress.update(task, completed=table.rows)
                progress.update(task, total=table.rows)
        except (ValueError, OSError) as error:
            raise ValueError(f"{error} ({_kept(table, folder)})") from error
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            why = f"the device has no memory for {batch} frames at once: lower --batch"
            raise ValueError(f"{why} ({_kept(table, folder)})") from error
        except KeyboardInterrupt:
            console.print(f"stopped; {_kept(table, folder)}", highlight=False, markup=False)
            raise
    _note_short(source, table.rows, console)
    curves = Curves(
        title=config.path.name,
        prompts=config.prompts,
        rewards=np.concatenate(rewards),
        times=np.array(times, float) if source.timed else None,
        names=names,
        quantity=_quantity(config),
    )
    write_bytes(folder / PICTURE, draw(curves, film.thumbnails))
    if curves.times is not None and len(curves.rewards) > 1:
        console.print(order_table(config.prompts, curves.rewards))


def order_table(prompts: Sequence[str], rewards: Float[np.ndarray, "time prompts"]) -> Table:
    """How each prompt's reward goes with time in a film, beside its controls: Spearman correlation, "-" where
    a curve is constant. A score that is as high for another prompt, or shuffled, says nothing about this one.
    """
    table = Table(title="Spearman correlation of the reward with time, and its controls")
    for row, prompt in enumerate(prompts):
        scores = {name: partial(_rises, column) for column, name in enumerate(prompts) if column != row}
        found = score_with_controls(partial(_rises, row), rewards, seed=0, wrong=scores)
        others = [found.pop(f"{WRONG}: {name}") for name in scores]
        if not row:
            for column in ("prompt", *found, *(["other prompts"] if others else [])):
                table.add_column(column, overflow="fold")
        cells = [*map(_plain, found.values()), *([", ".join(map(_plain, others))] if others else [])]
        table.add_row(escape(prompt), *cells)
    return table


def _rises(column: int, rewards: Float[np.ndarray, "time prompts"]) -> float:
    return value_order_correlation(rewards[:, column])


def _plain(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.2f}"


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames"),
        TimeRemainingColumn(),
        console=console,
    )


def _kept(table: ScoreTable, folder: Path) -> str:
    return f"{table.rows} scored frames are in {folder / TABLE}"


def _note_short(source: Source, rows: int, console: Console) -> None:
    """A video that was cut short ends without an error, and only its header knows better."""
    if source.count and rows < 0.95 * source.count - 2:
        console.print(
            f"note: it ended after {rows} frames, and its header says {source.count}: it may be cut short",
            highlight=False,
            markup=False,
        )


def _quantity(config: ScoreConfig) -> str:
    if config.alpha == 0:
        return "reward: cosine of frame and prompt"
    return f"goal-baseline reward, alpha {config.alpha:g}"
