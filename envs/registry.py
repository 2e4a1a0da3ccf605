"""Names of environments, and those of a user's own as `module:factory`."""

import difflib
import importlib
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from envs import pendulum
from envs.cartpole import CartPole, SwingUp
from envs.humanoid import tasks as humanoid
from envs.mjcf import MjcfEnv
from envs.mountain_car import MountainCar
from envs.types import Env

_FACTORIES: dict[str, Callable[..., Env]] = {
    "cartpole": CartPole,
    "cartpole/discrete": partial(CartPole, discrete=True),
    "cartpole/swing-up": SwingUp,
    "mountain-car": MountainCar,
    "mountain-car/plain": partial(MountainCar, plain=True),
    "pendulum": pendulum.make,
    **{f"humanoid/{name}": humanoid.factory(name) for name in humanoid.TASKS},
    **{f"humanoid/{name}": humanoid.ordered(name) for name in humanoid.ORDERED},
}


def names() -> list[str]:
    return sorted(_FACTORIES)


def make(name: str, **options: Any) -> Env:
    """Builds an environment.

    Args:
      name: one of `names()`, `module:factory` for a callable of the user's own, or the path of a MuJoCo
        model that ends in .xml or .urdf (see `envs.mjcf`).
      **options: passed on, e.g. `control="torque"`.

    Raises:
      ValueError: the name is unknown; the message suggests the nearest.
    """
    if name in _FACTORIES:
        return _FACTORIES[name](**options)
    if name.endswith((".xml", ".urdf")):
        return MjcfEnv(name, **options)
    if ":" in name:
        return _load_factory(name)(**options)
    near = difflib.get_close_matches(name, _FACTORIES, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else f"known are {', '.join(names())}"
    raise ValueError(f"unknown environment {name!r}: {hint} (a task of your own: 'module:factory')")


def _load_factory(name: str) -> Callable[..., Env]:
    module_name, _, attribute = name.partition(":")
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"environment {name!r}: cannot import {attribute!r} from {module_name!r} ({error})"
        ) from error
    if not callable(factory):
        raise ValueError(f"environment {name!r}: {attribute!r} is not callable")
    return cast(Callable[..., Env], factory)
