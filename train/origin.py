"""Where something came from: which weights and body, how a checkpoint was made, as its card says it."""

import dataclasses
import hashlib
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import jax
import mujoco
import numpy as np


def origin(program: str, config: Any, seconds: float, without: Collection[str] = ()) -> dict[str, Any]:
    """The command that asks for all that differs from the defaults, how long it took, and on what.

    Args:
      config: a dataclass as the command line takes it, all of whose fields have defaults.
      without: fields that do not belong into the command.
    """
    default = type(config)()
    options = [
        _option(field.name, getattr(config, field.name))
        for field in dataclasses.fields(config)
        if field.name not in without and getattr(config, field.name) != getattr(default, field.name)
    ]
    return {
        "command": " ".join(["python -m train", program, *options]),
        "minutes": round(seconds / 60, 1),
        "device": f"{jax.default_backend()}, {jax.device_count()} device(s), {os.cpu_count()} host cores",
    }


def _option(name: str, value: Any) -> str:
    name = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    values = value if isinstance(value, tuple) else (value,)
    return " ".join([f"--{name}", *map(str, values)])


def check_free(folder: Path, overwrite: bool) -> None:
    """Raises FileExistsError where a folder holds a checkpoint that is not to be replaced."""
    if (folder / "config.json").exists() and not overwrite:
        raise FileExistsError(f"{str(folder)!r} holds a checkpoint: take another --out, or --overwrite")


def tree_digest(tree: Any) -> str:
    """Of all arrays of a tree, in order."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()[:16]


def body_digest(model: mujoco.MjModel) -> dict[str, str]:
    """Of the numbers of a compiled model: physics, looks and options, not names; and of which MuJoCo.

    Rounded, so that machines agree. Versions need not: other ones may compile the same file otherwise.
    """
    digest, vis = hashlib.sha256(), model.vis
    for part in (model, model.opt, model.stat, vis.headlight, vis.map, vis.rgba):
        for name in sorted(dir(part)):
            value = getattr(part, name)
            if name.startswith(("_", "name")) or name.endswith("pathadr"):  # where names and paths lie
                continue
            if isinstance(value, np.ndarray) or (part is not model and isinstance(value, int | float)):
                value = np.asarray(value)
                if value.dtype.kind == "f":
                    value = np.round(value.astype(np.float64), 6) + 0.0  # no -0
                digest.update(name.encode() + value.tobytes())
    return {"mujoco": mujoco.__version__, "digest": digest.hexdigest()[:16]}
