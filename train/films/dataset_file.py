"""Embedded trajectories in files that say what they were made of, so that nothing stale is learnt from."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np

import jaxrm
from envs import criteria
from envs.humanoid import concepts, contact, instructions, measure, motion_truth
from envs.humanoid.motion_truth import Signs
from train.films.films import Dataset
from train.films.trajectories import Batch
from train.origin import tree_digest

ORACLE = (concepts, contact, criteria, instructions, measure, motion_truth)  # what it says follows from these
Datasets = dict[str, Dataset]


def seen_by(model: str) -> dict[str, str]:
    """Which weights saw frames, and which oracle judged them."""
    return {"weights": tree_digest(jaxrm.load_clip(model).model), "oracle": source_digest(ORACLE)}


def source_digest(modules: Sequence[ModuleType]) -> str:
    """Of what modules say, comments included."""
    text = b"".join(Path(str(module.__file__)).read_bytes() for module in modules)
    return hashlib.sha256(text).hexdigest()[:16]


def save(stamp: dict[str, str], datasets: Datasets, file: Path) -> None:
    """Writes a file of arrays, whole or not at all.

    Args:
      stamp: what they were made of.
    """
    arrays = {"source": np.array(_lines(stamp))}
    for name, data in datasets.items():
        arrays |= {f"{name}/{place}": np.asarray(x) for place, x in enumerate(jax.tree.leaves(data))}
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(file.name + ".part")
    with part.open("wb") as opened:
        np.savez(opened, allow_pickle=False, **arrays)
    part.replace(file)


def load(stamp: dict[str, str], file: Path, names: Sequence[str]) -> Datasets:
    """What `save` wrote.

    Raises:
      ValueError: the file holds what was made of something else, or no trajectories.
    """
    like = jax.tree.structure(Dataset(Batch(0, 0, 0, 0, Signs(0, 0, 0), 0), 0))  # pyright: ignore
    try:
        with np.load(file, allow_pickle=False) as opened:
            made = opened["source"].tolist()
            found = {
                name: [jnp.asarray(opened[f"{name}/{place}"]) for place in range(like.num_leaves)]
                for name in names
            }
    except (KeyError, OSError, EOFError, ValueError) as error:
        raise ValueError(
            f"{file} holds no trajectories that were embedded here: name another, or remove it"
        ) from error
    if made != _lines(stamp):
        raise ValueError(
            f"{file} holds trajectories of {', '.join(made)}; wanted are those of"
            f" {', '.join(_lines(stamp))}: name another file, or remove it"
        )
    return {name: jax.tree.unflatten(like, leaves) for name, leaves in found.items()}


def _lines(stamp: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in stamp.items()]
