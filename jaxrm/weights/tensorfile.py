"""One safetensors file -> its tensors, or an error that says what is wrong with the file."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from jaxrm.weights.table import WeightsError

# What weights and their counters are kept in; quantised and complex formats need code that we do not have.
DTYPES = ("F16", "BF16", "F32", "F64", "I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64", "BOOL")


def read_file(path: Path) -> dict[str, np.ndarray]:
    """All tensors of a file by name, each with the dtype and shape that its header gives.

    Raises:
      WeightsError: the file is cut short, its header is no sound JSON, names a tensor twice, an unknown
        dtype, or offsets that overlap, leave holes or do not fit the shapes.
      OSError: it cannot be read.
    """
    if path.stat().st_size == 0:
        raise WeightsError(f"{path} is empty")
    os.close(os.open(path, os.O_RDONLY))  # tells a lack of permission in the system's own words
    try:
        with safe_open(path, framework="numpy") as opened:
            _check_header(path, _read_header(path))
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (no mapping)
    except SafetensorError as error:
        raise WeightsError(f"{path} is not a sound safetensors file: {error}{_hint(path)}") from error


def _read_header(path: Path) -> list[tuple[str, Any]]:
    """The header's pairs, repeated names included."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        return json.loads(file.read(size), object_pairs_hook=list)


def _check_header(path: Path, header: list[tuple[str, Any]]) -> None:
    """What the parser lets through: a name given twice, and dtypes that numpy has no name for."""
    seen = set()
    for name, fields in header:
        if name in seen:
            raise WeightsError(f"{path} names the tensor {name!r} twice")
        seen.add(name)
        if name != "__metadata__" and (dtype := dict(fields).get("dtype")) not in DTYPES:
            raise WeightsError(f"{path}: {name} has dtype {dtype}, known are {', '.join(DTYPES)}")


def _hint(path: Path) -> str:
    """A download that stopped, and a pointer that git left in place of the file, are the usual causes."""
    with path.open("rb") as file:
        start = file.read(64)
        if start.startswith(b"version https://git-lfs"):
            return " (it is a pointer of git-lfs: `git lfs pull` fetches the file itself)"
        return f" ({path.stat().st_size} bytes; if a download stopped early, fetch it again)"
