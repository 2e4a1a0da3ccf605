"""A run's folder: its config, its metrics, its result; what is written where, and when it is refused."""

import contextlib
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from jaxrm.weights.files import naming, write_bytes, write_json
from train.films.episodes import FOLDER as EPISODES
from train.rl.config import PolicyConfig

# Fields that do not change what a run computes, so that a resumed run may have others.
HOST_FIELDS = ("out", "resume", "seconds_per_call", "calls_per_checkpoint")
_BROKEN = "mend it, or train in another folder"


@dataclasses.dataclass(frozen=True)
class RunFolder:
    path: Path

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def videos(self) -> Path:
        return self.path / "videos"

    @property
    def interface(self) -> Path:
        """What a reward has learnt."""
        return self.path / "interface"

    @property
    def episodes(self) -> Path:
        """Those that were kept, in a file for each moment; see `train.films.episodes`."""
        return self.path / EPISODES

    @property
    def rollouts(self) -> Path:
        return self.path / "rollouts.npz"

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    def read_config(self) -> PolicyConfig:
        """The run's own.

        Raises:
          FileNotFoundError: there is no run; names the runs of several seeds or tasks that lie in the folder.
          ValueError: the file is broken, or has fields that cannot be used; names it.
        """
        plain = self.read_plain()
        if plain is None:
            inside = ", ".join(sorted(str(file.parent) for file in self.path.glob("*/config.yaml")))
            hint = f"it holds several, name one: {inside}" if inside else "it has no config.yaml"
            raise FileNotFoundError(f"no run in {str(self.path)!r}: {hint}")
        with naming(self.config):
            return _from_plain(plain)

    def read_plain(self) -> dict[str, Any] | None:
        """The config as it is written, by whatever version; None where there is no run.

        Raises:
          ValueError: the file is broken; names it.
        """
        if not self.config.is_file():
            return None
        try:
            plain = yaml.safe_load(self.config.read_text())
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            told = " ".join(str(error).split())
            raise ValueError(f"{self.config} is not YAML ({told}): {_BROKEN}") from error
        if not isinstance(plain, dict):
            raise ValueError(f"{self.config} has no settings: {_BROKEN}")
        return plain

    def create(self, config: PolicyConfig) -> None:
        """Makes the folder, or on `resume` checks that it holds the same run."""
        self.check(config)
        self.videos.mkdir(parents=True, exist_ok=True)
        self.checkpoints.mkdir(exist_ok=True)
        before = self.read_plain()
        if before is None:
            write_bytes(self.config, yaml.safe_dump(to_plain(config), sort_keys=False).encode())
        elif before.get("steps", config.steps) < config.steps:
            write_bytes(
                self.config, yaml.safe_dump(before | {"steps": config.steps}, sort_keys=False).encode()
            )

    def discard(self) -> None:
        """Takes away what a run writes, and the folder if nothing else lies in it."""
        for folder in (self.videos, self.checkpoints, self.episodes):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (self.config, self.metrics, *self.path.glob("events.out.tfevents.*")):
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty
            self.path.rmdir()

    def check(self, config: PolicyConfig) -> None:
        """Refuses a folder that exists, and on `resume` one of another config; it may have more steps where
        nothing depends on how many: neither the learning rate, without `decay`, nor which episodes are kept.

        Raises:
          FileExistsError: the folder has something in it and `resume` is not set.
          FileNotFoundError: `resume` is set and there is no run.
          ValueError: `resume` is set and the config differs; names the fields.
        """
        if not config.resume:
            if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
                raise FileExistsError(
                    f"{str(self.path)!r} exists: go on with --resume, or take another folder with --out"
                )
            return
        before = to_plain(self.read_config())
        more, needed = config.steps > before["steps"], _of_all_steps(config)
        free = ("steps",) if more and not needed else ()
        other = differences(before, config, (*HOST_FIELDS, "allow_unknown_words", *free))
        if other:
            why = f" ({needed} depends on all steps)" if more and needed else ""
            raise ValueError(f"cannot resume {str(self.path)!r} with another config: {other}{why}")

    def is_trained(self) -> bool:
        """Whether there is anything of training that would be lost with the folder."""
        learnt = any(row["iteration"] > 0 for row in self.read_metrics())
        return learnt or any(self.checkpoints.glob("[0-9]*"))

    def append_metrics(self, rows: list[dict[str, Any]]) -> None:
        with self.metrics.open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)

    def read_metrics(self) -> list[dict[str, Any]]:
        """Whole lines; a line that a kill cut short is left out."""
        if not self.metrics.exists():
            return []
        lines = self.metrics.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def cut_metrics(self, iteration: int) -> None:
        """Drops what was logged after `iteration`: a resumed run writes it again."""
        rows = [row for row in self.read_metrics() if row["iteration"] <= iteration]
        write_bytes(self.metrics, "".join(json.dumps(row) + "\n" for row in rows).encode())

    def write_result(self, result: dict[str, Any], name: str = "result.json") -> None:
        write_json(self.path / name, result)


def _of_all_steps(config: PolicyConfig) -> str:
    """What of a run depends on how many steps it will have; empty: nothing."""
    if config.decay:
        return "with decay the learning rate"
    return "with keep_episodes what is kept" if config.keep_episodes else ""


def differences(before: dict[str, Any], config: PolicyConfig, ignored: tuple[str, ...] = HOST_FIELDS) -> str:
    """What `config` has otherwise than a config as `config.yaml` has it, for people; empty: nothing."""
    now = to_plain(config)
    other = [name for name in now if name not in ignored and before.get(name) != now[name]]
    return "; ".join(f"{name} was {before.get(name)!r}, now {now[name]!r}" for name in other)


def to_plain(config: PolicyConfig) -> dict[str, Any]:
    """As `config.yaml` has it."""
    plain = dataclasses.asdict(config)
    for name, value in plain.items():
        if isinstance(value, tuple):
            plain[name] = list(value)
        elif isinstance(value, Path):
            plain[name] = str(value)
    return plain


def _from_plain(plain: dict[str, Any]) -> PolicyConfig:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in plain.items()}
    if values.get("out") is not None:
        values["out"] = Path(values["out"])
    known = {field.name for field in dataclasses.fields(PolicyConfig)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"unknown here: {', '.join(unknown)}")
    config = PolicyConfig(**values)
    for name, usual in vars(PolicyConfig(config.task)).items():  # YAML takes 8e5 for a word
        if isinstance(usual, int | float) and not isinstance(value := getattr(config, name), int | float):
            raise ValueError(f"{name} is {value!r}, not a number")
    return config
