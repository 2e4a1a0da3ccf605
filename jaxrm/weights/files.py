"""Where a checkpoint lies and how its files are read and written: safetensors and JSON, nothing else."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save as safetensors_bytes

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
# What is fetched from the hub: no pickle and no code ever is.
HUB_FILES = ("model.safetensors", "model-*-of-*.safetensors", "*.json", "merges.txt", "*.model")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
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
    for shelf in _SHELVES:
        if len(Path(text).parts) == 1 and (shelf / text / "config.json").is_file():
            return shelf / text
    if len(Path(text).parts) != 2 or path.is_absolute() or text.startswith((".", "~", "checkpoints/")):
        known = ", ".join(known_names()) or "none"
        raise FileNotFoundError(
            f"no checkpoint {text!r}: not a directory and not the name of a model that comes with us "
            f"(known: {known}); a model of the hub is named 'organisation/name'"
        )
    return _download(text)


def known_names() -> list[str]:
    """The models that come with us."""
    return sorted({config.parent.name for shelf in _SHELVES for config in shelf.glob("*/config.json")})


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download  # slow to import, and most runs need no network

    try:
        return Path(snapshot_download(name, allow_patterns=list(HUB_FILES)))
    except Exception as error:  # no network, no such model, an impossible name: one meaning
        raise FileNotFoundError(
            f"no directory {name!r}, and the Hugging Face hub did not give a model of that name: {error}"
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; the error names the file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds a {type(value).__name__}, wanted an object")
    return value


def read_config(directory: Path) -> dict[str, Any]:
    """config.json of a checkpoint."""
    path = directory / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{directory} has no config.json, so it is not a Hugging Face checkpoint")
    return read_json(path)


def read_tensors(directory: Path) -> dict[str, np.ndarray]:
    """All tensors of a directory by name, from one file or from the shards that the index names.

    Raises:
      FileNotFoundError: no safetensors there, or a shard is missing.
    """
    if (directory / SINGLE).is_file():
        files = [directory / SINGLE]
    elif (directory / INDEX).is_file():
        shards = read_json(directory / INDEX)["weight_map"].values()
        files = [_inside(directory, name) for name in sorted(set(shards))]
    else:
        raise FileNotFoundError(_without_safetensors(directory))
    tensors: dict[str, np.ndarray] = {}
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(f"{directory / INDEX} names the shard {file.name}, which is not there")
        with safe_open(file, framework="numpy") as opened:
            tensors |= {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (no mapping)
    return tensors


def _inside(directory: Path, name: str) -> Path:
    if Path(name).name != name:
        raise ValueError(f"{directory / INDEX} names {name!r}, which is not a file of that directory")
    return directory / name


def _without_safetensors(directory: Path) -> str:
    pickles = sorted(file.name for pattern in _PICKLES for file in directory.glob(pattern))
    if not pickles:
        return f"{directory} has neither {SINGLE} nor {INDEX}"
    return (
        f"{directory} holds its weights as {', '.join(pickles)} only. Such files can run code when they are "
        "opened, so they are never loaded here. Convert a checkpoint that you trust once, where torch and "
        'transformers are installed: python -c "from transformers import AutoModel as M; '
        f"M.from_pretrained('{directory}').save_pretrained('{directory}')\""
    )


def write_tensors(directory: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """model.safetensors, readable by torch."""
    write_bytes(directory / SINGLE, safetensors_bytes(dict(tensors), metadata={"format": "pt"}))


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
