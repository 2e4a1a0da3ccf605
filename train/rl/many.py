"""Several tasks and seeds of one config: where they lie, and one table of what came out."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any, TypeGuard

import numpy as np
from rich.console import Console
from rich.table import Table

from jaxrm.weights.files import write_json
from train.rl.config import PolicyConfig
from train.rl.folder import RunFolder

COLUMNS = {  # figures of `result.json`, and their heads in the table
    "success_start": "success before",
    "success_end": "success after",
    "truth_return_end": "true return",
    "reward_end": "reward",
    "false_positives_end": "false positives",
}


def check(config: PolicyConfig) -> None:
    """Refuses folders that have something else in them; see `RunFolder.check`, also for what it raises.

    Raises:
      FileExistsError: the folder of several runs has something in it and `resume` is not set.
    """
    folder = config.folder
    fresh = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if config.runs > 1 and not config.resume and not fresh:
        raise FileExistsError(
            f"{str(folder)!r} exists: go on with --resume, or take another folder with --out"
        )
    for single in config.of_runs():
        RunFolder(single.folder).check(single)


@contextlib.contextmanager
def folders_of(config: PolicyConfig) -> Iterator[list[RunFolder]]:
    """Makes the folders of all runs, or on `resume` finds them.

    Where an error ends it before anything was learnt, e.g. one of tracing, those that were made go again:
    they would stand in the way of the same command put right.
    """
    made: list[RunFolder] = []
    try:
        for single in config.of_runs():
            folder = RunFolder(single.folder)
            folder.create(single)
            made.append(folder)
        yield made
    except BaseException:
        if not config.resume and not any(folder.is_trained() for folder in made):
            for folder in made:
                folder.discard()
            if config.runs > 1:
                with contextlib.suppress(OSError):  # not empty
                    config.folder.rmdir()
        raise


def report(config: PolicyConfig, results: list[dict[str, Any]], console: Console) -> dict[str, Any]:
    """Prints the table and writes it to the folder's `result.json`: mean and values of each figure, and of
    each task the seed that its reward likes best, by which VLM-RM picks a policy (arXiv 2310.12921)."""
    table = Table(title=", ".join(config.tasks))
    table.add_column("task", overflow="fold", min_width=min(24, max(map(len, config.tasks))))
    names = [task for task in config.tasks for _ in range(config.seeds)]
    table.add_column("seed")
    for head in COLUMNS.values():
        table.add_column(head, justify="right")
    best = best_liked(names, results) if config.seeds > 1 else {}
    for name, result in zip(names, results, strict=True):
        mark = " *" if best.get(name) == result["seed"] else ""
        table.add_row(name, f"{result['seed']}{mark}", *(_shown(result[figure]) for figure in COLUMNS))
    values = {name: [result[name] for result in results] for name in COLUMNS}
    means = {name: _mean(column) for name, column in values.items()}
    table.add_row("mean", "", *(_shown(means[name]) for name in COLUMNS))
    if best:
        table.caption = "* the seed whose policy the reward likes best"
    console.print(table)
    same = ("reward", "algo", "env_steps", "train_seconds", "compile_seconds")
    whole = {
        **{name: results[0][name] for name in same},
        "wall_seconds": results[-1]["wall_seconds"],
        "env_steps_per_second": round(sum(result["env_steps_per_second"] for result in results), 1),
        **{f"{name}s": [result[name] for result in results] for name in ("task", "goal", "seed")},
        **{name: {"mean": means[name], "values": values[name]} for name in COLUMNS},
        "best_seeds": best,
    }
    write_json(config.folder / "result.json", whole)
    return whole


def best_liked(names: Sequence[str], results: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Of each task, by its name, the seed with the highest reward in the end; the predicate, which a user's
    own task may not have, has no say. A task whose rewards are not known has none."""
    pairs = zip(names, results, strict=True)
    known = [(name, result) for name, result in pairs if _is_known(result["reward_end"])]
    ranked = sorted(known, key=lambda pair: pair[1]["reward_end"])
    return {name: result["seed"] for name, result in ranked}


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if _is_known(value)]
    return float(np.mean(known)) if known else None


def _is_known(value: float | None) -> TypeGuard[float]:
    return value is not None and not math.isnan(value)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
