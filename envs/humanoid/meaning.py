"""From a sentence back to what it claims and denies of a humanoid: `captions.wordings` turned round."""

import functools
import itertools
import re
from collections.abc import Callable, Iterable
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
from envs.humanoid.concepts import ARMS, DETAILS, NAMED, POSTURES, SOUND
from envs.humanoid.words import WORDS


def _plain(text: str, comma: str = " ") -> str:
    """Neither case nor spaces, hyphens, commas or what ends a sentence change what it says."""
    text = re.sub("[,;:]", comma, text.lower().replace("-", " "))
    return " ".join(text.rstrip(" .!?").split())


def _any_of(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(set(words), key=len, reverse=True))


# Links end in a space of their own, which phrases follow.
_SUBJECT = f"(?:{_any_of(OPENINGS)})(?:{_any_of(SUBJECTS)})"
_HEAD = re.compile(f"{_SUBJECT}(?: ,)?(?:{_any_of((*PHRASE_LINKS, *VERB_LINKS))})(?=\\S)")
# What changes no meaning: articles, whose limbs they are and that they are both, and verbs that only lead to
# what follows them. The table has them in some of its phrases, people in others. "One" and "other" do matter.
_ARTICLES = frozenset({"a", "an", "the"})
_BEFORE_NOUNS = frozenset({"its", "your", "his", "her", "their", "both", "two", "with"})
_IDLE = frozenset({"flat", "do-", "perform-", "get-", "go-", "put-", "hold-"}) | _BEFORE_NOUNS
_SAME = {
    "ground": "floor", "seated": "sit-", "pose": "position", "splits": "split", "lift-": "rais-",
    "lifted": "up", "raised": "up",
}  # fmt: skip
# Where postures go anyway. Not of all verbs: who puts down its raised arms has them up no more.
_PARTICLE = re.compile(r"\b(stand-) up\b|\b((?:kneel|sit|li|squat|crouch|bow|get|go)-|seated) down\b")


class Meaning(NamedTuple):
    """What must hold of a state for a sentence to be true of it, and what must not hold as a whole."""

    bounds: tuple[Bound, ...]
    denied: tuple[Bound, ...] = ()


def parts_of(sentence: str) -> tuple[Part, ...] | None:
    """What a sentence claims, a posture first, and what it denies; None: it is not of the language that
    captions speak, be it with other small words, or says nothing.
    """
    return _read(_common(_tail(sentence, " , "))) or _described(_plain(sentence), _arms_of)


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
    """Whether captions of training speak so, word for word: also of postures in detail, which have no bounds
    here, and of a posture with arms that they never claim."""
    plain = _plain(sentence)
    nothing = re.fullmatch(_SUBJECT, plain) is not None
    return nothing or _tail(sentence) in _spoken() or _described(plain, _arms().get) is not None


def _tail(sentence: str, comma: str = " ") -> str:
    """What follows the subject, where there is one."""
    plain = _plain(sentence, comma)
    head = _HEAD.match(plain)
    return plain[head.end() :] if head else plain


def _common(plain: str) -> str:
    """What ways to say the same have in common: the table's phrases are turned into it, and what is looked up
    among them."""
    words = re.sub(r"\bdo(?:es)? not\b", "not", plain).split()
    marked = " ".join(_verb(word, before) or word for before, word in itertools.pairwise(("", *words)))
    kept = (
        word
        for before, word in itertools.pairwise(("", *_PARTICLE.sub(r"\1\2", marked).split()))
        # "to the left" may be of who looks, "to its left" is not
        if word not in _IDLE and (word not in _ARTICLES or before == "to")
    )
    return " ".join(_SAME.get(word, word) for word in kept)


def _verb(word: str, before: str) -> str | None:
    """The same for every form of a verb; None: it is none. Who has a bow does not bow."""
    noun = before in _ARTICLES | _BEFORE_NOUNS
    return f"{_root(word)}-" if _root(word) in _verbs() and not noun else None


def _root(verb: str) -> str:
    """What "raise", "raises" and "raising" begin with, or "sits" and "sitting", "lies" and "lying"."""
    short = re.sub(r"(?:ing|e?s|e)$", "", verb)
    return re.sub(r"y$", "i", re.sub(r"(.)\1$", r"\1", short))


@functools.cache
def _verbs() -> frozenset[str]:
    """Roots of the table's verbs. Other words lose nothing at their ends: one hand is not two."""
    doing = (word for name in NAMED for text in WORDS[name].phrases for word in re.findall(r"\w+ing\b", text))
    return frozenset(map(_root, (*doing, *(text.split()[0] for name in NAMED for text in WORDS[name].verbs))))


def _read(common: str) -> tuple[Part, ...] | None:
    """One concept or its denial, or two that may be said together."""
    whole = _part(common)
    if whole:
        return (whole,)
    words, found = common.split(), set()
    for cut in range(1, len(words)):
        rest = " ".join(words[cut:])
        first, second = _part(" ".join(words[:cut])), _part(re.sub("^(?:, )?(?:and |but )?", "", rest))
        if not first or not second:
            continue
        found.add((first, second))
        # "not" may deny all that follows; and arms crossed on its belly do not say that it lies there
        if not first.negated and (words[cut - 1] == "," or not rest.startswith("on ")):
            found.add((second, first))
    found &= _pairs()
    return found.pop() if len(found) == 1 else None


def _part(common: str) -> Part | None:
    claimed = re.sub("^(?:not|without) ", "", common)
    name = _named(" ".join(claimed.replace(",", "").split()))
    return Part(name, claimed != common) if name else None


@functools.cache
def _named(common: str) -> str | None:
    found = [name for name, known in _wordings().items() if _of(name, common) in known]
    return found[0] if len(found) == 1 else None


@functools.cache
def _wordings() -> dict[str, frozenset[str]]:
    return {
        name: frozenset(_of(name, _common(_plain(tail.text))) for tail in tails(Part(name))) for name in NAMED
    }


def _of(name: str, common: str) -> str:
    """What of it makes a difference to one concept. Hands are raised with arms and feet with legs, though
    hands on hips are not arms on hips; most postures are on the floor anyway, as no arm is, nor who bows."""
    if name.endswith(("raised", "leg")):
        return common.replace("hand", "arm").replace("foot", "leg")
    if name in POSTURES and name != "bending":
        common = common.replace(" on floor", "")
    return common if name in DETAILS else common.removeprefix("in ")


@functools.cache
def _pairs() -> frozenset[tuple[Part, ...]]:
    """Parts that may be said together, a posture first: not with a detail, whose bounds may exclude the
    posture's, as those of leaning do for a body that stands; nor with another posture, unless captions tell
    one from the other."""
    armed = ((Part(name), Part(arms, no)) for name in POSTURES for arms in ARMS for no in (False, True))
    return frozenset((*armed, *(claim for claim in said() if len(claim) == 2 and claim[1].negated)))


@functools.cache
def _spoken() -> frozenset[str]:
    return frozenset(
        _plain(tail.text) for claim in (*said(), *_pairs()) for tail in tails(*claim) if tail.text
    )


def _described(plain: str, arms_of: Callable[[str], str | None]) -> tuple[Part, ...] | None:
    """Of 'a kneeling robot', and of what its arms do."""
    known, found = _attributives()
    if (who := found.match(plain)) is None:
        return None
    posture, rest = known[who[0]], plain[who.end() :].removeprefix(" ")
    arms = arms_of(rest.removeprefix("and "))
    return (Part(posture),) if not rest else (Part(posture), Part(arms)) if arms else None


def _arms_of(plain: str) -> str | None:
    name = _named(_common(plain))
    return name if name in ARMS else None


@functools.cache
def _arms() -> dict[str, str]:
    return {_plain(phrase): name for name in ARMS for phrase in phrases_of(Part(name))}


@functools.cache
def _attributives() -> tuple[dict[str, str], re.Pattern[str]]:
    known = {_plain(who): name for name in NAMED for who in attributive(name)}
    known |= {who.removeprefix("a ").removeprefix("an "): name for who, name in known.items()}
    return known, re.compile(f"(?:{_any_of(known)})(?![^ ])")
