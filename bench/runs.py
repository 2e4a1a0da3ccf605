"""Runs of `python -m train policy` in processes of their own, kept and continued, for tables of many."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def train(folder: Path, words: list[str], seeds: int) -> list[tuple[Path, dict[str, Any]]]:
    """Trains unless that is done; a run that was stopped goes on.

    Args:
      folder: where the run's folder goes. The words that it was made with are kept beside it.
      words: the task and the options of `train policy`, but for --seeds and --out.
      seeds: trained in one program.

    Returns:
      Of every seed its folder and its `result.json`.

    Raises:
      SystemExit: the folder was made with other words.
    """
    words = ["policy", *words, f"--seeds={seeds}"]
    kept = folder.with_name(folder.name + ".command")
    if kept.is_file() and kept.read_text() != command(words):
        raise SystemExit(f"{folder} was made by `{kept.read_text()}`: take another --runs, or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(command(words))
    if not (folder / "result.json").is_file():
        resume = ["--resume"] if folder.exists() else []
        subprocess.run([sys.executable, "-m", "train", *words, f"--out={folder}", *resume], check=True)
    seats = [folder / f"seed{seed}" for seed in range(seeds)] if seeds > 1 else [folder]
    return [(seat, json.loads((seat / "result.json").read_text())) for seat in seats]


def command(words: list[str]) -> str:
    return " ".join(["python -m train", *words])
