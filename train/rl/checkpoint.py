"""The training state on disk, by Orbax: written aside and renamed, so that a kill leaves the one before."""

from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
import orbax.checkpoint as ocp

from train.rl.learner import TrainState

T = TypeVar("T")
KEPT = 2


class Checkpoints:
    """Checkpoints of a run, named by iteration. Use as a context manager.

    Each holds `state` (everything); `policy` (what acts: its network and observation statistics alone);
    `reward` (what the reward has learnt, and how it scores success); and `about` (sizes, seconds, digests of
    the reward's weights and of the body).
    """

    def __init__(self, folder: Path, *, writes: bool = False) -> None:
        """`writes`: clear what a killed run left half written; a reader must not, the run may be alive."""
        self._manager = ocp.CheckpointManager(
            folder.absolute(),
            options=ocp.CheckpointManagerOptions(max_to_keep=KEPT, cleanup_tmp_directories=writes),
            item_names=("state", "policy", "reward", "about"),
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.wait_until_finished()
        self._manager.close()

    def latest(self) -> int | None:
        return self._manager.latest_step()

    def wait(self) -> None:
        """Until what was saved lies on disk."""
        self._manager.wait_until_finished()

    def clear(self, after: int = -1) -> None:
        """Drops what was saved after an iteration: it will be saved again."""
        for step in self._manager.all_steps():
            if step > after:
                self._manager.delete(step)

    def save(self, state: TrainState, about: dict[str, Any]) -> None:
        iteration = int(state.iteration)
        if iteration == self.latest():
            return
        self._manager.save(
            iteration,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(_flat(state)),
                policy=ocp.args.StandardSave(_flat((state.params["policy"], state.obs_stats))),
                reward=ocp.args.StandardSave(_flat((state.reward_state, state.success))),
                about=ocp.args.JsonSave(about),
            ),
        )

    def restore(self, like: TrainState, iteration: int | None = None) -> tuple[TrainState, dict[str, Any]]:
        """The newest state, or that of an iteration, with its `about`.

        `like` gives shapes and shardings (`jax.ShapeDtypeStruct` leaves will do).

        Raises:
          FileNotFoundError: there is none.
        """
        loaded = self._load(
            iteration, about=ocp.args.JsonRestore(), state=ocp.args.StandardRestore(_flat(like))
        )
        return _unflat(loaded["state"], like), loaded["about"]

    def restore_policy(self, like: T) -> T:
        """Network and observation statistics of the newest policy."""
        return _unflat(self._load(policy=ocp.args.StandardRestore(_flat(like)))["policy"], like)

    def restore_reward(self, like: T) -> T:
        """What the reward has learnt, and how it scores success."""
        return _unflat(self._load(reward=ocp.args.StandardRestore(_flat(like)))["reward"], like)

    def about(self, iteration: int | None = None) -> dict[str, Any]:
        """Of the newest, or of an iteration; raises FileNotFoundError where there is none."""
        return self._load(iteration, about=ocp.args.JsonRestore())["about"]

    def _load(self, iteration: int | None = None, **args: Any) -> Any:
        step = self.latest() if iteration is None else iteration
        if step is None:
            raise FileNotFoundError(f"no checkpoint in {str(self._manager.directory)!r}")
        return self._manager.restore(step, args=ocp.args.Composite(**args))


def _named(tree: Any) -> list[tuple[str, Any]]:
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]


def _flat(tree: Any) -> dict[str, Any]:
    """Leaves by path. Arrays without elements, which cannot be stored, are left out."""
    return {name: leaf for name, leaf in _named(tree) if np.prod(leaf.shape, dtype=int) > 0}


def _unflat(flat: dict[str, Any], like: T) -> T:
    leaves = [
        flat[name] if name in flat else jax.numpy.zeros(leaf.shape, leaf.dtype) for name, leaf in _named(like)
    ]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)
