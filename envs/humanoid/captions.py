"""Sentences about a humanoid, each with its degree of truth in a measured posture."""

import functools
import itertools
import random
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from envs.claims import OPENINGS, Claims
from envs.criteria import miss
from envs.humanoid.concepts import ARMS, DETAILS, NAMED, POSTURES, SIDES, SOUND
from envs.humanoid.measure import Measures
from envs.humanoid.words import WORDS

SUBJECTS = (
    "a humanoid robot", "the humanoid robot", "humanoid robot", "a robot", "the robot", "robot", "a humanoid",
    "the humanoid", "humanoid", "a person", "the person", "a man", "a woman", "it",
)  # fmt: skip
# What leads from the subject to a phrase, to a verb, and from one part of a claim to the next. The last of
# the first two makes a sentence of its own, which no opening goes before.
PHRASE_LINKS = (" ", " ", " that is ", " who is ", " is ")
VERB_LINKS = (" that ", " who ", " ")
JOINTS = (" ", ", ", " and ")
BUT = (", ", " and ", " but ", ", but ")
WORDINGS = 400  # drawn at random, of a claim
PLAINEST, BARE = 0.3, 0.15  # shares of them with the plainest subject, and with none; orders never have one
# How often to speak of what the tasks ask for, of an arm state, of a posture or a detail; once of all else.
TASK, ARM, ALONE = 8.0, 6.0, 3.0
_OF_TASKS = frozenset({
    ("kneeling",), ("lotus",), ("standing",), ("splits",), ("one-leg",),
    ("standing", "raised"), ("standing", "on-hips"), ("standing", "crossed"),
})  # fmt: skip
# Postures that others are told from in one sentence, "kneeling, not standing"; not their own kind, as people
# speak.
TOLD_APART = ("standing", "kneeling", "sitting", "squatting", "lying")
_KINDS = {
    "bending": "standing",
    "lotus": "sitting", "splits": "sitting", "legs-ahead": "sitting", "one-leg": "standing",
    "left-leg": "standing", "right-leg": "standing", "one-knee": "kneeling", "left-knee": "kneeling",
    "right-knee": "kneeling", "on-its-back": "lying", "face-down": "lying", "left-side": "lying",
    "right-side": "lying",
}  # fmt: skip
_EITHER = {f"{side}-{part}": f"one-{part}" for side in SIDES for part in ("leg", "knee")}
NAMES = tuple(NAMED)
_SOUND = len(NAMES)  # the column of misses that every claim of a posture shares
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


class Tail(NamedTuple):
    """What follows the subject, and what may lead there; with no links, an order that has no subject."""

    text: str
    links: tuple[str, ...]


def misses(measures: Measures) -> Float[Array, "concepts"]:
    """How far a posture is from each concept of `NAMES` and from a sound body, see `criteria.miss`."""
    return jnp.stack([miss(bounds, measures) for bounds in (*NAMED.values(), SOUND)])


@functools.cache
def claims(count: int = WORDINGS) -> Claims:
    """All that training speaks of: a posture, arms, and whether the body is sound; about `count` sentences of
    each claim."""
    every = list(said())
    parts = np.array([_columns(claim) for claim in every], np.int32)
    negated = np.zeros(parts.shape, bool)
    for row, claim in enumerate(every):
        negated[row, : len(claim)] = [part.negated for part in claim]
    weight = np.array([_weight(claim) for claim in every])
    return Claims(parts, negated, weight, tuple(wordings(*claim, count=count) for claim in every))


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
        kinds = posture, _KINDS.get(posture), _EITHER.get(posture)
        if not {(kind, arms) for kind in kinds} & HELD_OUT:
            yield Part(posture), Part(arms)
    for posture, arms in itertools.product(POSTURES, ("raised", "crossed", "on-hips")):
        yield Part(posture), Part(arms, negated=True)
    for posture, other in itertools.product(POSTURES, TOLD_APART):
        if other not in (posture, _KINDS.get(posture)):
            yield Part(posture), Part(other, negated=True)
    for detail in DETAILS:
        if detail != "in-the-air":
            yield Part("standing"), Part(detail)


def wordings(*claim: Part, count: int = WORDINGS) -> tuple[str, ...]:
    """Sentences that claim all parts: the plainest first, then a sample of what can be said."""
    ends = tails(*claim)
    plain = [f"{SUBJECTS[0]} {end.text}".rstrip() for end in ends if end.links]
    # with no subject, too, where that is not too much
    first = [*plain, *(end.text for end in ends if end.text)] if len(claim) == 1 else plain[: len(JOINTS)]
    rng = random.Random(zlib.crc32(repr(claim).encode()))
    mixed = [sentence(rng, rng.choice(kind)) for kind in rng.choices(*_kinds(ends), k=count)]
    described = [*_described(*claim)]
    return tuple(dict.fromkeys([*first, *mixed, *rng.sample(described, min(len(described), count // 8))]))


def _kinds(ends: list[Tail]) -> tuple[list[list[Tail]], list[int]]:
    """What follows the subject as phrases, as verbs, and as orders, and how often to speak so: of the first
    there are far more."""
    verbs, orders = ([end for end in ends if end.links == links] for links in (VERB_LINKS, ()))
    phrases = [end for end in ends if end.links not in (VERB_LINKS, ())]
    kinds = [(kind, share) for kind, share in ((phrases, 2), (verbs, 1), (orders, 1)) if kind]
    return [kind for kind, _ in kinds], [share for _, share in kinds]


def sentence(rng: random.Random, end: Tail) -> str:
    if end.text and (not end.links or rng.random() < BARE):
        return end.text
    subject = SUBJECTS[0] if rng.random() < PLAINEST else rng.choice(SUBJECTS)
    opening = rng.choice(OPENINGS)
    links = end.links[:-1] if opening and len(end.links) > 1 else end.links
    return opening + subject + rng.choice(links) + end.text


def tails(*claim: Part) -> list[Tail]:
    """All that can be said with a subject, or told to be done without: those of first phrases first."""
    if not claim:
        return [Tail("", ("",))]
    first, *rest = claim
    phrases = list(phrases_of(first))
    verbs, orders = [*_does(first)], [*_orders(first)]
    for part in rest:
        if part.negated:
            more = [joint + phrase for phrase in phrases_of(part) for joint in BUT]
            after_verb = [f", {phrase}" for phrase in phrases_of(part)]
        else:
            more = after_verb = [joint + phrase for phrase in phrases_of(part) for joint in JOINTS]
        turned = [] if part.negated else [f"{arms}, {p}" for arms in phrases_of(part) for p in phrases]
        phrases = [*(phrase + end for phrase in phrases for end in more), *turned]
        verbs = [verb + end for verb in verbs for end in (*after_verb, *(f" and {x}" for x in _does(part)))]
        yours = dict.fromkeys(end for tail in after_verb for end in (tail, tail.replace(" its ", " your ")))
        orders = [do + end for do in orders for end in (*yours, *(f" and {x}" for x in _orders(part)))]
    return [
        *(Tail(text, (" ",) if text.startswith("without") else PHRASE_LINKS) for text in phrases),
        *(Tail(text, VERB_LINKS) for text in verbs),
        *(Tail(text, ()) for text in orders),
    ]


def phrases_of(part: Part) -> tuple[str, ...]:
    phrases = WORDS[part.name].phrases
    if not part.negated:
        return phrases
    return tuple(f"without {p[5:]}" if p.startswith("with ") else f"not {p}" for p in phrases)


def _does(part: Part) -> Iterator[str]:
    for does in WORDS[part.name].verbs:
        yield f"does not {_infinitive(does)}" if part.negated else does


def _orders(part: Part) -> Iterator[str]:
    for does in WORDS[part.name].verbs:
        do = _infinitive(does)
        for order in dict.fromkeys((do, do.replace(" its ", " your "))):
            yield f"do not {order}" if part.negated else order


def _infinitive(does: str) -> str:
    verb, *rest = does.split(" ")
    return " ".join([verb[:-2] if verb.endswith(("ches", "sses", "oes")) else verb[:-1], *rest])


def _described(*claim: Part) -> Iterator[str]:
    """'a kneeling robot', 'a kneeling robot with its arms raised'."""
    if not claim or any(part.negated for part in claim) or claim[-1].name in DETAILS:
        return
    ends = [joint + phrase for part in claim[1:] for phrase in phrases_of(part) for joint in JOINTS[:2]]
    for who, end in itertools.product(attributive(claim[0].name), ends or [""]):
        yield who + end


def attributive(name: str) -> Iterator[str]:
    """Of one concept: 'a kneeling robot', 'a robot in a kneeling position'."""
    for adjective in WORDS[name].adjectives:
        article = "an" if adjective[0] in "aeiou" else "a"
        for noun, opening in itertools.product(
            ("humanoid robot", "robot", "humanoid", "person"), dict.fromkeys(OPENINGS)
        ):
            yield f"{opening}{article} {adjective} {noun}"
            for place in ("position", "pose"):
                yield f"{opening}a {noun} in {article} {adjective} {place}"
