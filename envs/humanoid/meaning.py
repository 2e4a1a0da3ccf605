"""From a sentence back to what it claims and denies of a humanoid: `captions.wordings` turned round."""

import functools
import itertools
import re
from collections.abc import Iterable
from typing import NamedTuple

from envs.claims import OPENINGS
from envs.criteria import Bound
from envs.humanoid.captions import (
    PHRASE_LINKS,
    SUBJECTS,
    VERB_LINKS,
    Part,
    attributive,
    phrases_of,
    said,
    tails,
)
from envs.humanoid.concepts import ARMS, NAMED, POSTURES, SOUND


def _plain(text: str) -> str:
    """Neither case nor spaces, hyphens, commas or what ends a sentence change what it says."""
    return " ".join(re.sub(r"[,;:-]", " ", text.lower()).rstrip(" .!?").split())


def _any_of(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(set(words), key=len, reverse=True))


# Links end in a space of their own, which phrases follow.
_SUBJECT = f"(?:{_any_of(OPENINGS)})(?:{_any_of(SUBJECTS)})"
_HEAD = re.compile(f"{_SUBJECT}(?:{_any_of((*PHRASE_LINKS, *VERB_LINKS))})(?=\\S)")


class Meaning(NamedTuple):
    """What must hold of a state for a sentence to be true of it, and what must not hold as a whole."""

    bounds: tuple[Bound, ...]
    denied: tuple[Bound, ...] = ()


def parts_of(sentence: str) -> tuple[Part, ...] | None:
    """What a sentence claims, a posture first, and what it denies; None: it is not of the language that
    captions speak, or says nothing.
    """
    tail = _tail(sentence)
    known = _tails().get(tail) or _described(_plain(sentence))
    return known or _denials().get(tail)


def meaning_of(sentence: str) -> Meaning | None:
    """What judges a state by a sentence; a posture is claimed of a sound body alone.

    None: nobody knows, see `parts_of`.
    """
    parts = parts_of(sentence)
    if parts is None:
        return None
    claimed = [part.name for part in parts if not part.negated]
    bounds = tuple(bound for name in claimed for bound in NAMED[name])
    denied = tuple(bound for part in parts if part.negated for bound in NAMED[part.name])
    return Meaning(bounds + SOUND if POSTURES.keys() & set(claimed) else bounds, denied)


def is_caption(sentence: str) -> bool:
    """Whether captions of training speak so: also of postures in detail, which have no bounds here, and of a
    posture with arms that they never claim."""
    nothing = re.fullmatch(_SUBJECT, _plain(sentence)) is not None
    return nothing or parts_of(sentence) is not None or _tail(sentence) in _said()


def _tail(sentence: str) -> str:
    """What follows the subject, where there is one."""
    plain = _plain(sentence)
    head = _HEAD.match(plain)
    return plain[head.end() :] if head else plain


def _described(plain: str) -> tuple[Part, ...] | None:
    """Of 'a kneeling robot', and of what its arms do."""
    known, found = _attributives()
    if (who := found.match(plain)) is None:
        return None
    posture, rest = known[who[0]], plain[who.end() :].removeprefix(" ")
    arms = _arms().get(rest.removeprefix("and "))
    return (Part(posture),) if not rest else (Part(posture), Part(arms)) if arms else None


@functools.cache
def _said() -> frozenset[str]:
    return frozenset(_plain(tail.text) for claim in said() for tail in tails(*claim) if tail.text)


@functools.cache
def _tails() -> dict[str, tuple[Part, ...]]:
    """What may follow the subject -> what it claims: one concept, or a posture with arms. Not one with a
    detail: its bounds may exclude the posture's, as those of leaning do for a body that stands."""
    claims = (*((name,) for name in NAMED), *itertools.product(POSTURES, ARMS))
    return _by_tail(tuple(map(Part, names)) for names in claims)


@functools.cache
def _denials() -> dict[str, tuple[Part, ...]]:
    """The same of what denies one concept; a posture's own claim comes first."""
    armless = itertools.product(map(Part, POSTURES), (Part(arms, negated=True) for arms in ARMS))
    return _by_tail((*(claim for claim in said() if claim and claim[-1].negated), *armless))


def _by_tail(claims: Iterable[tuple[Part, ...]]) -> dict[str, tuple[Part, ...]]:
    known: dict[str, tuple[Part, ...]] = {}
    for claim in claims:
        for tail in tails(*claim):
            known.setdefault(_plain(tail.text), claim)
    return known


@functools.cache
def _arms() -> dict[str, str]:
    return {_plain(phrase): name for name in ARMS for phrase in phrases_of(Part(name))}


@functools.cache
def _attributives() -> tuple[dict[str, str], re.Pattern[str]]:
    known = {_plain(who): name for name in NAMED for who in attributive(name)}
    known |= {who.removeprefix("a ").removeprefix("an "): name for who, name in known.items()}
    return known, re.compile(f"(?:{_any_of(known)})(?![^ ])")
