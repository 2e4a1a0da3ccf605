"""Large frozen networks over several devices: which axis of which array lies on the mesh axis `model`.

Column then row, as in Shoeybi et al. 2019 (arXiv 1909.08053): heads and hidden units are spread, so that each
block needs one sum over the devices for attention and one for the perceptron. XLA puts these sums in.
"""

import re
from typing import TypeVar

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxrm.models.network import Network

Net = TypeVar("Net", bound=Network)

# The end of a leaf's path -> the axis that is spread, counted from the last; the first match counts.
_SPREAD = (
    (
        r"qkv_heads\.(kernel|bias)$",
        -3,
    ),  # a decoder's: heads of keys and values, with the queries that ask them
    (r"(qkv|up)\.(kernel|bias)$", -1),
    (r"(attention|pool|head)\.out\.kernel$", -2),
    (r"down\.kernel$", -2),
    (r"embedding$", -2),
    (r"(reduce|mix)\.kernel$", -1),  # a ResNet's block: two convolutions of spread channels,
    (r"(reduce|mix)\.norm\.\w+$", -1),
    (r"expand\.kernel$", -2),  # then one that sums them
)


def shardings(model: Net, mesh: Mesh, axis: str = "model") -> Net:
    """A tree like `model` with a `NamedSharding` for each leaf; `model` may be one of shapes only.

    An axis whose length is no multiple of the number of devices stays whole, on every device.

    Raises:
      ValueError: the mesh has no such axis.
    """
    if axis not in mesh.shape:
        raise ValueError(f"the mesh has the axes {tuple(mesh.shape)}, not {axis!r}")
    devices = mesh.shape[axis]

    def place(path: tuple, leaf: jax.Array) -> NamedSharding:
        spread = _spread(jax.tree_util.keystr(path, simple=True, separator="."))
        spec: list[str | None] = [None] * leaf.ndim
        if spread is not None and leaf.shape[spread] % devices == 0:
            spec[spread] = axis
        return NamedSharding(mesh, PartitionSpec(*spec))

    return jax.tree_util.tree_map_with_path(place, model)


def shard(model: Net, mesh: Mesh, axis: str = "model") -> Net:
    """The same weights, laid out over the mesh. Compiled functions take them as they lie."""
    return jax.device_put(model, shardings(model, mesh, axis))


def _spread(path: str) -> int | None:
    path = path.removesuffix(".value")
    return next((axis for pattern, axis in _SPREAD if re.search(pattern, path)), None)
