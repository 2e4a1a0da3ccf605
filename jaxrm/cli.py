"""The command line `jaxrm`: a program's name, then what tyro makes of its config."""

import dataclasses
import importlib
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

import tyro

from jaxrm import programs

_USAGE = """\
usage: jaxrm PROGRAM ...

programs:
  score PATH "PROMPT" ["PROMPT" ...]   score an image, a folder, a GIF or a video against sentences
  inspect MODEL                        what a checkpoint is: family, sizes, FLOPs a frame, preprocessing

`jaxrm PROGRAM --help` tells more."""


@dataclasses.dataclass(frozen=True)
class InspectConfig:
    """Tell what a checkpoint is."""

    model: tyro.conf.Positional[str]
    """A directory, a model that comes with us, or a hub id (organisation/name)."""


def main(arguments: list[str] | None = None) -> int:
    """Runs a program; see `jaxrm.programs.run`.

    What nobody foresaw, a checkpoint garbled in a new way or a fault of ours, is told in one line too: exit
    status 1. With JAXRM_TRACEBACK set errors are raised instead.
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _note
            return programs.run(_PROGRAMS, _USAGE, sys.argv[1:] if arguments is None else arguments)
    except Exception as error:
        if os.environ.get("JAXRM_TRACEBACK"):
            raise
        return programs.complain(f"{type(error).__name__}: {error} (JAXRM_TRACEBACK=1 shows where)", 1)


def _score(arguments: list[str]) -> None:
    _wants(arguments, 'name a path first, then prompts: jaxrm score clip.mp4 "a humanoid robot kneeling"')
    score: Any = importlib.import_module("jaxrm.score")  # jax and matplotlib are slow to import
    print(score.score_path(_parse(score.ScoreConfig, "score", arguments)))


def _inspect(arguments: list[str]) -> None:
    _wants(arguments, "name a model: jaxrm inspect scene-clip")
    config = _parse(InspectConfig, "inspect", arguments)
    importlib.import_module("jaxrm.describe").print_description(config.model)


def _wants(arguments: list[str], message: str) -> None:
    if not arguments:
        raise ValueError(message)


def _parse(kind: Any, program: str, arguments: list[str]) -> Any:
    return tyro.cli(kind, prog=f"jaxrm {program}", args=arguments)


def _note(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning in one line, without the line of code that it comes from."""
    print(f"note: {message}", file=sys.stderr)


_PROGRAMS: dict[str, Callable[[list[str]], None]] = {"score": _score, "inspect": _inspect}
