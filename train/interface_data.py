"""Embedded trajectories in a file, so that several trainings look at the same films once."""

import functools
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxrm
from envs import criteria
from envs.humanoid import concepts, contact, instructions, measure, motion_truth, tasks
from envs.humanoid.motion_truth import Signs
from envs.humanoid.motions import Motions
from train.origin import tree_digest
from train.trajectories import FAILING, SPLITS, Batch, Dataset, maker

TASK = "standing"  # whose body and scene the trajectories are of
TOLD = 0x746F6C64  # stream of keys
BLOCK = 256  # trajectories a call of the compiled program
ORACLE = (concepts, contact, criteria, instructions, measure, motion_truth)  # what it says follows from these
_TRAIN = "train"
_UNSEEN = "unseen"  # of the training split, of another seed: other starts, and for other wordings


class Source(NamedTuple):
    """What datasets are made of; a file of another source is refused.

    Attributes:
      model: the CLIP whose tower looks.
      trajectories: of training, at least.
      judged: of each kind that is held out, at least.
      seed: of all.
    """

    model: str
    trajectories: int
    judged: int
    seed: int

    def stamp(self) -> dict[str, str]:
        """What a file made of it must say: also which weights saw, and which oracle judged."""
        return {name: str(value) for name, value in self._asdict().items()} | seen_by(self.model)


def seen_by(model: str) -> dict[str, str]:
    """Which weights saw frames, and which oracle judged them."""
    judged_by = hashlib.sha256(b"".join(Path(str(part.__file__)).read_bytes() for part in ORACLE))
    weights = tree_digest(jaxrm.load_clip(model).model)
    return {"weights": weights, "oracle": judged_by.hexdigest()[:16]}


Datasets = dict[str, Dataset]


def names() -> tuple[str, ...]:
    """Of the datasets: that of training, those held out, and films of bodies that fail."""
    return (_TRAIN, *(_UNSEEN if split == _TRAIN else split for split in SPLITS), FAILING)


def make(source: Source) -> Datasets:
    """Makes, films and embeds trajectories: of training, of each kind that is held out, and as many as of
    training of bodies that fail."""
    build = _maker(source.model)
    keys = jax.random.split(jax.random.key(source.seed), len(names()))
    made = {}
    for name, key in zip(names(), keys, strict=True):
        count = source.trajectories if name in (_TRAIN, FAILING) else source.judged
        made[name] = build(key, count, _TRAIN if name == _UNSEEN else name)
    return made


def make_told(source: Source, numbers: tuple[int, ...], count: int, file: Path | None) -> Dataset:
    """Films of training that show these instructions and no others, at least `count` of each; kept beside
    the `file` of the others."""
    stamp = source.stamp() | {"told": str(numbers), "count": str(count)}
    beside = file and file.with_stem(f"{file.stem}-told")
    key = jax.random.fold_in(jax.random.key(source.seed), TOLD)

    def build() -> Datasets:
        return {"told": _maker(source.model)(key, count * len(numbers), _TRAIN, numbers)}

    return _load_or(build, stamp, beside, ("told",))["told"]


@functools.cache  # compiled once for all that a training makes
def _maker(model: str) -> Callable[..., Dataset]:
    clip = jaxrm.load_clip(model)
    return maker(Motions(tasks.factory(TASK)()), clip.model, clip.processor.images, block=BLOCK)


def make_or_load(source: Source, file: Path | None) -> Datasets:
    """The datasets of a file, which is written first where it is not there; None: made and kept nowhere.

    Raises:
      ValueError: the file holds the datasets of another source, or something else.
    """
    return _load_or(lambda: make(source), source.stamp(), file, names())


def _load_or(
    build: Callable[[], Datasets], stamp: dict[str, str], file: Path | None, names: Sequence[str]
) -> Datasets:
    if file is not None and file.exists():
        return load(stamp, file, names)
    made = build()
    if file is not None:
        save(stamp, made, file)
    return made


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
        raise ValueError(f"{file} holds no trajectories that were embedded here: {error}") from error
    if made != _lines(stamp):
        raise ValueError(
            f"{file} holds trajectories of {', '.join(made)}; wanted are those of"
            f" {', '.join(_lines(stamp))}: name another file, or remove it"
        )
    return {name: jax.tree.unflatten(like, leaves) for name, leaves in found.items()}


def _lines(stamp: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in stamp.items()]
