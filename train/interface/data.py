"""Embedded trajectories that are made once and kept in a file, so that several trainings look at the same."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp

import jaxrm
from envs.humanoid import body, motions, postures, skins, tasks
from envs.humanoid.motions import Motions
from train import looks, scenes
from train.films import films, trajectories
from train.films.dataset_file import Datasets, load, save, seen_by, source_digest
from train.films.films import Dataset, maker
from train.films.trajectories import FAILING, FREE, SPLITS

MAKERS = (body, films, looks, motions, postures, scenes, skins, trajectories)  # of them films follow
TASK = "standing"  # whose body and scene the trajectories are of
TOLD = 0x746F6C64  # stream of keys
BLOCK = 256  # trajectories a call of the compiled program
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
        """What a file made of it must say: also how motions, cameras and looks were drawn (not the physics
        and the renderer under them), which weights saw, and which oracle judged."""
        told = {name: str(value) for name, value in self._asdict().items()}
        return told | {"makers": source_digest(MAKERS)} | seen_by(self.model)


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
    """Films that show these instructions and no others, at least `count` of each, by bodies that move as
    policies do; kept beside the `file` of the others."""
    stamp = source.stamp() | {"told": str(numbers), "count": str(count), "bodies": FREE}
    beside = file and file.with_stem(f"{file.stem}-told")
    key = jax.random.fold_in(jax.random.key(source.seed), TOLD)

    def build() -> Datasets:
        return {"told": _maker(source.model)(key, count * len(numbers), FREE, numbers)}

    return _load_or(build, stamp, beside, ("told",))["told"]


def make_some(model: str, number: int, count: int, seed: int) -> Dataset:
    """Films that did what they were told: of `count` of any instruction, and of as many of the one of this
    number, by bodies that move as policies do.

    Raises:
      ValueError: none of the latter did.
    """
    build = _maker(model, min(BLOCK, count))
    keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), TOLD))
    made = build(keys[0], count).done_only(), build(keys[1], count, FREE, (number,)).done_only()
    if not len(made[1].embeddings):
        raise ValueError(
            f"none of {count} films shows what the interface is to learn: give more --interface-films"
        )
    return jax.tree.map(lambda *x: jnp.concatenate(x), *made)


@functools.cache  # compiled once for all that a training makes
def _maker(model: str, block: int = BLOCK) -> Callable[..., Dataset]:
    clip = jaxrm.load_clip(model)
    return maker(Motions(tasks.factory(TASK)()), clip.model, clip.processor.images, block=block)


def held_out(datasets: Datasets) -> Datasets:
    """Of each kind that is held out the trajectories that did what they were to do."""
    return {name: data.done_only() for name, data in datasets.items() if name not in (_TRAIN, FAILING)}


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
