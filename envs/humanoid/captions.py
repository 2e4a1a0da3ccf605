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
from envs.humanoid.concepts import ARMS, DETAILS, LYING, POSTURES, SOUND, Concept
from envs.humanoid.measure import Measures

SUBJECTS = (
    "a humanoid robot", "the humanoid robot", "humanoid robot", "a robot", "the robot", "a humanoid",
    "the humanoid", "a person", "the person", "it",
)  # fmt: skip
LINKS = (" ", " ", " that is ", " is ", " who is ")
JOINTS = (" ", ", ", " and ")  # between two parts of a claim, and before one that is denied:
BUT = (", ", " and ", " but ", ", but ")
_CONCEPTS: dict[str, Concept] = {**POSTURES, **ARMS, **DETAILS}
NAMES = tuple(_CONCEPTS)
_SOUND = len(NAMES)  # the column of misses that every claim of a posture shares
WORDINGS = 400  # of a claim, at most
# How often to speak of what the tasks ask for, of an arm state, of a posture or a detail; once of all else.
TASK, ARM, ALONE = 8.0, 6.0, 3.0
_OF_TASKS = frozenset({
    ("kneeling",), ("lotus",), ("standing",), ("splits",), ("one-leg",),
    ("standing", "raised"), ("standing", "on-hips"), ("standing", "crossed"),
})  # fmt: skip
# Postures that others are told from in one sentence: "kneeling, not standing".
_DENIED = ("standing", "kneeling", "sitting", "squatting", "lying")
# Postures with arms that no caption of training claims: what is said of them tests understanding.
HELD_OUT = frozenset({
    ("kneeling", "sideways"), ("sitting", "raised"), ("squatting", "ahead"), ("one-leg", "on-hips"),
    ("lotus", "crossed"), ("splits", "left-raised"), ("standing", "right-ahead"), ("bending", "hanging"),
    ("one-knee", "raised"), ("on-its-back", "sideways"),
})  # fmt: skip


class Part(NamedTuple):
    """A concept that is claimed or denied."""

    name: str
    negated: bool = False


def misses(measures: Measures) -> Float[Array, "concepts"]:
    """How far a posture is from each concept of `NAMES` and from a sound body, see `criteria.miss`."""
    return jnp.stack([miss(bounds, measures) for bounds in (*(c.bounds for c in _CONCEPTS.values()), SOUND)])


def claims() -> Claims:
    """All that training speaks of: a posture, arms, and whether the body is sound."""
    every = list(said())
    parts = np.array([_columns(claim) for claim in every], np.int32)
    negated = np.zeros(parts.shape, bool)
    for row, claim in enumerate(every):
        negated[row, : len(claim)] = [part.negated for part in claim]
    weight = np.array([_weight(claim) for claim in every])
    return Claims(parts, negated, weight, tuple(wordings(*claim) for claim in every))


def _weight(claim: tuple[Part, ...]) -> float:
    names = tuple(part.name for part in claim)
    if any(part.negated for part in claim):
        return 1.0
    if names in _OF_TASKS:
        return TASK
    return 1.0 if len(claim) != 1 else ARM if names[0] in ARMS else ALONE


def _columns(claim: tuple[Part, ...]) -> list[int]:
    """The columns of misses that a claim is made of; a posture is claimed of a sound body alone."""
    named = [NAMES.index(part.name) for part in claim]
    sound = any(part.name in POSTURES and not part.negated for part in claim)
    return [*named, *[-1] * (2 - len(named)), _SOUND if sound else -1]


def parts_of(posture: str, arms: str | None = None) -> list[int]:
    """A row of `Claims.parts`: that of one posture, with one arm state."""
    return _columns((Part(posture), *([Part(arms)] if arms else [])))


def claim(posture: str, arms: str | None = None) -> tuple[str, ...]:
    """Wordings of one posture, with one arm state, be it of training or not."""
    return wordings(Part(posture), *([Part(arms)] if arms else []))


def said() -> Iterator[tuple[Part, ...]]:
    """The bare subject; every concept and its denial; postures with arms, without them, and told from others;
    standing in detail."""
    yield ()
    for name in NAMES:
        yield (Part(name),)
        yield (Part(name, negated=True),)
    for posture, arms in itertools.product(POSTURES, ARMS):
        if (posture, arms) not in HELD_OUT:
            yield Part(posture), Part(arms)
    for posture, arms in itertools.product(POSTURES, ("raised", "crossed", "on-hips")):
        yield Part(posture), Part(arms, negated=True)
    for posture, other in itertools.product(POSTURES, _DENIED):
        if posture != other and not (other == "lying" and POSTURES[posture].bounds[: len(LYING)] == LYING):
            yield Part(posture), Part(other, negated=True)
    for detail in DETAILS:
        yield Part("standing"), Part(detail)


def wordings(*claim: Part) -> tuple[str, ...]:
    """Sentences that claim all parts: the plainest, then a sample of what can be said."""
    linked, verbs, commands = tails(*claim)
    every = [*linked, *verbs, *commands]
    heads = [opening + subject for opening in dict.fromkeys(OPENINGS) for subject in SUBJECTS]
    # Most of what is asked for is said of the plainest subject, much of none.
    heads += [SUBJECTS[0]] * (len(heads) // 2) + [""] * (len(heads) // 5 if claim else 0)
    plain = [_joined(SUBJECTS[0], tail, " ") for tail in linked[: None if len(claim) == 1 else len(JOINTS)]]
    rng = np.random.default_rng(zlib.crc32(repr(claim).encode()))
    picks = rng.integers([len(heads), len(every), len(LINKS)], size=(WORDINGS, 3))
    mixed = [
        _joined(
            heads[h] if t < len(linked) + len(verbs) else "", every[t], LINKS[k] if t < len(linked) else " "
        )
        for h, t, k in picks
    ]
    alone = len(claim) == 1 and not claim[0].negated
    return tuple(dict.fromkeys([*plain, *mixed, *(attributive(claim[0].name) if alone else ())]))


def tails(*claim: Part) -> tuple[list[str], list[str], list[str]]:
    """What may follow the subject or "is"; what it does; and what it is told to do, with no subject."""
    if not claim:
        return [""], [], []
    linked, verbs, commands = list(_phrases(claim[0])), list(_does(claim[0])), list(_do(claim[0]))
    for part in claim[1:]:
        more = [joint + said for said in _phrases(part) for joint in (BUT if part.negated else JOINTS)]
        linked = [tail + end for tail in linked for end in more]
        verbs = [tail + end for tail in verbs for end in (*more, *(f" and {said}" for said in _does(part)))]
        commands = [
            tail + end for tail in commands for end in (*more, *(f" and {said}" for said in _do(part)))
        ]
    return linked, verbs, commands


def _joined(head: str, tail: str, link: str) -> str:
    """A link suits phrases that are no denials by 'without'."""
    return head + (" " if tail.startswith("without") else link) + tail if head and tail else head + tail


def _does(part: Part) -> Iterator[str]:
    for does in _CONCEPTS[part.name].verbs:
        yield f"does not {_infinitive(does)}" if part.negated else does


def _do(part: Part) -> Iterator[str]:
    for does in _CONCEPTS[part.name].verbs:
        yield f"do not {_infinitive(does)}" if part.negated else _infinitive(does)


def _infinitive(does: str) -> str:
    verb, *rest = does.split(" ")
    return " ".join([verb[:-2] if verb.endswith(("ches", "sses", "oes")) else verb[:-1], *rest])


def _phrases(part: Part) -> tuple[str, ...]:
    phrases = _CONCEPTS[part.name].phrases
    if not part.negated:
        return phrases
    return tuple(f"without {p[5:]}" if p.startswith("with ") else f"not {p}" for p in phrases)


def attributive(name: str) -> Iterator[str]:
    """Of one concept: 'a kneeling robot', 'a robot in a kneeling position'."""
    for adjective in _CONCEPTS[name].adjectives:
        article = "an" if adjective[0] in "aeiou" else "a"
        for noun, opening in itertools.product(
            ("humanoid robot", "robot", "humanoid", "person"), dict.fromkeys(OPENINGS)
        ):
            yield f"{opening}{article} {adjective} {noun}"
            for place in ("position", "pose"):
                yield f"{opening}a {noun} in {article} {adjective} {place}"
