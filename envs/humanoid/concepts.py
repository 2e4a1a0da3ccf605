"""What can be said of a humanoid: concepts, each a name and its measured bounds; `words` has how it is said.

Tasks judge success by these bounds; captions for training a reward model take their degree of truth
from the same numbers, so that what the words mean is written down once.
"""

import jax.numpy as jnp

from envs.criteria import INF, Bound
from envs.humanoid.measure import Measures, Sides

ON_FLOOR = 0.11  # m, highest centre of a foot (radius 0.075) or knee (radius 0.06) that touches the floor
SIDES = ("right", "left")  # in the order of the measures
HEAD = 0.09  # m, the head's radius: above it is above its top
OUTWARDS = 0.20  # m, see `_outwards`: no arm is both sideways and ahead
OTHER = 0.06  # m, slack of what the other arm must not do: both arms ahead are not nearly one arm ahead


FEET_DOWN = Bound("feet on the floor", lambda m: m.ankles, 0.03, ON_FLOOR, 0.15)
UPRIGHT = Bound("torso upright", lambda m: m.upright, 0.75, INF, 0.3)
# buttocks on the floor leave the hip joints at 0.10
HIPS_DOWN = Bound("hips on the floor", lambda m: m.hips, 0.02, 0.14, 0.15)
KNEELING_HIPS = Bound("hips low but off the floor", lambda m: m.hips, 0.25, 0.62, 0.25)
LYING = (
    Bound("torso low", lambda m: m.torso, -INF, 0.30, 0.3),
    Bound("hips low", lambda m: m.hips, -INF, 0.25, 0.3),
)
# What no claim of a posture says and every one means: the body rests on the floor, and no limb is in another.
SOUND = (
    Bound("touching the floor, not sunk in it", lambda m: m.off_floor, -0.04, 0.05, 0.1),
    Bound("no limb inside another", lambda m: m.overlap, -INF, 0.03, 0.05),
)


def _on_one_leg(lifted: int | None = None) -> tuple[Bound, ...]:
    """On one leg; with `lifted`, that of `SIDES` is in the air."""
    low, high = (jnp.min, jnp.max) if lifted is None else (lambda x: x[1 - lifted], lambda x: x[lifted])
    return (
        Bound("torso upright", lambda m: m.upright, 0.80, INF, 0.3),
        Bound("hips high", lambda m: m.hips, 0.70, INF, 0.15),
        Bound("one foot on the floor", lambda m: low(m.ankles), 0.03, ON_FLOOR, 0.15),
        Bound("the other lifted", lambda m: high(m.ankles), 0.25, INF, 0.15),
    )


def _on_one_knee(down: int | None = None) -> tuple[Bound, ...]:
    """On one knee; with `down`, on that of `SIDES`."""
    low, high = (jnp.min, jnp.max) if down is None else (lambda x: x[down], lambda x: x[1 - down])
    return (
        UPRIGHT,
        Bound("one knee on the floor", lambda m: low(m.knees), 0.03, ON_FLOOR, 0.15),
        Bound("the other up", lambda m: high(m.knees), 0.32, INF, 0.15),
        KNEELING_HIPS,
    )


def _on_side(index: int) -> tuple[Bound, ...]:
    sign = 1.0 if index == 0 else -1.0
    return (*LYING, Bound("side down", lambda m: sign * m.left_up, 0.70, INF, 0.4))


POSTURES = {
    "kneeling": (
        Bound("knees on the floor", lambda m: m.knees, 0.03, ON_FLOOR, 0.2),
        UPRIGHT,
        KNEELING_HIPS,
    ),
    "lotus": (
        UPRIGHT,
        # legs that fold no further leave the hips at 0.15 over the feet, unless the pelvis tips onto its back
        Bound("hips low", lambda m: m.hips, 0.02, 0.19, 0.15),
        Bound("knees low", lambda m: m.knees, 0.02, 0.35, 0.2),
        Bound("knees outward", lambda m: m.knee_out, 0.25, INF, 0.15),
        Bound("knees bent", lambda m: m.knee_straight, -INF, -0.2, 0.4),
        Bound("feet inward", lambda m: m.ankle_out, -INF, 0.20, 0.15),
        Bound("feet close", lambda m: m.ankle_ahead, -INF, 0.30, 0.25),
        Bound("feet low", lambda m: m.ankles, 0.02, 0.30, 0.2),
    ),
    "standing": (
        Bound("torso upright", lambda m: m.upright, 0.90, INF, 0.25),
        Bound("hips high", lambda m: m.hips, 0.75, INF, 0.15),
        FEET_DOWN,
    ),
    "splits": (
        UPRIGHT,
        Bound("hips low", lambda m: m.hips, 0.02, 0.35, 0.2),
        Bound("feet apart", lambda m: m.ankle_gap, 1.0, INF, 0.3),
        Bound("legs sideways", lambda m: m.ankle_out, 0.35, INF, 0.2),
        # a right angle; who sits on the floor can spread them by 119 degrees
        Bound("legs spread wide", lambda m: m.legs_along, -INF, 0.0, 0.4),
        Bound("legs straight", lambda m: m.knee_straight, 0.70, INF, 0.4),
        Bound("feet low", lambda m: m.ankles, 0.03, 0.25, 0.2),
    ),
    "one-leg": _on_one_leg(),
    "one-knee": _on_one_knee(),
    "sitting": (
        UPRIGHT,
        HIPS_DOWN,
    ),
    "legs-ahead": (
        UPRIGHT,
        HIPS_DOWN,
        Bound("legs ahead", lambda m: m.ankle_ahead, 0.45, INF, 0.3),
        Bound("legs together", lambda m: m.ankle_gap, -INF, 0.45, 0.25),
    ),
    "squatting": (
        Bound("torso upright", lambda m: m.upright, 0.55, INF, 0.3),
        FEET_DOWN,
        Bound("hips low", lambda m: m.hips, 0.20, 0.55, 0.2),
        Bound("knees up", lambda m: m.knees, 0.25, INF, 0.15),
    ),
    "bending": (
        Bound("torso level", lambda m: m.upright, -0.75, 0.50, 0.3),
        Bound("hips high", lambda m: m.hips, 0.60, INF, 0.15),
        FEET_DOWN,
    ),
    "on-all-fours": (
        Bound("torso level", lambda m: m.upright, -0.5, 0.45, 0.3),
        Bound("belly down", lambda m: m.facing_up, -INF, -0.6, 0.4),
        Bound("knees on the floor", lambda m: m.knees, 0.03, ON_FLOOR, 0.2),
        Bound("hips off the floor", lambda m: m.hips, 0.28, INF, 0.2),
        Bound("hands on the floor", lambda m: m.hands, -INF, 0.12, 0.2),
    ),
    "on-its-back": (*LYING, Bound("belly up", lambda m: m.facing_up, 0.70, INF, 0.4)),
    "face-down": (*LYING, Bound("belly down", lambda m: m.facing_up, -INF, -0.70, 0.4)),
    "lying": LYING,
    **{f"{SIDES[1 - lifted]}-leg": _on_one_leg(lifted) for lifted in (0, 1)},
    **{f"{side}-knee": _on_one_knee(down) for down, side in enumerate(SIDES)},
    **{f"{side}-side": _on_side(index) for index, side in enumerate(SIDES)},
}


def _raised(index: int) -> tuple[Bound, ...]:
    side = SIDES[index]
    return (
        Bound(f"{side} hand above the head", lambda m: m.hands_above_head[index], HEAD, INF, 0.25),
        Bound("the other low", lambda m: m.hands_above_shoulders[1 - index], -INF, 0.0, OTHER),
    )


def _outwards(measures: Measures) -> Sides:
    """How much further a hand is out than ahead or behind, metres; of a straight arm .17 at 45 degrees."""
    return measures.hands_out - jnp.abs(measures.hands_ahead)


def _sideways(index: int) -> tuple[Bound, ...]:
    side = SIDES[index]
    return (
        Bound(f"{side} hand far out", lambda m: m.hands_out[index], 0.55, INF, 0.2),
        Bound("rather than ahead", lambda m: _outwards(m)[index], OUTWARDS, INF, 0.2),
        Bound("level", lambda m: jnp.abs(m.hands_above_shoulders[index]), 0.0, 0.2, 0.2),
        Bound("the other not", lambda m: m.hands_out[1 - index], -INF, 0.45, OTHER),
    )


def _ahead(index: int) -> tuple[Bound, ...]:
    side = SIDES[index]
    return (
        Bound(f"{side} hand ahead", lambda m: m.hands_ahead[index], 0.42, INF, 0.2),
        Bound("level", lambda m: jnp.abs(m.hands_above_shoulders[index]), 0.0, 0.25, 0.2),
        Bound("the other not", lambda m: m.hands_ahead[1 - index], -INF, 0.30, OTHER),
    )


ARMS = {
    "raised": (Bound("hands above the head", lambda m: m.hands_above_head, HEAD, INF, 0.25),),
    "on-hips": (
        Bound("hands at the hips", lambda m: m.hands_to_hips, 0.0, 0.12, 0.15),
        Bound("elbows out", lambda m: m.elbows_out, 0.20, INF, 0.1),
    ),
    "crossed": (
        Bound("hands across the chest", lambda m: m.hands_out, -INF, -0.03, 0.15),
        Bound("hands ahead", lambda m: m.hands_ahead, 0.06, 0.40, 0.15),
        Bound("hands at the chest", lambda m: m.hands_above_shoulders, -0.35, 0.10, 0.2),
    ),
    "hanging": (
        Bound("hands low", lambda m: m.hands_above_shoulders, -INF, -0.35, 0.2),
        Bound("hands beside", lambda m: m.hands_out, 0.12, 0.45, 0.15),
        Bound("hands off the hips", lambda m: m.hands_to_hips, 0.14, INF, 0.1),
    ),
    "sideways": (
        Bound("hands far out", lambda m: m.hands_out, 0.55, INF, 0.2),
        Bound("rather than ahead", _outwards, OUTWARDS, INF, 0.2),
        Bound("hands level", lambda m: jnp.abs(m.hands_above_shoulders), 0.0, 0.2, 0.2),
    ),
    "ahead": (
        Bound("hands ahead", lambda m: m.hands_ahead, 0.42, INF, 0.2),
        Bound("hands level", lambda m: jnp.abs(m.hands_above_shoulders), 0.0, 0.25, 0.2),
    ),
    "one-raised": (
        Bound("a hand above the head", lambda m: m.hands_above_head.max(), HEAD, INF, 0.25),
        Bound("the other low", lambda m: m.hands_above_shoulders.min(), -INF, 0.0, OTHER),
    ),
    **{f"{side}-raised": _raised(index) for index, side in enumerate(SIDES)},
    **{f"{side}-sideways": _sideways(index) for index, side in enumerate(SIDES)},
    **{f"{side}-ahead": _ahead(index) for index, side in enumerate(SIDES)},
}

# Of the trunk, the legs and the feet, whatever the posture.
DETAILS = {
    "leaning-forward": (
        Bound("torso tilted", lambda m: m.upright, 0.45, 0.90, 0.2),
        Bound("forward", lambda m: m.facing_up, -INF, -0.35, 0.2),
    ),
    "leaning-back": (
        Bound("torso tilted", lambda m: m.upright, 0.45, 0.90, 0.2),
        Bound("backward", lambda m: m.facing_up, 0.35, INF, 0.2),
    ),
    **{
        f"leaning-{side}": (
            Bound("torso tilted", lambda m: m.upright, 0.45, 0.92, 0.2),
            Bound(side, lambda m, sign=sign: sign * m.left_up, 0.35, INF, 0.2),
        )
        for side, sign in zip(SIDES, (1.0, -1.0), strict=True)
    },
    "straight-legs": (Bound("knees straight", lambda m: m.knee_straight, 0.94, INF, 0.3),),
    "bent-knees": (Bound("knees bent", lambda m: m.knee_straight, -INF, 0.60, 0.3),),
    "feet-apart": (Bound("feet apart", lambda m: m.ankle_gap, 0.65, INF, 0.2),),
    "feet-together": (Bound("feet close", lambda m: m.ankle_gap, -INF, 0.22, 0.15),),
    "in-the-air": (Bound("off the floor", lambda m: m.off_floor, 0.10, INF, 0.08),),
}

NAMED = {**POSTURES, **ARMS, **DETAILS}

# Every bound there is: which of them a sentence claims is then a mask, so that one program judges any.
ALL = tuple(dict.fromkeys([*(bound for bounds in NAMED.values() for bound in bounds), *SOUND]))
