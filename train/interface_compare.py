"""Trained interfaces beside each other: protocols and layers as columns, training seeds put together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tyro
from rich.console import Console

from jaxrm.weights.files import read_json
from train.interface_report import TRAINING, read_suite, shown


@dataclass(frozen=True)
class SuiteConfig:
    """Print what trained interfaces reached on what was held out."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Their folders."""

    def __post_init__(self) -> None:
        if not self.runs:
            raise ValueError("name the folder of an interface: python -m train suite runs/NAME")


def suite(config: SuiteConfig) -> None:
    """Prints what their training measured; of several interfaces also all of them beside each other."""
    tables = shown(*config.runs)
    if len(config.runs) > 1:
        tables += f"\n\n{compared(config.runs)}"
    Console().print(tables, highlight=False, soft_wrap=True)


class _Column(NamedTuple):
    """What was trained alike but for the seed."""

    protocol: str
    layers: int

    def title(self, seeds: int) -> str:
        depth = "linear" if not self.layers else f"{self.layers} block{'s' if self.layers > 1 else ''}"
        return f"{self.protocol}, {depth}, {seeds} seed{'s' if seeds > 1 else ''}"


def compared(folders: Sequence[Path]) -> str:
    """A Markdown table: the share of pairs in the right order by kind of perturbation and by what was held
    out, of each protocol and depth; the mean of training seeds and, of several, the lowest and highest.

    Raises:
      FileNotFoundError: a folder has no suite.
    """
    columns: dict[_Column, list[dict[str, tuple[float, float]]]] = {}
    for folder in dict.fromkeys(folders):
        options = read_json(folder / TRAINING)["options"]
        figures = _figures(read_suite(folder))
        columns.setdefault(_Column(options["protocol"], options["layers"]), []).append(figures)
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
