"""Sentences about the scenes of classic control, each with its degree of truth in a state's coordinates."""

import itertools
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from envs import cartpole, mountain, mountain_car, pendulum
from envs.cartpole import CartPole
from envs.claims import OPENINGS, Claims
from envs.classic import ClassicControl, wrap_angle
from envs.criteria import INF, Bound, miss
from envs.mountain_car import MountainCar
from envs.pendulum import Pendulum

DENIED = 0.3  # how often a thing is denied, of how often it is said


class Concept(NamedTuple):
    """What can be said: bounds on coordinates, what it is said of, and how."""

    bounds: tuple[Bound, ...]
    subjects: tuple[str, ...]
    phrases: tuple[str, ...]


class Topic(NamedTuple):
    """One kind of scene: bare names of it, and what can be said; the tasks' sentences come first."""

    bare: tuple[str, ...]
    concepts: tuple[Concept, ...]

    def misses(self, qpos: Float[Array, "nq"]) -> Float[Array, "concepts"]:
        """How far a state is from each concept, see `criteria.miss`."""
        return jnp.stack([miss(concept.bounds, qpos) for concept in self.concepts])

    def claims(self) -> Claims:
        """The bare scene, every concept and its denial."""
        count = len(self.concepts)
        parts = np.array([-1, *range(count), *range(count)], np.int32)[:, None]
        negated = np.arange(len(parts))[:, None] > count
        weight = np.array([1.0] * (1 + count) + [DENIED] * count)
        said = [_wordings(concept) for concept in self.concepts]
        denied = [_wordings(concept, "not ") for concept in self.concepts]
        bare = tuple(opening + name for opening in dict.fromkeys(OPENINGS) for name in self.bare)
        return Claims(parts, negated, weight, (bare, *said, *denied))


def _wordings(concept: Concept, denial: str = "") -> tuple[str, ...]:
    def sentences() -> Iterator[str]:
        openings = dict.fromkeys(OPENINGS)
        for opening, subject, phrase in itertools.product(openings, concept.subjects, concept.phrases):
            for link in (" ", " that is " if opening else " is "):
                yield opening + subject + link + denial + phrase

    return tuple(dict.fromkeys(sentences()))


def _tilt(qpos: Array, joint: int) -> Array:
    """Of a pole or rod from upright, 0 to pi."""
    return jnp.abs(_lean(qpos, joint))


def _lean(qpos: Array, joint: int) -> Array:
    """To the right, -pi to pi."""
    return wrap_angle(qpos[joint])


def _poses_of_a_rod(joint: int, upright: float) -> dict[str, tuple[Bound, ...]]:
    tilt, lean, third = partial(_tilt, joint=joint), partial(_lean, joint=joint), np.pi / 3
    return {
        "up": (Bound("tilt", tilt, 0.0, upright, 0.5),),
        "down": (Bound("tilt", tilt, np.pi - 0.4, INF, 0.5),),
        "right": (Bound("lean", lean, 0.35, np.pi - 0.6, 0.3),),
        "left": (Bound("lean", lean, 0.6 - np.pi, -0.35, 0.3),),
        "level": (Bound("tilt", tilt, np.pi / 2 - third / 4, np.pi / 2 + third / 4, 0.3),),
    }


_POLE, _CART = ("pole", "a pole", "the pole"), ("cart", "a cart", "the cart")
_POLES = _poses_of_a_rod(1, cartpole.UPRIGHT)
CART_AND_POLE = Topic(
    ("pole and cart", "a pole and a cart", "a cart with a pole", "a cart and a pole", "a pole on a cart"),
    (
        Concept(_POLES["up"], _POLE, (
            "vertically upright on top of the cart", "upright on top of the cart", "upright on the cart",
            "standing upright on the cart", "balanced on top of the cart", "vertical on top of the cart",
            "pointing straight up", "upright",
        )),
        Concept(_POLES["down"], _POLE, (
            "hanging down", "hanging down from the cart", "hanging below the cart", "pointing straight down",
        )),
        Concept(_POLES["right"], _POLE, (
            "leaning to the right", "tilted to the right", "falling to the right",
        )),
        Concept(_POLES["left"], _POLE, (
            "leaning to the left", "tilted to the left", "falling to the left",
        )),
        Concept(_POLES["level"], _POLE, ("horizontal", "level with the cart", "pointing sideways")),
        Concept((Bound("place", lambda q: q[0], -0.5, 0.5, 0.5),), _CART,
                ("in the middle of the rail", "at the middle of the rail")),
        Concept((Bound("place", lambda q: q[0], 1.8, INF, 0.5),), _CART,
                ("at the right end of the rail", "far to the right")),
        Concept((Bound("place", lambda q: q[0], -INF, -1.8, 0.5),), _CART,
                ("at the left end of the rail", "far to the left")),
    ),
)  # fmt: skip


def _above_the_flag(qpos: Array) -> Array:
    """Height, m, as far as the flag; the summit lies behind it, and the road's end lower than both."""
    return mountain.height(jnp.minimum(qpos[0], mountain_car.GOAL)) - mountain.height(mountain_car.GOAL)


_CAR = ("a car", "car", "the car", "a small car")
CAR_AND_MOUNTAIN = Topic(
    ("a car in the mountain", "a car in the mountains", "car in the mountain", "the car in the mountain"),
    (
        # of height and way: the other hill is a little nearer to the truth than the valley between
        Concept(
            (
                Bound("above the flag's foot", _above_the_flag, 0.0, INF, 0.3),
                Bound("place", lambda q: q[0], mountain_car.GOAL, INF, 1.0),
            ),
            _CAR,
            (
                "at the peak of the mountain, next to the yellow flag", "at the peak of the mountain",
                "at the top of the mountain", "on top of the mountain", "next to the yellow flag",
                "at the yellow flag", "beside the flag at the top of the mountain", "at the flag",
            ),
        ),
        Concept((Bound("place", lambda q: q[0], -0.67, -0.37, 0.2),), _CAR, (
            "in the valley", "at the bottom of the valley", "between the hills",
            "at the foot of the mountain",
        )),
        Concept((Bound("place", lambda q: q[0], -INF, -0.85, 0.2),), _CAR, (
            "on the left slope", "high on the left slope", "on the left hill",
        )),
        Concept((Bound("place", lambda q: q[0], -0.1, 0.4, 0.2),), _CAR, (
            "on the right slope", "on the slope below the flag", "on the way up to the flag",
        )),
    ),
)  # fmt: skip

_ROD = ("a pendulum", "pendulum", "the pendulum")
_RODS = _poses_of_a_rod(0, pendulum.UPRIGHT)
PENDULUM = Topic(
    ("a pendulum", "the pendulum", "pendulum"),
    (
        Concept(
            _RODS["up"], _ROD, ("pointing straight up", "upright", "standing upright", "vertically upright")
        ),
        Concept(_RODS["down"], _ROD, ("hanging down", "pointing straight down")),
        Concept(_RODS["right"], _ROD, ("pointing to the right", "leaning to the right")),
        Concept(_RODS["left"], _ROD, ("pointing to the left", "leaning to the left")),
        Concept(_RODS["level"], _ROD, ("horizontal", "pointing sideways")),
    ),
)


def scenes() -> dict[Topic, tuple[ClassicControl, ...]]:
    """What can be said, and every look and camera of the tasks that it can be said of."""
    return {
        CART_AND_POLE: (CartPole(camera="follow"), CartPole(camera="rail")),
        CAR_AND_MOUNTAIN: (MountainCar(), MountainCar(plain=True)),
        PENDULUM: (Pendulum(),),
    }
