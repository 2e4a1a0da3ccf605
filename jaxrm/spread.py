"""Batches that lie spread over devices by their type, as on the meshes of `jax.make_mesh`: each device does
its own part, and nothing is sent."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
from jax.sharding import PartitionSpec

T = TypeVar("T")


def axes_of(x: Any, leading: int) -> PartitionSpec | None:
    """Mesh axes over which the first `leading` axes of an array are spread by its type; None for none."""
    axes = jax.typeof(x).sharding.spec[:leading]
    return PartitionSpec(*axes) if any(axis is not None for axis in axes) else None


def on_parts(f: Callable[..., T], args: tuple, spread: tuple) -> T:
    """f(*args) on the part of each device, for a function whose result has the batch axes first.

    Args:
      args: trees of arrays.
      spread: a prefix of the tree `args`: what `axes_of` gives for each leaf; None for what every device has
        whole.
    """
    specs = jax.tree.map(lambda axes: axes or PartitionSpec(), spread, is_leaf=lambda axes: axes is None)
    meshes = (jax.typeof(leaf).sharding.mesh for leaf in jax.tree.leaves(args))
    mesh = next(mesh for mesh in meshes if not mesh.empty)
    out = jax.tree.leaves(spread)[0]
    # loops may begin with constants, which the check for varying values would refuse
    return jax.shard_map(f, mesh=mesh, in_specs=specs, out_specs=out, check_vma=False)(*args)
