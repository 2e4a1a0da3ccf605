"""Sentences for instructions: templates, paraphrases, and which of them training never sees."""

import zlib
from typing import NamedTuple

from envs.humanoid.instructions import INSTRUCTIONS, Action, Instruction, is_return


class Phrase(NamedTuple):
    """Words for an action: it does, do, doing."""

    does: str
    do: str
    doing: str


def _phrases(*words: tuple[str, str, str, str]) -> tuple[Phrase, ...]:
    """From (does, do, doing, rest)."""
    return tuple(
        Phrase(*(f"{verb} {rest}".strip() for verb in (does, do, doing))) for does, do, doing, rest in words
    )


def _get(rest: str) -> tuple[str, str, str, str]:
    return "gets", "get", "getting", rest


def _put(rest: str) -> tuple[str, str, str, str]:
    return "puts", "put", "putting", rest


_PLAIN = {
    "kneel": _phrases(
        ("kneels", "kneel", "kneeling", "down"),
        ("goes", "go", "going", "down on its knees"),
        ("drops", "drop", "dropping", "to its knees"),
        ("lowers", "lower", "lowering", "itself onto its knees"),
    ),
    "get up": _phrases(
        _get("up from kneeling"),
        _get("up from its knees"),
        ("rises", "rise", "rising", "from its knees"),
        ("stands", "stand", "standing", "up from kneeling"),
    ),
    "sit": _phrases(
        ("sits", "sit", "sitting", "down"),
        ("sits", "sit", "sitting", "down on the floor"),
        ("takes", "take", "taking", "a seat on the floor"),
        ("lowers", "lower", "lowering", "itself into sitting"),
    ),
    "stand up": _phrases(
        ("stands", "stand", "standing", "up from sitting"),
        _get("up from sitting"),
        ("rises", "rise", "rising", "from its seat"),
        _get("up from sitting on the floor"),
    ),
    "bow": _phrases(
        ("bows", "bow", "bowing", ""),
        ("bends", "bend", "bending", "forward"),
        ("bends", "bend", "bending", "over"),
        ("takes", "take", "taking", "a bow"),
    ),
    "straighten": _phrases(
        ("straightens", "straighten", "straightening", "up from a bow"),
        ("comes", "come", "coming", "up from a bow"),
        ("straightens", "straighten", "straightening", "its back"),
        ("rises", "rise", "rising", "from a bow"),
    ),
}
# the second of two actions that undoes the first
_AGAIN = {
    "kneel": _phrases(
        ("kneels", "kneel", "kneeling", "down again"), ("kneels", "kneel", "kneeling", "again")
    ),
    "get up": _phrases(_get("up again"), ("stands", "stand", "standing", "up again")),
    "sit": _phrases(("sits", "sit", "sitting", "down again"), ("sits", "sit", "sitting", "again")),
    "stand up": _phrases(("stands", "stand", "standing", "up again"), _get("up again")),
    "bow": _phrases(("bows", "bow", "bowing", "again"), ("bends", "bend", "bending", "over again")),
    "straighten": _phrases(
        ("straightens", "straighten", "straightening", "up again"), ("comes", "come", "coming", "up again")
    ),
}
SUBJECTS = ("", "", "the robot ", "it ", "a humanoid robot ", "the humanoid ")
JOINS = (
    "{does} and {does2}",
    "{does} and then {does2}",
    "{does}, then {does2}",
    "first {does}, then {does2}",
    "{does} before {doing2}",
    "{does2} after {doing}",
)


def phrases(action: Action, again: bool = False) -> tuple[Phrase, ...]:
    """Ways to say an action, the plainest first.

    Args:
      again: it undoes what the sentence has just said.
    """
    if action.verb in _PLAIN:
        return _AGAIN[action.verb] if again else _PLAIN[action.verb]
    if action.verb == "turn":
        turn = ("turns", "turn", "turning")
        if again:
            return _phrases((*turn, f"back to the {action.side}"), (*turn, f"{action.side} again"))
        return _phrases(
            (*turn, action.side),
            (*turn, f"to the {action.side}"),
            (*turn, f"to its {action.side}"),
            ("rotates", "rotate", "rotating", f"to the {action.side}"),
        )
    return _limb(action, again)


def _limb(action: Action, again: bool) -> tuple[Phrase, ...]:
    both = action.side == "both"
    limb = f"both {action.part}s" if both else f"its {action.side} {action.part}"
    other = f"its two {action.part}s" if both else f"the {action.side} {action.part}"
    raising, lowering = ("raises", "raise", "raising"), ("lowers", "lower", "lowering")
    lifting = ("lifts", "lift", "lifting")
    if again:
        it = "them" if both else "it"
        if action.verb == "lower":
            return _phrases((*lowering, it), (*lowering, f"{it} again"), _put(f"{it} down again"))
        return _phrases((*raising, f"{it} again"), (*lifting, f"{it} again"), _put(f"{it} up again"))
    if action.verb == "lower":
        return _phrases((*lowering, limb), (*lowering, other), _put(f"{limb} down"), _put(f"{other} down"))
    if action.part == "leg":
        stand = "right" if action.side == "left" else "left"
        onto = ("stands", "stand", "standing", f"on its {stand} leg")
        return _phrases((*raising, limb), (*lifting, limb), (*lifting, f"its {action.side} foot"), onto)
    return _phrases((*raising, limb), (*lifting, limb), _put(f"{limb} up"), (*raising, other))


def wordings(instruction: Instruction) -> tuple[str, ...]:
    """All sentences for an instruction, without capitals or a full stop; the plainest first.

    Raises:
      ValueError: neither one action nor two.
    """
    if len(instruction) == 1:
        said = [f"{subject}{p.does}" for p in phrases(instruction[0]) for subject in SUBJECTS]
        return tuple(dict.fromkeys(said + [p.do for p in phrases(instruction[0])]))
    if len(instruction) != 2:
        raise ValueError(f"an instruction has one or two actions, not {len(instruction)}")
    one, other = instruction
    said = []
    for join in JOINS:
        # who hears "it" or "again" first does not know what is meant
        again = is_return(instruction) and not join.startswith("{does2}")
        for p in phrases(one):
            for q in phrases(other, again):
                words = join.format(does=p.does, doing=p.doing, does2=q.does, doing2=q.doing)
                said += [f"{subject}{words}" for subject in SUBJECTS if not (subject and "first" in words)]
                if "doing" not in join:
                    said.append(join.format(does=p.do, does2=q.do))
    return tuple(dict.fromkeys(said))


def is_held_out(sentence: str) -> bool:
    """One wording in eight is never trained on; see `split` for what is left."""
    return zlib.crc32(sentence.encode()) % 8 == 0


def split(instruction: Instruction, count: int, held_out: bool) -> tuple[str, ...]:
    """`count` sentences of training or, with `held_out`, of those kept from it; repeated where too few.

    The plainest wording belongs to training.

    Raises:
      ValueError: count below 1.
    """
    if count < 1:
        raise ValueError(f"count is {count}, wanted 1 or more")
    said = wordings(instruction)
    kept = [words for words in said[1:] if is_held_out(words)]
    rest = kept if held_out and kept else [words for words in said[1:] if not is_held_out(words)]
    # spread over the joins and phrases, which stand in order
    picks = [rest[(place * len(rest)) // count] for place in range(count)]
    return tuple(picks) if held_out else (said[0], *picks[1:])


def sentences(count: int, held_out: bool = False) -> tuple[str, ...]:
    """`count` wordings of every instruction in turn, of training or those kept from it: tails made of them
    have the `w`-th wording of instruction `i` in row `i * count + w`."""
    return tuple(words for instruction in INSTRUCTIONS for words in split(instruction, count, held_out))
