"""From a sentence back to what it claims of a humanoid: `captions.wordings` turned round, for what is not
denied."""

import functools
import itertools
import re
from collections.abc import Iterable

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


def concepts_of(sentence: str) -> tuple[str, ...] | None:
    """Names of what a sentence claims, a posture first; None: it is not of the language that captions speak,
    claims nothing, or denies something.
    """
    return _tails().get(_tail(sentence)) or _described(_plain(sentence))


def bounds_of(sentence: str) -> tuple[Bound, ...] | None:
    """What a state must meet for the sentence to be true of it; a posture is claimed of a sound body alone.

    None: nobody knows, see `concepts_of`.
    """
    names = concepts_of(sentence)
    if names is None:
        return None
    bounds = tuple(bound for name in names for bound in NAMED[name])
    return bounds + SOUND if POSTURES.keys() & set(names) else bounds


def is_caption(sentence: str) -> bool:
    """Whether captions of training speak so: also denials and postures in detail, which have no bounds here,
    and of a posture with arms that they never claim."""
    nothing = re.fullmatch(_SUBJECT, _plain(sentence)) is not None
    return nothing or concepts_of(sentence) is not None or _tail(sentence) in _said()


def _tail(sentence: str) -> str:
    """What follows the subject, where there is one."""
    plain = _plain(sentence)
    head = _HEAD.match(plain)
    return plain[head.end() :] if head else plain


def _described(plain: str) -> tuple[str, ...] | None:
    """Of 'a kneeling robot', and of what its arms do."""
    known, found = _attributives()
    if (who := found.match(plain)) is None:
        return None
    posture, rest = known[who[0]], plain[who.end() :].removeprefix(" ")
    arms = _arms().get(rest.removeprefix("and "))
    return posture if not rest else (*posture, arms) if arms else None


@functools.cache
def _said() -> frozenset[str]:
    return frozenset(_plain(tail.text) for claim in said() for tail in tails(*claim) if tail.text)


@functools.cache
def _tails() -> dict[str, tuple[str, ...]]:
    """What may follow the subject -> the concepts that it claims: one, or a posture with arms. Not one with a
    detail: its bounds may exclude the posture's, as those of leaning do for a body that stands."""
    known: dict[str, tuple[str, ...]] = {}
    for names in (*((name,) for name in NAMED), *itertools.product(POSTURES, ARMS)):
        for tail in tails(*map(Part, names)):
            known.setdefault(_plain(tail.text), names)
    return known


@functools.cache
def _arms() -> dict[str, str]:
    return {_plain(phrase): name for name in ARMS for phrase in phrases_of(Part(name))}


@functools.cache
def _attributives() -> tuple[dict[str, tuple[str, ...]], re.Pattern[str]]:
    known = {_plain(who): (name,) for name in NAMED for who in attributive(name)}
    return known, re.compile(f"(?:{_any_of(known)})(?![^ ])")
