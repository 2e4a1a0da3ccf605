"""Sentences about a humanoid, each with its degree of truth in a measured posture."""

import itertools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from envs.humanoid.concepts import ARMS, POSTURES
from envs.humanoid.criteria import miss
from envs.humanoid.measure import Measures

SUBJECTS = ("a humanoid robot", "the humanoid robot", "a robot", "the robot", "a humanoid")
OPENINGS = ("", "", "", "a picture of ", "an image of ")
ANY = ("a humanoid robot", "a robot", "a humanoid", "the humanoid robot")  # true of every frame
_CONCEPTS = tuple(POSTURES.values()) + tuple(ARMS.values())
NAMES = tuple(POSTURES) + tuple(ARMS)
# A degree of exp(-miss / SOFTNESS): so soft that a standing body is still a fifth of the way to kneeling,
# or the targets would be flat where a policy begins.
SOFTNESS = 2.0


class Claims(NamedTuple):
    """What can be claimed: `parts` int32 [claims, 2] index `NAMES`, -1 for nothing; with their wordings."""

    parts: Int[np.ndarray, "claims 2"]
    wordings: tuple[tuple[str, ...], ...]


def misses(measures: Measures) -> Float[Array, "concepts"]:
    """How far a posture is from each concept of `NAMES`, see `criteria.miss`."""
    return jnp.stack([miss(concept.bounds, measures) for concept in _CONCEPTS])


def degrees(
    misses: Float[Array, "*batch concepts"], parts: Int[Array, "claims 2"]
) -> Float[Array, "*batch claims"]:
    """Truth of each claim, in (0, 1]: what is missing from its parts adds up."""
    padded = jnp.concatenate([misses, jnp.zeros_like(misses[..., :1])], axis=-1)  # -1 reads the zero
    return jnp.exp(-padded[..., parts].sum(-1) / SOFTNESS)


def claims() -> Claims:
    """Every posture, every arm state, every posture with every arm state, and the bare subject."""
    postures, arms = range(len(POSTURES)), range(len(POSTURES), len(NAMES))
    pairs = [
        (-1, -1),
        *((p, -1) for p in postures),
        *((-1, a) for a in arms),
        *itertools.product(postures, arms),
    ]
    return Claims(np.array(pairs, np.int32), tuple(_wordings(*pair) for pair in pairs))


def _wordings(posture: int, arms: int) -> tuple[str, ...]:
    if posture == arms == -1:
        return tuple(opening + subject for opening in dict.fromkeys(OPENINGS) for subject in ANY)
    tails = [""]
    if posture >= 0:
        tails = [f" {phrase}" for phrase in _CONCEPTS[posture].phrases]
    if arms >= 0:
        joints = (" ", ", ") if posture >= 0 else (" ",)
        tails = [
            tail + joint + phrase for tail in tails for joint in joints for phrase in _CONCEPTS[arms].phrases
        ]
    return tuple(
        opening + subject + tail
        for tail in tails
        for opening in dict.fromkeys(OPENINGS)
        for subject in SUBJECTS
    )
