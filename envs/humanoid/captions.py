"""Sentences about a humanoid, each with its degree of truth in a measured posture."""

import itertools
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from envs.claims import OPENINGS, Claims
from envs.criteria import miss
from envs.humanoid.concepts import ARMS, DETAILS, POSTURES, SOUND, Concept
from envs.humanoid.measure import Measures

SUBJECTS = (
    "a humanoid robot", "the humanoid robot", "humanoid robot", "a robot", "the robot", "a humanoid",
    "the humanoid",
)  # fmt: skip
LINKS = (" ", " ", " that is ", " is ")
_CONCEPTS: dict[str, Concept] = {**POSTURES, **ARMS, **DETAILS}
NAMES = tuple(_CONCEPTS)
_SOUND = len(NAMES)  # the column of misses that every claim of a posture shares
WORDINGS = 400  # of a claim, at most
# Postures with arms that no caption of training claims: what is said of them tests understanding.
HELD_OUT = frozenset({
    ("kneeling", "sideways"), ("sitting", "raised"), ("squatting", "ahead"), ("one-leg", "on-hips"),
    ("lotus", "crossed"), ("splits", "left-raised"), ("standing", "right-ahead"), ("bending", "hanging"),
    ("one-knee", "raised"), ("on-its-back", "sideways"),
})  # fmt: skip


class _Part(NamedTuple):
    name: str
    negated: bool = False


def misses(measures: Measures) -> Float[Array, "concepts"]:
    """How far a posture is from each concept of `NAMES` and from a sound body, see `criteria.miss`."""
    return jnp.stack([miss(bounds, measures) for bounds in (*(c.bounds for c in _CONCEPTS.values()), SOUND)])


def claims() -> Claims:
    """All that training speaks of: a posture, arms, and whether the body is sound."""
    said = list(_said())
    parts = np.array([_columns(claim) for claim in said], np.int32)
    negated = np.zeros(parts.shape, bool)
    for row, claim in enumerate(said):
        negated[row, : len(claim)] = [part.negated for part in claim]
    weight = np.array([3.0 if len(claim) == 1 and not claim[0].negated else 1.0 for claim in said])
    return Claims(parts, negated, weight, tuple(wordings(*claim) for claim in said))


def _columns(claim: tuple[_Part, ...]) -> list[int]:
    """The columns of misses that a claim is made of; a posture is claimed of a sound body alone."""
    named = [NAMES.index(part.name) for part in claim]
    sound = any(part.name in POSTURES and not part.negated for part in claim)
    return [*named, *[-1] * (2 - len(named)), _SOUND if sound else -1]


def parts_of(posture: str, arms: str | None = None) -> list[int]:
    """A row of `Claims.parts`: that of one posture, with one arm state."""
    return _columns((_Part(posture), *([_Part(arms)] if arms else [])))


def claim(posture: str, arms: str | None = None) -> tuple[str, ...]:
    """Wordings of one posture, with one arm state, be it of training or not."""
    return wordings(_Part(posture), *([_Part(arms)] if arms else []))


def _said() -> Iterator[tuple[_Part, ...]]:
    """The bare subject; every concept and its denial; postures with arms, or without; standing in detail."""
    yield ()
    for name in NAMES:
        yield (_Part(name),)
        yield (_Part(name, negated=True),)
    for posture, arms in itertools.product(POSTURES, ARMS):
        if (posture, arms) not in HELD_OUT:
            yield _Part(posture), _Part(arms)
    for posture, arms in itertools.product(POSTURES, ("raised", "crossed", "on-hips")):
        yield _Part(posture), _Part(arms, negated=True)
    for detail in DETAILS:
        yield _Part("standing"), _Part(detail)


def wordings(*claim: _Part) -> tuple[str, ...]:
    """Sentences that claim all parts: all for the plainest subject, a sample of the rest."""
    tails = [""]
    for index, part in enumerate(claim):
        joints = (" ", ", ") if index else (" ",)
        tails = [tail + joint + phrase for tail in tails for joint in joints for phrase in _phrases(part)]
    plain = [SUBJECTS[0] + tail for tail in tails]
    heads = list(dict.fromkeys(opening + subject for opening in OPENINGS for subject in SUBJECTS))
    rng = np.random.default_rng(zlib.crc32(repr(claim).encode()))
    picks = rng.integers([len(heads), len(tails), len(LINKS)], size=(WORDINGS, 3))
    mixed = [_joined(heads[h], tails[t], LINKS[link]) for h, t, link in picks]
    alone = len(claim) == 1 and not claim[0].negated
    return tuple(dict.fromkeys([*plain, *mixed, *(attributive(claim[0].name) if alone else ())]))


def _joined(head: str, tail: str, link: str) -> str:
    """A verb suits sentences of their own, and phrases that are no denials by 'without'."""
    return head + tail if not tail or tail.startswith(" without") else head + link + tail[1:]


def _phrases(part: _Part) -> tuple[str, ...]:
    phrases = _CONCEPTS[part.name].phrases
    if not part.negated:
        return phrases
    return tuple(f"without {p[5:]}" if p.startswith("with ") else f"not {p}" for p in phrases)


def attributive(name: str) -> Iterator[str]:
    """Of one concept: 'a kneeling robot', 'a robot in a kneeling position'."""
    for adjective in _CONCEPTS[name].adjectives:
        article = "an" if adjective[0] in "aeiou" else "a"
        for noun, opening in itertools.product(
            ("humanoid robot", "robot", "humanoid"), dict.fromkeys(OPENINGS)
        ):
            yield f"{opening}{article} {adjective} {noun}"
            for place in ("position", "pose"):
                yield f"{opening}a {noun} in {article} {adjective} {place}"
