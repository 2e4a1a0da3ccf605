"""Episodes of a policy while it learns, kept as films that interfaces learn from.

A policy finds what pleases a frozen reward and does not do what was said; films that we plan show nothing of
the kind. What tower and oracle saw of its running episodes is written while it learns, evenly over the run:

    python -m train policy TASK --reward likelihood --keep-episodes 4096
    python -m train interface --episodes runs/RUN
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from envs.humanoid.motion_truth import truth
from train.films.dataset_file import load, save, seen_by
from train.films.films import Dataset
from train.films.trajectories import Batch

MOMENTS = 32  # of a run at which running episodes are kept
FOLDER = "episodes"  # of a run: a file for each moment
NAME = "episodes"  # of the dataset in a file
_truths = jax.jit(jax.vmap(truth))


def moments(iterations: int) -> tuple[int, ...]:
    """After which iterations of a run episodes are kept; the last is one of them."""
    count = min(MOMENTS, iterations)
    return tuple((place + 1) * iterations // count for place in range(count))


def keeper(model: str, wanted: int, iterations: int, number: int) -> Callable[[Any, Path], None]:
    """`keep(memory, file)`: writes those running episodes that have shown most.

    Args:
      model: the tower's name.
      wanted: episodes of the whole run.
      iterations: of the whole run.
      number: the instruction's, the run's goal.

    Returns:
      A function of a `train.rl.likelihood.Prefix` that an oracle watched, and of the file.
    """
    stamp = seen_by(model)
    most = -(-wanted // len(moments(iterations)))

    def keep(memory: Any, file: Path) -> None:
        memory = jax.tree.map(lambda x: np.asarray(x).reshape(-1, *x.shape[2:]), memory)
        shown = np.flatnonzero(memory.count)
        shown = shown[np.argsort(-memory.count[shown], kind="stable")][:most]
        memory = jax.tree.map(lambda x: x[shown], memory)
        mask, (signs, qpos) = np.arange(memory.embeddings.shape[1]) < memory.count[:, None], memory.signs
        done = _truths(signs, mask)
        which, physics = jnp.full(len(shown), number, jnp.int32), jnp.ones(len(shown), bool)
        batch = Batch(qpos, jnp.asarray(mask), which, done, signs, physics)
        save(stamp, {NAME: Dataset(batch, memory.embeddings.astype(np.float16))}, file)

    return keep


def files_of(runs: Sequence[Path]) -> list[Path]:
    """What runs have kept.

    Raises:
      FileNotFoundError: a run has kept no episodes.
    """
    found = []
    for run in runs:
        files = sorted((run / FOLDER).glob("*.npz"))
        if not files:
            raise FileNotFoundError(f"{str(run)!r} has kept no episodes: train it with --keep-episodes N")
        found += files
    return found


def read(runs: Sequence[Path], model: str, frames: int) -> Dataset | None:
    """What runs have kept, in films of as many frames; None of no runs.

    Raises:
      FileNotFoundError: a run has kept no episodes.
      ValueError: another tower or oracle saw them, a file holds something else, or episodes are longer.
    """
    if not runs:
        return None
    stamp = seen_by(model)
    parts = [load(stamp, file, (NAME,))[NAME] for file in files_of(runs)]
    longest = max(part.embeddings.shape[1] for part in parts)
    if longest > frames:
        raise ValueError(f"episodes of {longest} frames are longer than films, which have {frames}")
    return jax.tree.map(lambda *x: jnp.concatenate(x), *(part.lengthened(frames) for part in parts))
