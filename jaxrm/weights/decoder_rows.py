"""Rows of decoders' tables: queries, keys and values in the orders in which families keep them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from jaxrm.models.blocks import BlocksConfig
from jaxrm.weights.table import Row

PARTS = ("q", "k", "v")


@dataclass(frozen=True)
class QkvRow(Row):
    """A projection of `CausalAttention`, [width, kv, group + 2, head] or its bias, and the tensors that it
    holds.

    Attributes:
      kv, group: heads of keys and values, and how many queries ask each.
      order: "apart": three tensors, `{part}` in their name; "thirds": one tensor, all queries first, then all
        keys, then all values; "heads": one tensor, each head's query, key and value together.
      transposed: theirs is [outputs, inputs], as torch's linear maps are.
    """

    kv: int = 1
    group: int = 1
    order: Literal["apart", "thirds", "heads"] = "apart"
    transposed: bool = True

    @classmethod
    def of(cls, ours: str, theirs: str, config: BlocksConfig, order, *, transposed: bool = True) -> "QkvRow":
        """The row of a stack's projection; a family with one fused tensor has a head of keys a query."""
        if order != "apart" and config.group != 1:
            raise ValueError(f"{theirs} is fused, which leaves no room for shared heads of keys and values")
        heads: dict[str, Any] = {"layers": config.layers, "kv": config.kv_heads, "group": config.group}
        return cls(ours, theirs, **heads, order=order, transposed=transposed)

    def names(self) -> list[list[str]]:
        parts = PARTS if self.order == "apart" else ("",)
        return [[self.theirs.format(layer=i, part=p) for p in parts] for i in range(self.layers)]

    def shapes(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        inputs, head = shape[1:-3], shape[-1]
        each = (self.group, 1, 1) if self.order == "apart" else (self.group + 2,)
        widths = [self.kv * queries * head for queries in each]
        there = [(*inputs, width)[::-1] if self.transposed else (*inputs, width) for width in widths]
        return dict(pair for names in self.names() for pair in zip(names, there, strict=True))

    def join(self, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.stack([self._joined([tensors[name] for name in names]) for names in self.names()])

    def split(self, array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        for layer, names in zip(array, self.names(), strict=True):
            for tensor, name in zip(self._parted(layer), names, strict=True):
                yield name, np.ascontiguousarray(tensor.T if self.transposed else tensor)

    def _joined(self, tensors: list[np.ndarray]) -> np.ndarray:
        """One layer, theirs -> ours."""
        tensors = [t.T if self.transposed else t for t in tensors]
        inputs = tensors[0].shape[:-1]
        if self.order == "apart":
            each = (self.group, 1, 1)
            apart = [t.reshape(*inputs, self.kv, n, -1) for t, n in zip(tensors, each, strict=True)]
            return np.concatenate(apart, axis=-2)
        if self.order == "heads":
            return tensors[0].reshape(*inputs, self.kv, 3, -1)
        return tensors[0].reshape(*inputs, 3, self.kv, -1).swapaxes(-3, -2)

    def _parted(self, layer: np.ndarray) -> list[np.ndarray]:
        """One layer, ours -> theirs, not transposed yet."""
        inputs, g = layer.shape[:-3], self.group
        if self.order == "apart":
            apart = (layer[..., :g, :], layer[..., g : g + 1, :], layer[..., g + 1 :, :])
            return [part.reshape(*inputs, -1) for part in apart]
        whole = layer if self.order == "heads" else layer.swapaxes(-3, -2)
        return [whole.reshape(*inputs, -1)]


def block_rows(theirs: str, layers: int, block: Mapping[str, tuple]) -> tuple[Row, ...]:
    """Rows of the stacked blocks: our name in a block -> theirs, the order of axes, the parts; `theirs` has
    `{layer}` in it."""
    return tuple(
        Row(f"stack.blocks.{inside}", f"{theirs}.{name}", axes, parts, layers)
        for inside, (name, axes, parts) in block.items()
    )
