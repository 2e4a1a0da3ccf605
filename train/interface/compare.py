"""Trained interfaces beside each other: protocols and layers as columns, training seeds put together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import tyro
from rich.console import Console

import jaxrm
from jaxrm.weights.files import find, read_json, write_json
from train.films.trajectories import FAILING
from train.interface.data import Source, held_out, make_or_load
from train.interface.losses import frozen_lm
from train.interface.report import TRAINING, read_suite, shown, suite_of
from train.interface.suite import judge

JUDGED = 0x6A756467  # stream of keys: films of a seed are made by others


@dataclass(frozen=True)
class SuiteConfig:
    """Print what trained interfaces reached on what was held out, or judge them again on other films."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Their folders, or names of those that come with us."""
    films_seed: int | None = None
    """Judge again, on films of this seed; without, what their training measured."""
    judged: int = 256
    """Films of each kind that is held out, and of bodies that fail."""
    data: Path | None = None
    """A file for those films: written where it is not there, else read."""
    out: Path | None = None
    """A JSON file for the suites."""

    def __post_init__(self) -> None:
        if not self.runs:
            raise ValueError("name the folder of an interface: python -m train suite runs/NAME")
        if self.judged < 1:
            raise ValueError(f"judged is {self.judged}, wanted 1 at least")
        if self.data is not None and self.films_seed is None:
            raise ValueError("data holds films to judge by: say which with films_seed")


def suite(config: SuiteConfig) -> None:
    """Prints the suites; of several interfaces also all of them beside each other."""
    folders = list(dict.fromkeys(map(_folder, config.runs)))
    suites = (
        {folder: read_suite(folder) for folder in folders}
        if config.films_seed is None
        else judged_again(folders, config.films_seed, config.judged, config.data)
    )
    names = [folder.name for folder in folders]
    titles = names if len(set(names)) == len(names) else map(str, folders)
    tables = shown(dict(zip(titles, suites.values(), strict=True)))
    if len(folders) > 1:
        tables += f"\n\n{compared(suites)}"
    Console().print(tables, highlight=False, soft_wrap=True)
    if config.out is not None:
        write_json(config.out, {str(run): suites[_folder(run)] for run in config.runs})


def judged_again(
    folders: Sequence[Path], films_seed: int, judged: int, data: Path | None
) -> dict[Path, dict[str, Any]]:
    """The suites of trained interfaces on films that their training did not make.

    Raises:
      FileNotFoundError: a folder does not say how its interface was trained.
      ValueError: the films are those of a training, or interfaces belong to different towers.
    """
    options = {folder: _trained_with(folder) for folder in folders}
    for folder, made in options.items():
        if made["films_seed"] == films_seed:
            raise ValueError(f"films of seed {films_seed} are those that {str(folder)!r} was trained on")
    models = sorted({made["model"] for made in options.values()})
    if len(models) > 1:
        raise ValueError(f"the interfaces look through {' and '.join(models)}: judge those of one at a time")
    films = make_or_load(Source(models[0], judged, judged, films_seed), data)
    held, suites = held_out(films), {}
    for folder, made in options.items():
        lm = frozen_lm(made["lm"], made.get("lm_dtype", "float32"))
        interface, key = jaxrm.load_interface(folder), jax.random.fold_in(jax.random.key(films_seed), JUDGED)
        found = judge(made["protocol"], lm, interface, held, films[FAILING], key)
        suites[folder] = suite_of(made["protocol"], found)
    return suites


def _folder(run: Path) -> Path:
    """A folder, or of one that comes with us its name; nothing of the hub."""
    if len(run.parts) > 1 and not run.is_dir():
        raise FileNotFoundError(f"no folder {str(run)!r}")
    return find(run)


def _trained_with(folder: Path) -> dict[str, Any]:
    if not (folder / TRAINING).is_file():
        raise FileNotFoundError(f"{str(folder)!r} has no {TRAINING}: was its interface trained here?")
    return read_json(folder / TRAINING)["options"]


class _Column(NamedTuple):
    """What was trained alike but for the seed."""

    protocol: str
    layers: int

    def title(self, seeds: int) -> str:
        depth = "linear" if not self.layers else f"{self.layers} block{'s' if self.layers > 1 else ''}"
        return f"{self.protocol}, {depth}, {seeds} seed{'s' if seeds > 1 else ''}"


def compared(suites: Mapping[Path, dict[str, Any]]) -> str:
    """A Markdown table of suites by their interfaces' folders: the share of pairs in the right order by kind
    of perturbation and by what was held out, of each protocol and depth; the mean of training seeds and, of
    several, the lowest and highest.

    Raises:
      FileNotFoundError: a folder does not say how its interface was trained.
    """
    columns: dict[_Column, list[dict[str, tuple[float, float]]]] = {}
    for folder, suite in suites.items():
        options = _trained_with(folder)
        columns.setdefault(_Column(options["protocol"], options["layers"]), []).append(_figures(suite))
    titles = [column.title(len(seeds)) for column, seeds in columns.items()]
    names = dict.fromkeys(chain.from_iterable(seeds[0] for seeds in columns.values()))
    head = ["right in pairs (chance .50)", *titles, "one frame only"]
    lines = [
        [name, *(_cell(seeds, name) for seeds in columns.values()), _one_frame(columns, name)]
        for name in names
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *lines))


def _figures(suite: dict) -> dict[str, tuple[float, float]]:
    """Of a suite by name: the accuracy, and that of one frame only."""
    kinds = {row["name"]: (row["accuracy"], row["static_accuracy"]) for row in suite["rows"]}
    held = {name: (part["accuracy"], part["one frame only"]) for name, part in suite["sets"].items()}
    return kinds | {f"held out: {name}": pair for name, pair in held.items()}


def _cell(seeds: list[dict[str, tuple[float, float]]], name: str) -> str:
    found = [figures[name][0] for figures in seeds if name in figures]
    if not found:
        return ""
    spread = f" [{min(found):.3f}, {max(found):.3f}]" if len(found) > 1 else ""
    return f"{np.mean(found):.3f}{spread}"


def _one_frame(columns: Mapping[_Column, list[dict[str, tuple[float, float]]]], name: str) -> str:
    """The lowest and highest of all."""
    found = [figures[name][1] for seeds in columns.values() for figures in seeds if name in figures]
    return f"{min(found):.3f} to {max(found):.3f}" if len(found) > 1 else f"{found[0]:.3f}"
