"""From a sentence back to what it claims of a humanoid: `captions.wordings` turned round, for what is not
denied."""

import functools
import itertools
import re

from envs.claims import OPENINGS
from envs.criteria import Bound
from envs.humanoid.captions import LINKS, SUBJECTS, Part, attributive, said, tails
from envs.humanoid.concepts import ARMS, DETAILS, POSTURES, SOUND

_CONCEPTS = {**POSTURES, **ARMS, **DETAILS}


def _plain(text: str) -> str:
    """Neither case nor spaces, commas or what ends a sentence change what it says."""
    return " ".join(re.sub(r"[,;:]", " ", text.lower()).rstrip(" .!?").split())


def _any_of(words: tuple[str, ...]) -> str:
    return "|".join(re.escape(word) for word in sorted(set(words), key=len, reverse=True))


# Links end in a space of their own, which phrases follow.
_HEAD = re.compile(f"(?:{_any_of(OPENINGS)})(?:{_any_of(SUBJECTS)})(?:{_any_of(LINKS)})(?=\\S)")


def concepts_of(sentence: str) -> tuple[str, ...] | None:
    """Names of what a sentence claims, a posture first; None: it is not of the language that captions speak,
    claims nothing, or denies something.
    """
    return _tails().get(_tail(sentence)) or _attributives().get(_plain(sentence))


def bounds_of(sentence: str) -> tuple[Bound, ...] | None:
    """What a state must meet for the sentence to be true of it; a posture is claimed of a sound body alone.

    None: nobody knows, see `concepts_of`.
    """
    names = concepts_of(sentence)
    if names is None:
        return None
    bounds = tuple(bound for name in names for bound in _CONCEPTS[name].bounds)
    return bounds + SOUND if POSTURES.keys() & set(names) else bounds


def is_caption(sentence: str) -> bool:
    """Whether captions of training speak so: also denials and postures in detail, which have no bounds here,
    and of a posture with arms that they never claim."""
    return concepts_of(sentence) is not None or _tail(sentence) in _said() or _plain(sentence) in SUBJECTS


def _tail(sentence: str) -> str:
    """What follows the subject, where there is one."""
    plain = _plain(sentence)
    head = _HEAD.match(plain)
    return plain[head.end() :] if head else plain


@functools.cache
def _said() -> frozenset[str]:
    return frozenset(_plain(tail) for claim in said() for tail in itertools.chain(*tails(*claim)) if tail)


@functools.cache
def _tails() -> dict[str, tuple[str, ...]]:
    """What may follow the subject -> the concepts that it claims: one, or a posture with arms. Not one with a
    detail: its bounds may exclude the posture's, as those of leaning do for a body that stands."""
    known: dict[str, tuple[str, ...]] = {}
    for names in (*((name,) for name in _CONCEPTS), *itertools.product(POSTURES, ARMS)):
        for tail in itertools.chain(*tails(*map(Part, names))):
            known.setdefault(_plain(tail), names)
    return known


@functools.cache
def _attributives() -> dict[str, tuple[str, ...]]:
    return {sentence: (name,) for name in _CONCEPTS for sentence in attributive(name)}
