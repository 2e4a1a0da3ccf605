"""A total, invertible map between the tensors of a published checkpoint and a tree of ours.

A family of models is one tuple of `Row`s. Only permutations of axes and stacking occur, so that mapping
there and back gives the same bits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import numpy as np

Tree = TypeVar("Tree")


class WeightsError(ValueError):
    """A checkpoint and a model do not fit; the message names each tensor."""


@dataclass(frozen=True)
class Row:
    """One array of ours and the tensors of theirs that it holds.

    Attributes:
      ours: path of the array in our tree, dotted.
      theirs: name of their tensor; `{layer}` and `{part}` stand for the axes below.
      axes: ours = theirs.transpose(axes); None: as it is.
      parts: names stacked on a new axis before the last (query, key, value of a fused projection).
      layers: number of layers stacked on a new first axis; 0: not stacked.
    """

    ours: str
    theirs: str
    axes: tuple[int, ...] | None = None
    parts: tuple[str, ...] = ()
    layers: int = 0

    def names(self) -> list[list[str]]:
        """Their names as [layer][part], with one of each where there is nothing to stack."""
        parts = self.parts or ("",)
        return [[self.theirs.format(layer=i, part=p) for p in parts] for i in range(max(self.layers, 1))]

    def shape_of_theirs(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one tensor of theirs, from the shape of ours."""
        if self.layers:
            shape = shape[1:]
        if self.parts:
            shape = (*shape[:-2], shape[-1])
        return shape if self.axes is None else tuple(shape[i] for i in np.argsort(self.axes))

    def join(self, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
        """Theirs -> ours."""
        layers = []
        for names in self.names():
            parts = [_permute(tensors[name], self.axes) for name in names]
            layers.append(np.stack(parts, axis=-2) if self.parts else parts[0])
        return np.stack(layers) if self.layers else layers[0]

    def split(self, array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Ours -> theirs, by name."""
        back = None if self.axes is None else tuple(np.argsort(self.axes))
        shape = self.shape_of_theirs(array.shape)
        for layer, names in zip(array if self.layers else [array], self.names(), strict=True):
            parts = np.moveaxis(layer, -2, 0) if self.parts else [layer]
            for part, name in zip(parts, names, strict=True):
                # ascontiguousarray makes a scalar a vector, reshape undoes that
                yield name, np.ascontiguousarray(_permute(part, back)).reshape(shape)


def _permute(array: np.ndarray, axes: tuple[int, ...] | None) -> np.ndarray:
    return array if axes is None else np.transpose(array, axes)  # numpy reverses the axes for None


def leaves_by_path(tree: Any) -> dict[str, Any]:
    """The leaves of a module by dotted path, in the order of `jax.tree.leaves`."""
    return {_dotted(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}


def _dotted(path: tuple) -> str:
    names = [key.name if isinstance(key, jax.tree_util.GetAttrKey) else str(key.idx) for key in path]
    return ".".join(names[:-1] if names[-1] == "value" else names)  # a Param is its array


def to_tree(
    table: Sequence[Row],
    abstract: Tree,
    tensors: Mapping[str, np.ndarray],
    ignored: frozenset[str] = frozenset(),
) -> Tree:
    """Their tensors -> a tree like `abstract`, in the dtypes of the tensors.

    Args:
      table: a row for every leaf of `abstract`.
      abstract: a tree of shapes (`Clip.abstract(config)`).
      tensors: theirs by name.
      ignored: names of harmless buffers that may be there and are not weights.

    Raises:
      WeightsError: a tensor is missing, unknown or has another shape; all of them are named.
    """
    leaves, treedef = leaves_by_path(abstract), jax.tree.structure(abstract)
    rows = {row.ours: row for row in table}
    if rows.keys() != leaves.keys():
        raise WeightsError(f"the table and the model differ in {sorted(rows.keys() ^ leaves.keys())}")
    wanted = {
        name: row.shape_of_theirs(leaves[path].shape)
        for path, row in rows.items()
        for names in row.names()
        for name in names
    }
    _check(wanted, {name: t.shape for name, t in tensors.items() if name not in ignored})
    return jax.tree.unflatten(treedef, [jax.numpy.asarray(rows[path].join(tensors)) for path in leaves])


def to_tensors(table: Sequence[Row], tree: Any) -> dict[str, np.ndarray]:
    """The inverse of `to_tree`: their tensors by name, on the host."""
    leaves = leaves_by_path(tree)
    return dict(pair for row in table for pair in row.split(np.asarray(leaves[row.ours])))


def _check(wanted: Mapping[str, tuple[int, ...]], given: Mapping[str, tuple[int, ...]]) -> None:
    faults = [f"missing: {name} {list(wanted[name])}" for name in sorted(wanted.keys() - given.keys())]
    faults += [f"unknown: {name} {list(given[name])}" for name in sorted(given.keys() - wanted.keys())]
    faults += [
        f"misshapen: {name} is {list(given[name])}, wanted {list(wanted[name])}"
        for name in sorted(wanted.keys() & given.keys())
        if tuple(given[name]) != tuple(wanted[name])
    ]
    if faults:
        raise WeightsError("the weights do not fit the model:\n  " + "\n  ".join(faults))
