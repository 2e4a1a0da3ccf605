"""Runs of `python -m train policy` in processes of their own, kept and continued, for tables of many."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from train import cli
from train.rl.config import PolicyConfig
from train.rl.folder import HOST_FIELDS, RunFolder, differences

NO_MATTER = (*HOST_FIELDS, "video_episodes", "video_size", "allow_unknown_words")  # to the figures of a run


def train(folder: Path, words: list[str], seeds: int) -> list[tuple[Path, dict[str, Any]]]:
    """Trains unless that is done; a run that was stopped goes on.

    Args:
      folder: where the run's folder goes.
      words: the task and the options of `train policy`, but for --seeds and --out.
      seeds: trained in one program.

    Returns:
      Of every seed its folder and its `result.json`.

    Raises:
      SystemExit: the folder holds a run of other settings; a recipe may have changed since.
    """
    words = ["policy", *words, f"--seeds={seeds}"]
    singles = cli.parse_policy([*words[1:], f"--out={folder}"]).of_runs()
    for single in singles:
        check(single)
    seats = [single.folder for single in singles]
    if not all((seat / "result.json").is_file() for seat in seats):
        resume = ["--resume"] if folder.exists() else []
        subprocess.run([sys.executable, "-m", "train", *words, f"--out={folder}", *resume], check=True)
    return [(seat, json.loads((seat / "result.json").read_text())) for seat in seats]


def check(config: PolicyConfig) -> None:
    """Refuses a folder with a run of other settings; see `train`.

    As written: what a run of an older version does not say is not taken from today's recipe. A setting that
    no recipe gives had its default's effect before there was a setting.
    """
    folder = RunFolder(config.folder)
    before = folder.read_plain()
    usual = {field.name: field.default for field in dataclasses.fields(config)}
    usual = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in usual.items()
        if value not in (None, dataclasses.MISSING)
    }
    other = "" if before is None else differences(usual | before, config, NO_MATTER)
    if other:
        raise SystemExit(
            f"{folder.path} has a run of other settings: {other}. Remove it or take other --runs"
        )


def command(words: list[str]) -> str:
    return " ".join(["python -m train", *words])
