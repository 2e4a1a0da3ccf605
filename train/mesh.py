"""The devices as a mesh, and rows spread over it."""

from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from train.sums import AXIS

T = TypeVar("T")


def make_mesh(devices: list[Any] | None = None) -> Mesh:
    """All devices along `data`; `model` is there for large frozen encoders."""
    devices = jax.devices() if devices is None else devices
    return Mesh(np.array(devices).reshape(-1, 1), (AXIS, "model"))


def spread_rows(tree: T) -> T:
    """Inside a compiled program: the rows of a batch over all devices, so that what follows is spread too.

    Leaves are [rows, ...]; the number of rows is a multiple of the devices'.
    """
    if jax.device_count() == 1:
        return tree
    return jax.lax.with_sharding_constraint(tree, NamedSharding(make_mesh(), PartitionSpec(AXIS)))
