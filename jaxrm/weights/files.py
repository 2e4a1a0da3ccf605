"""Where a checkpoint lies and how its files are read and written: safetensors and JSON, nothing else."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as safetensors_bytes

from jaxrm.weights import hub
from jaxrm.weights.hub import OPEN_CLIP, PICKLES, SINGLE
from jaxrm.weights.table import WeightsError
from jaxrm.weights.tensorfile import read_file

INDEX = f"{SINGLE}.index.json"
_PACKAGE = Path(__file__).resolve().parents[1]
_SHELVES = (_PACKAGE / "checkpoints", _PACKAGE.parent / "checkpoints")  # the wheel's and the checkout's


def find(name: str | os.PathLike) -> Path:
    """A directory, the name of a model that comes with us, or a hub id ("org/name") -> a directory.

    Raises:
      FileNotFoundError: there is nothing of that name; the message says what was looked for.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    text = os.fspath(name)
    if path.is_file():
        raise FileNotFoundError(
            f"{text!r} is a file: name the directory of a checkpoint, config.json and all"
        )
    for shelf in _SHELVES:
        if len(Path(text).parts) == 1 and (shelf / text / "config.json").is_file():
            return shelf / text
    if len(Path(text).parts) != 2 or path.is_absolute() or text.startswith((".", "~", "checkpoints/")):
        known = ", ".join(known_names()) or "none"
        raise FileNotFoundError(
            f"no checkpoint {text!r}: not a directory and not the name of a model that comes with us "
            f"(known: {known}); a model of the hub is named 'organisation/name'"
        )
    return hub.fetch(text)


def known_names() -> list[str]:
    """The models that come with us."""
    return sorted({config.parent.name for shelf in _SHELVES for config in shelf.glob("*/config.json")})


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; the error names the file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds a {type(value).__name__}, wanted an object")
    return value


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Whatever goes wrong over the fields of a JSON file becomes a ValueError that names the file."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        if str(path) in str(error):
            raise
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise ValueError(f"{path} has fields that cannot be used: {kind}{error}") from error


def read_config(directory: Path) -> dict[str, Any]:
    """config.json of a checkpoint."""
    path = directory / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{directory} has no config.json, so it is not a Hugging Face checkpoint")
    return read_json(path)


def read_tensors(directory: Path, names: Sequence[str] = (SINGLE, OPEN_CLIP)) -> dict[str, np.ndarray]:
    """All tensors of a directory by name, from one file or from the shards that its index names.

    Args:
      directory: a local directory.
      names: files to look for, the first that is there is read; each may come in shards, with an index
        of its name and ".index.json".

    Raises:
      FileNotFoundError: no safetensors there, or a shard is missing.
      WeightsError: a file is corrupt, or the shards and their index do not agree.
    """
    for name in names:
        if (directory / name).is_file():
            return read_file(directory / name)
        if (directory / f"{name}.index.json").is_file():
            return _read_shards(directory / f"{name}.index.json")
    raise FileNotFoundError(_without_safetensors(directory, names))


def _read_shards(index: Path) -> dict[str, np.ndarray]:
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
        raise WeightsError(f"{index} has no weight_map from the names of tensors to the files that hold them")
    tensors: dict[str, np.ndarray] = {}
    for shard in sorted(set(weight_map.values())):
        # A name from a file must not reach out of the directory.
        if Path(shard).name != shard or "\0" in shard:
            raise ValueError(f"{index} names {shard!r}, which is not a file of that directory")
        if not (index.parent / shard).is_file():
            raise FileNotFoundError(f"{index} names the shard {shard}, which is not there")
        read = read_file(index.parent / shard)
        if twice := sorted(tensors.keys() & read.keys()):
            raise WeightsError(f"{index.parent / shard} repeats tensors of another shard: {', '.join(twice)}")
        tensors |= read
    if missing := sorted(weight_map.keys() - tensors.keys()):
        raise WeightsError(f"{index} names tensors that no shard holds: {', '.join(missing)}")
    return tensors


def _without_safetensors(directory: Path, names: Sequence[str]) -> str:
    pickles = sorted(file.name for file in directory.iterdir() if file.name.endswith(PICKLES))
    if pickles:
        return f"{directory} {hub.pickle_advice(pickles, str(directory), directory)}"
    wanted = " nor ".join(f"{name} nor {name}.index.json" for name in names)
    return f"{directory} has neither {wanted}"


def write_tensors(directory: Path, tensors: Mapping[str, np.ndarray], name: str = SINGLE) -> None:
    """One safetensors file, readable by torch."""
    write_bytes(directory / name, safetensors_bytes(dict(tensors), metadata={"format": "pt"}))


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """A JSON object, indented."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would hide the file from everyone else
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
