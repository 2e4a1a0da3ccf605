"""What a humanoid can be told to do over time: actions, and sequences of two of them.

An instruction here is a structure of verb, side and body part; `motion_captions` puts it into words,
`motion_truth` judges it, `motions` carries it out. Devices know it by its place in `INSTRUCTIONS`.
"""

import itertools
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int


class Action(NamedTuple):
    """One thing to do; `side` and `part` are empty where the verb needs none."""

    verb: str
    side: str = ""  # left, right, both
    part: str = ""  # arm, leg


Instruction = tuple[Action, ...]  # one action, or two in order


class Stance(NamedTuple):
    """Where actions begin and end, by names of `LEGS` and `ARMS`."""

    legs: str
    arms: str


LEGS = ("standing", "kneeling", "sitting", "bending", "left leg up", "right leg up")
ARMS = ("down", "left", "right", "both")  # which are raised
STEADY = ("standing", "kneeling", "sitting")  # legs in which arms may move
# from one posture of the legs to another
_LEG_MOVES = {
    Action("kneel"): ("standing", "kneeling"),
    Action("get up"): ("kneeling", "standing"),
    Action("sit"): ("standing", "sitting"),
    Action("stand up"): ("sitting", "standing"),
    Action("bow"): ("standing", "bending"),
    Action("straighten"): ("bending", "standing"),
    **{Action("raise", side, "leg"): ("standing", f"{side} leg up") for side in ("left", "right")},
    **{Action("lower", side, "leg"): (f"{side} leg up", "standing") for side in ("left", "right")},
    **{Action("turn", side): ("standing", "standing") for side in ("left", "right")},
}
_ARM_MOVES = {
    **{Action("raise", side, "arm"): ("down", side) for side in ARMS[1:]},
    **{Action("lower", side, "arm"): (side, "down") for side in ARMS[1:]},
}
ACTIONS = (*_LEG_MOVES, *_ARM_MOVES)
# Every action and every ordered pair, those that no body can do among them: instructions may be wrong.
INSTRUCTIONS: tuple[Instruction, ...] = (
    *((action,) for action in ACTIONS),
    *itertools.permutations(ACTIONS, 2),
)
NUMBERS: dict[Instruction, int] = {instruction: number for number, instruction in enumerate(INSTRUCTIONS)}
CHANGES = ("verb", "side", "count", "order", "body part")
_NO_SIDE = ("kneel", "get up", "sit", "stand up", "bow", "straighten")


def after(action: Action, stance: Stance) -> Stance | None:
    """Where an action leads; None where it cannot be done."""
    if action in _LEG_MOVES:
        start, end = _LEG_MOVES[action]
        return stance._replace(legs=end) if stance.legs == start else None
    start, end = _ARM_MOVES[action]
    possible = stance.arms == start and stance.legs in STEADY
    return stance._replace(arms=end) if possible else None


def courses(instruction: Instruction) -> list[tuple[Stance, Stance, Stance]]:
    """The stances at the start, after the first action and after the last, for every possible start.

    Arms are up at the start only where they are to be lowered, or nobody could tell that they were not
    raised on the way.
    """
    found = []
    lowers_first = next((a.side for a in instruction if a in _ARM_MOVES and a.verb == "lower"), "down")
    for legs in LEGS:
        start = Stance(legs, "down" if _raises_first(instruction) else lowers_first)
        stances: list[Stance | None] = [start]
        for action in instruction:
            last = stances[-1]
            stances.append(after(action, last) if last else None)
        one, two = stances[1], stances[-1]
        if one and two:
            found.append((start, one, two))
    return found


def _raises_first(instruction: Instruction) -> bool:
    moves = [action.verb for action in instruction if action in _ARM_MOVES]
    return bool(moves) and moves[0] == "raise"


def is_held_out(instruction: Instruction) -> bool:
    """One pair in six is never trained on; there-and-back and single actions always are."""
    if len(instruction) == 1 or is_return(instruction):
        return False
    return zlib.crc32(repr([tuple(action) for action in instruction]).encode()) % 6 == 0


def is_return(instruction: Instruction) -> bool:
    """The second action undoes the first, so that its film looks the same backwards."""
    if len(instruction) != 2:
        return False
    one, other = instruction
    table = _LEG_MOVES if one in _LEG_MOVES else _ARM_MOVES
    if other not in table:
        return False
    if "turn" in (one.verb, other.verb):
        return one.verb == other.verb
    return table[one] == table[other][::-1]


def feasible() -> Bool[np.ndarray, "instructions"]:
    """Which of `INSTRUCTIONS` a body can carry out."""
    return np.array([bool(courses(instruction)) for instruction in INSTRUCTIONS])


def held_out() -> Bool[np.ndarray, "instructions"]:
    """Which of `INSTRUCTIONS` are no part of training."""
    return np.array([is_held_out(instruction) for instruction in INSTRUCTIONS])


def action_table() -> Int[np.ndarray, "instructions 2"]:
    """The places in `ACTIONS` of what each instruction wants; -1 for no second."""
    rows = [[ACTIONS.index(action) for action in instruction] for instruction in INSTRUCTIONS]
    return np.array([[*row, -1][:2] for row in rows], np.int32)


def changed(instruction: Instruction, kind: str) -> tuple[Instruction, ...]:
    """The instruction with something else in it, one action at a time; none where `kind` does not apply.

    Args:
      kind: "verb", "side" (left for right), "count" (one arm or both; one action instead of two), "order"
        (of two actions), "body part" (arm for leg).

    Raises:
      ValueError: another kind.
    """
    if kind not in CHANGES:
        raise ValueError(f"kind is {kind!r}, wanted one of {', '.join(CHANGES)}")
    if kind == "order":
        return (instruction[::-1],) if len(instruction) == 2 else ()
    found = list(_each(instruction, kind))
    if kind == "count" and len(instruction) == 2:
        found += [(action,) for action in instruction]
    return tuple(dict.fromkeys(one for one in found if one in NUMBERS and one != instruction))


def _each(instruction: Instruction, kind: str) -> Iterator[Instruction]:
    for place, action in enumerate(instruction):
        for other in _others(action, kind):
            yield (*instruction[:place], other, *instruction[place + 1 :])


def _others(action: Action, kind: str) -> list[Action]:
    if kind == "verb":
        verbs = _NO_SIDE if action.verb in _NO_SIDE else ("raise", "lower") if action.part else ()
        return [action._replace(verb=verb) for verb in verbs if verb != action.verb]
    swap = {"left": "right", "right": "left"}
    if kind == "side":
        return [action._replace(side=swap[action.side])] if action.side in swap else []
    if kind == "count":
        sides = ("left", "right") if action.side == "both" else ("both",)
        return [action._replace(side=side) for side in sides] if action.part == "arm" else []
    parts = {"arm": "leg", "leg": "arm"}
    return [action._replace(part=parts[action.part])] if action.side in swap and action.part else []


def change_table(kind: str) -> Int[np.ndarray, "instructions most"]:
    """`changed` by number, rows padded with -1."""
    rows = [[NUMBERS[one] for one in changed(instruction, kind)] for instruction in INSTRUCTIONS]
    most = max(map(len, rows))
    return np.array([row + [-1] * (most - len(row)) for row in rows], np.int32)
