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
      first: number of the first of these layers.
      fused: one axis of theirs, the last after the transpose, is our last two: [fused, the rest]; 0: none.
      ones: leading axes of length 1 that theirs has and ours has not.
    """

    ours: str
    theirs: str
    axes: tuple[int, ...] | None = None
    parts: tuple[str, ...] = ()
    layers: int = 0
    first: int = 0
    fused: int = 0
    ones: int = 0

    def names(self) -> list[list[str]]:
        """Their names as [layer][part], with one of each where there is nothing to stack."""
        parts, numbers = self.parts or ("",), range(self.first, self.first + max(self.layers, 1))
        return [[self.theirs.format(layer=i, part=p) for p in parts] for i in numbers]

    def shape_of_theirs(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one tensor of theirs, from the shape of ours."""
        if self.layers:
            shape = shape[1:]
        if self.parts:
            shape = (*shape[:-2], shape[-1])
        if self.fused:
            shape = (*shape[:-2], shape[-2] * shape[-1])
        if self.axes is not None:
            shape = tuple(shape[i] for i in np.argsort(self.axes))
        return (1,) * self.ones + shape

    def shapes(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """The shapes of all tensors of theirs by name, from the shape of ours."""
        there = self.shape_of_theirs(shape)
        return {name: there for names in self.names() for name in names}

    def join(self, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
        """Theirs -> ours."""
        layers = []
        for names in self.names():
            parts = [self._one(tensors[name]) for name in names]
            layers.append(np.stack(parts, axis=-2) if self.parts else parts[0])
        return np.stack(layers) if self.layers else layers[0]

    def _one(self, tensor: np.ndarray) -> np.ndarray:
        tensor = _permute(tensor.reshape(tensor.shape[self.ones :]), self.axes)
        return tensor.reshape(*tensor.shape[:-1], self.fused, -1) if self.fused else tensor

    def split(self, array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Ours -> theirs, by name."""
        back = None if self.axes is None else tuple(np.argsort(self.axes))
        shape = self.shape_of_theirs(array.shape)
        for layer, names in zip(array if self.layers else [array], self.names(), strict=True):
            parts = np.moveaxis(layer, -2, 0) if self.parts else [layer]
            for part, name in zip(parts, names, strict=True):
                whole = part.reshape(*part.shape[:-2], -1) if self.fused else part
                # ascontiguousarray makes a scalar a vector, reshape undoes that
                yield name, np.ascontiguousarray(_permute(whole, back)).reshape(shape)


def _permute(array: np.ndarray, axes: tuple[int, ...] | None) -> np.ndarray:
    return array if axes is None else np.transpose(array, axes)  # numpy reverses the axes for None


def leaves_by_path(tree: Any) -> dict[str, Any]:
    """The leaves of a module by dotted path, in the order of `jax.tree.leaves`."""
    return {_dotted(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}


def _dotted(path: tuple) -> str:
    names = [key.name if isinstance(key, jax.tree_util.GetAttrKey) else str(key.idx) for key in path]
    return ".".join(names[:-1] if names[-1] == "value" else names)  # a Param is its array


def names_and_shapes(table: Sequence[Row], abstract: Any) -> dict[str, tuple[int, ...]]:
    """Every tensor that a checkpoint of this model holds.

    Raises:
      WeightsError: the table is not total: a leaf of the model without a row, or a row without a leaf.
    """
    leaves = leaves_by_path(abstract)
    rows = {row.ours: row for row in table}
    if rows.keys() != leaves.keys() or len(rows) != len(table):
        raise WeightsError(f"the table and the model differ in {sorted(rows.keys() ^ leaves.keys())}")
    return {n: shape for path, row in rows.items() for n, shape in row.shapes(leaves[path].shape).items()}


def to_tree(table: Sequence[Row], abstract: Tree, tensors: Mapping[str, np.ndarray]) -> Tree:
    """Their tensors -> a tree like `abstract`, in the dtypes of the tensors.

    Args:
      table: a row for every leaf of `abstract`.
      abstract: a tree of shapes (`Clip.abstract(config)`).
      tensors: theirs by name, weights only.

    Raises:
      WeightsError: a tensor is missing, unknown, has another shape, holds integers, or is not finite; all
        of them are named.
    """
    _check(names_and_shapes(table, abstract), tensors)
    rows = {row.ours: row for row in table}
    leaves = [jax.numpy.asarray(rows[path].join(tensors)) for path in leaves_by_path(abstract)]
    return jax.tree.unflatten(jax.tree.structure(abstract), leaves)


def to_tensors(table: Sequence[Row], tree: Any) -> dict[str, np.ndarray]:
    """The inverse of `to_tree`: their tensors by name, on the host.

    Raises:
      WeightsError: the tree has other arrays than the table, as one whose layers are unstacked.
    """
    leaves = leaves_by_path(tree)
    if unknown := sorted({row.ours for row in table} - leaves.keys()):
        raise WeightsError(f"the model has no {unknown}: save it as it was before its layers were unstacked")
    return dict(pair for row in table for pair in row.split(np.asarray(leaves[row.ours])))


def _check(wanted: Mapping[str, tuple[int, ...]], given: Mapping[str, np.ndarray]) -> None:
    faults = [f"missing: {name} {list(wanted[name])}" for name in sorted(wanted.keys() - given.keys())]
    faults += [f"unknown: {name} {list(given[name].shape)}" for name in sorted(given.keys() - wanted.keys())]
    for name in sorted(wanted.keys() & given.keys()):
        shape, dtype = given[name].shape, given[name].dtype
        if tuple(shape) != tuple(wanted[name]):
            faults.append(f"misshapen: {name} is {list(shape)}, wanted {list(wanted[name])}")
        elif not jax.numpy.issubdtype(dtype, jax.numpy.floating):
            faults.append(f"not floating: {name} holds {dtype}")
        elif not np.isfinite(given[name]).all():
            faults.append(
                f"not finite: {name} holds {np.count_nonzero(~np.isfinite(given[name]))} nan or inf"
            )
    if faults:
        raise WeightsError("the weights do not fit the model:\n  " + "\n  ".join(faults))
