"""What can be said of a humanoid: concepts, each with measured bounds and the words for it.

Tasks judge success by these bounds; captions for training a reward model take their degree of truth
from the same numbers, so that what the words mean is written down once.
"""

from typing import NamedTuple

import jax.numpy as jnp

from envs.criteria import INF, Bound

ON_FLOOR = 0.11  # m, highest centre of a foot (radius 0.075) or knee (radius 0.06) that touches the floor
SIDES = ("right", "left")  # in the order of the measures
OTHER = 0.06  # m, slack of what the other arm must not do: both arms ahead are not nearly one arm ahead


class Concept(NamedTuple):
    """Bounds that make it true; phrases that follow the subject or "is"; adjectives that precede it; what it
    does, in the third person."""

    bounds: tuple[Bound, ...]
    phrases: tuple[str, ...]
    adjectives: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()


FEET_DOWN = Bound("feet on the floor", lambda m: m.ankles, 0.03, ON_FLOOR, 0.15)
UPRIGHT = Bound("torso upright", lambda m: m.upright, 0.75, INF, 0.3)
HIPS_DOWN = Bound("hips on the floor", lambda m: m.hips, 0.02, 0.19, 0.15)
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
    "kneeling": Concept(
        (
            Bound("knees on the floor", lambda m: m.knees, 0.03, ON_FLOOR, 0.2),
            UPRIGHT,
            KNEELING_HIPS,
        ),
        (
            "kneeling",
            "kneeling down",
            "kneeling on the floor",
            "on its knees",
            "kneeling on both knees",
            "kneeling on the ground",
            "down on its two knees",
            "kneeling upright",
            "on both knees",
        ),
        ("kneeling",),
        ("kneels", "kneels down", "kneels on the floor", "kneels on the ground", "kneels on both knees"),
    ),
    "lotus": Concept(
        (
            UPRIGHT,
            HIPS_DOWN,
            Bound("knees low", lambda m: m.knees, 0.02, 0.35, 0.2),
            Bound("knees outward", lambda m: m.knee_out, 0.25, INF, 0.15),
            Bound("knees bent", lambda m: m.knee_straight, -INF, -0.2, 0.4),
            Bound("feet inward", lambda m: m.ankle_out, -INF, 0.20, 0.15),
            Bound("feet close", lambda m: m.ankle_ahead, -INF, 0.30, 0.25),
            Bound("feet low", lambda m: m.ankles, 0.02, 0.30, 0.2),
        ),
        (
            "seated down, meditating in the lotus position",
            "sitting in the lotus position",
            "seated cross-legged on the floor",
            "sitting cross-legged",
            "meditating",
            "sitting with its legs crossed",
            "seated with crossed legs on the ground",
            "in the lotus position",
            "in lotus pose",
            "sitting in lotus pose",
            "sitting with crossed legs",
            "seated cross-legged",
            "meditating on the floor",
        ),
        ("meditating", "cross-legged"),
        ("sits cross-legged", "meditates", "sits in the lotus position", "sits with its legs crossed"),
    ),
    "standing": Concept(
        (
            Bound("torso upright", lambda m: m.upright, 0.90, INF, 0.25),
            Bound("hips high", lambda m: m.hips, 0.75, INF, 0.15),
            FEET_DOWN,
        ),
        (
            "standing up",
            "standing",
            "standing upright",
            "standing on both feet",
            "on its feet",
            "standing on two legs",
            "standing tall",
            "standing on the ground",
            "standing straight",
            "standing still",
        ),
        ("standing", "upright"),
        (
            "stands",
            "stands up",
            "stands upright",
            "stands on both feet",
            "stands on two legs",
            "stands up straight",
        ),
    ),
    "splits": Concept(
        (
            UPRIGHT,
            Bound("hips low", lambda m: m.hips, 0.02, 0.35, 0.2),
            Bound("feet apart", lambda m: m.ankle_gap, 1.0, INF, 0.3),
            Bound("legs sideways", lambda m: m.ankle_out, 0.35, INF, 0.2),
            Bound("legs straight", lambda m: m.knee_straight, 0.70, INF, 0.4),
            Bound("feet low", lambda m: m.ankles, 0.03, 0.25, 0.2),
        ),
        (
            "practicing gymnastics, doing the side splits",
            "doing the side splits",
            "doing the splits",
            "sitting with its legs spread wide apart",
            "performing the side splits",
            "in the splits",
            "sitting on the floor with its legs far apart",
            "doing a split",
            "in a split",
            "practicing gymnastics",
        ),
        (),
        (
            "does the splits",
            "does a split",
            "does the side splits",
            "performs the side splits",
            "sits with its legs far apart",
        ),
    ),
    "one-leg": Concept(
        _on_one_leg(),
        (
            "standing up on one leg",
            "standing on one leg",
            "balancing on one leg",
            "with one foot in the air",
            "lifting one leg",
            "standing on a single leg",
            "standing on one foot",
            "with a raised leg",
            "balancing on one foot",
            "with one leg raised",
            "standing on one leg with the other leg up",
        ),
        (),
        (
            "stands on one leg",
            "stands on one foot",
            "balances on one leg",
            "lifts one leg",
            "raises one foot off the ground",
        ),
    ),
    "one-knee": Concept(
        _on_one_knee(),
        ("kneeling on one knee", "down on one knee", "on one knee", "genuflecting"),
        (),
        ("kneels on one knee", "goes down on one knee"),
    ),
    "sitting": Concept(
        (
            UPRIGHT,
            HIPS_DOWN,
        ),
        (
            "sitting on the floor",
            "sitting",
            "sitting down",
            "seated",
            "seated on the ground",
            "sitting upright on the ground",
        ),
        ("sitting", "seated"),
        ("sits", "sits down", "sits on the floor", "sits on the ground"),
    ),
    "legs-ahead": Concept(
        (
            UPRIGHT,
            HIPS_DOWN,
            Bound("legs ahead", lambda m: m.ankle_ahead, 0.45, INF, 0.3),
            Bound("legs together", lambda m: m.ankle_gap, -INF, 0.45, 0.25),
        ),
        (
            "sitting with its legs stretched out",
            "sitting with straight legs",
            "sitting on the floor with its legs straight out in front",
        ),
        (),
        ("sits with its legs stretched out", "sits on the floor with straight legs"),
    ),
    "squatting": Concept(
        (
            Bound("torso upright", lambda m: m.upright, 0.55, INF, 0.3),
            FEET_DOWN,
            Bound("hips low", lambda m: m.hips, 0.20, 0.55, 0.2),
            Bound("knees up", lambda m: m.knees, 0.25, INF, 0.15),
        ),
        (
            "squatting",
            "squatting down",
            "crouching",
            "crouching with bent knees",
            "crouching down",
            "in a squat",
        ),
        ("squatting", "crouching"),
        ("squats", "squats down", "crouches"),
    ),
    "bending": Concept(
        (
            Bound("torso level", lambda m: m.upright, -0.75, 0.50, 0.3),
            Bound("hips high", lambda m: m.hips, 0.60, INF, 0.15),
            FEET_DOWN,
        ),
        ("bending over", "bending forward", "bending far forward", "bowing", "bent over"),
        ("bowing",),
        ("bends over", "bends forward", "bows"),
    ),
    "on-all-fours": Concept(
        (
            Bound("torso level", lambda m: m.upright, -0.5, 0.45, 0.3),
            Bound("belly down", lambda m: m.facing_up, -INF, -0.6, 0.4),
            Bound("knees on the floor", lambda m: m.knees, 0.03, ON_FLOOR, 0.2),
            Bound("hips off the floor", lambda m: m.hips, 0.28, INF, 0.2),
            Bound("hands on the floor", lambda m: m.hands, -INF, 0.12, 0.2),
        ),
        (
            "on all fours",
            "crawling",
            "on its hands and knees",
            "on hands and knees",
            "crawling on the floor",
            "crawling on the ground",
        ),
        ("crawling",),
        ("crawls", "crawls on the floor", "gets down on all fours"),
    ),
    "on-its-back": Concept(
        (*LYING, Bound("belly up", lambda m: m.facing_up, 0.70, INF, 0.4)),
        ("lying on its back", "lying face up", "lying on the floor, looking at the sky", "flat on its back"),
        (),
        ("lies on its back", "lies face up"),
    ),
    "face-down": Concept(
        (*LYING, Bound("belly down", lambda m: m.facing_up, -INF, -0.70, 0.4)),
        (
            "lying face down",
            "lying on its belly",
            "lying on its front",
            "lying on its stomach",
            "lying prone",
        ),
        (),
        ("lies face down", "lies on its stomach", "lies on its belly"),
    ),
    "lying": Concept(
        LYING,
        (
            "lying on the floor",
            "lying down",
            "fallen over",
            "collapsed on the ground",
            "lying flat on the ground",
            "lying on the ground",
        ),
        ("fallen",),
        ("lies on the floor", "lies down", "lies on the ground"),
    ),
    **{
        f"{SIDES[1 - lifted]}-leg": Concept(
            _on_one_leg(lifted),
            (
                f"standing on its {SIDES[1 - lifted]} leg",
                f"standing on one leg with its {SIDES[lifted]} foot in the air",
                f"lifting its {SIDES[lifted]} leg",
                f"balancing on its {SIDES[1 - lifted]} foot",
                f"with its {SIDES[lifted]} foot off the ground",
            ),
            (),
            (f"stands on its {SIDES[1 - lifted]} leg", f"lifts its {SIDES[lifted]} leg"),
        )
        for lifted in (0, 1)
    },
    **{
        f"{side}-knee": Concept(
            _on_one_knee(down),
            (f"kneeling on its {side} knee", f"down on its {side} knee", f"on its {side} knee"),
            (),
            (f"kneels on its {side} knee",),
        )
        for down, side in enumerate(SIDES)
    },
    **{
        f"{side}-side": Concept(
            _on_side(index),
            (f"lying on its {side} side", f"lying on the floor on its {side} side"),
            (),
            (f"lies on its {side} side",),
        )
        for index, side in enumerate(SIDES)
    },
}


def _raised(index: int) -> Concept:
    side = SIDES[index]
    return Concept(
        (
            Bound(f"{side} hand above the head", lambda m: m.hands_above_head[index], 0.0, INF, 0.25),
            Bound("the other low", lambda m: m.hands_above_shoulders[1 - index], -INF, 0.0, OTHER),
        ),
        (
            f"with its {side} arm raised",
            f"raising its {side} arm",
            f"with the {side} hand above its head",
            f"with its {side} hand up",
            f"with its {side} hand raised",
            f"raising its {side} hand",
        ),
        (),
        (f"raises its {side} arm", f"holds its {side} arm up"),
    )


def _sideways(index: int) -> Concept:
    side = SIDES[index]
    return Concept(
        (
            Bound(f"{side} hand far out", lambda m: m.hands_out[index], 0.55, INF, 0.2),
            Bound("level", lambda m: jnp.abs(m.hands_above_shoulders[index]), 0.0, 0.2, 0.2),
            Bound("the other not", lambda m: m.hands_out[1 - index], -INF, 0.45, OTHER),
        ),
        (
            f"with its {side} arm stretched out sideways",
            f"stretching its {side} arm to the side",
            f"with its {side} arm out to the side",
        ),
        (),
        (f"stretches its {side} arm to the side",),
    )


def _ahead(index: int) -> Concept:
    side = SIDES[index]
    return Concept(
        (
            Bound(f"{side} hand ahead", lambda m: m.hands_ahead[index], 0.42, INF, 0.2),
            Bound("level", lambda m: jnp.abs(m.hands_above_shoulders[index]), 0.0, 0.25, 0.2),
            Bound("the other not", lambda m: m.hands_ahead[1 - index], -INF, 0.30, OTHER),
        ),
        (
            f"with its {side} arm stretched out forward",
            f"reaching forward with its {side} arm",
            f"with its {side} arm out in front",
            f"pointing forward with its {side} arm",
        ),
        (),
        (f"reaches forward with its {side} arm", f"stretches its {side} arm forward"),
    )


ARMS = {
    "raised": Concept(
        (Bound("hands above the head", lambda m: m.hands_above_head, 0.0, INF, 0.25),),
        (
            "with both arms raised",
            "with its arms raised",
            "with arms raised",
            "with raised arms",
            "raising its arms",
            "raising its hands",
            "raising both arms",
            "with both hands above its head",
            "with both hands up",
            "with its hands up",
            "with its hands above its head",
            "with both hands in the air",
            "with its arms up in the air",
            "holding both arms up",
        ),
        (),
        ("raises both arms", "raises its arms", "holds both arms up", "puts its hands up"),
    ),
    "on-hips": Concept(
        (
            Bound("hands at the hips", lambda m: m.hands_to_hips, 0.0, 0.12, 0.15),
            Bound("elbows out", lambda m: m.elbows_out, 0.20, INF, 0.1),
        ),
        (
            "with hands on hips",
            "with its hands on its hips",
            "with both hands on the hips",
            "with hands on its hips",
            "with arms akimbo",
            "with its arms akimbo",
            "holding its hips with both hands",
        ),
        (),
        ("puts its hands on its hips", "holds its hands on its hips"),
    ),
    "crossed": Concept(
        (
            Bound("hands across the chest", lambda m: m.hands_out, -INF, -0.03, 0.15),
            Bound("hands ahead", lambda m: m.hands_ahead, 0.06, 0.40, 0.15),
            Bound("hands at the chest", lambda m: m.hands_above_shoulders, -0.35, 0.10, 0.2),
        ),
        (
            "with its arms crossed",
            "with crossed arms",
            "with arms crossed",
            "with arms folded",
            "crossing its arms",
            "crossing its arms over its chest",
            "with folded arms",
            "with its arms folded across its chest",
        ),
        (),
        ("crosses its arms", "folds its arms", "holds its arms crossed over its chest"),
    ),
    "hanging": Concept(
        (
            Bound("hands low", lambda m: m.hands_above_shoulders, -INF, -0.35, 0.2),
            Bound("hands beside", lambda m: m.hands_out, 0.12, 0.45, 0.15),
            Bound("hands off the hips", lambda m: m.hands_to_hips, 0.14, INF, 0.1),
        ),
        (
            "with its arms hanging down",
            "with arms at its sides",
            "with lowered arms",
            "with its arms down",
            "with arms by its sides",
        ),
        (),
        ("lets its arms hang down", "holds its arms at its sides"),
    ),
    "sideways": Concept(
        (
            Bound("hands far out", lambda m: m.hands_out, 0.55, INF, 0.2),
            Bound("hands level", lambda m: jnp.abs(m.hands_above_shoulders), 0.0, 0.2, 0.2),
        ),
        (
            "with its arms stretched out sideways",
            "with outstretched arms",
            "spreading its arms wide",
            "with both arms out to the sides",
            "in a T pose",
            "with arms outstretched",
        ),
        (),
        ("spreads its arms", "stretches its arms out to the sides", "holds its arms out sideways"),
    ),
    "ahead": Concept(
        (
            Bound("hands ahead", lambda m: m.hands_ahead, 0.42, INF, 0.2),
            Bound("hands level", lambda m: jnp.abs(m.hands_above_shoulders), 0.0, 0.25, 0.2),
        ),
        (
            "with its arms stretched out forward",
            "reaching forward with both arms",
            "with both arms ahead",
            "with its arms straight out in front",
        ),
        (),
        ("reaches forward with both arms", "stretches its arms forward", "holds its arms out in front"),
    ),
    "one-raised": Concept(
        (
            Bound("a hand above the head", lambda m: m.hands_above_head.max(), 0.0, INF, 0.25),
            Bound("the other low", lambda m: m.hands_above_shoulders.min(), -INF, 0.0, OTHER),
        ),
        (
            "with one arm raised",
            "raising one arm",
            "with one hand above its head",
            "with one hand up",
            "raising one hand",
        ),
        (),
        ("raises one arm", "holds one arm up"),
    ),
    **{f"{side}-raised": _raised(index) for index, side in enumerate(SIDES)},
    **{f"{side}-sideways": _sideways(index) for index, side in enumerate(SIDES)},
    **{f"{side}-ahead": _ahead(index) for index, side in enumerate(SIDES)},
}

# Of the trunk, the legs and the feet, whatever the posture.
DETAILS = {
    "leaning-forward": Concept(
        (
            Bound("torso tilted", lambda m: m.upright, 0.45, 0.90, 0.2),
            Bound("forward", lambda m: m.facing_up, -INF, -0.35, 0.2),
        ),
        ("leaning forward", "with its torso tilted forward"),
        (),
        ("leans forward",),
    ),
    "leaning-back": Concept(
        (
            Bound("torso tilted", lambda m: m.upright, 0.45, 0.90, 0.2),
            Bound("backward", lambda m: m.facing_up, 0.35, INF, 0.2),
        ),
        ("leaning back", "with its torso tilted backward", "leaning backward"),
        (),
        ("leans back", "leans backward"),
    ),
    **{
        f"leaning-{side}": Concept(
            (
                Bound("torso tilted", lambda m: m.upright, 0.45, 0.92, 0.2),
                Bound(side, lambda m, sign=sign: sign * m.left_up, 0.35, INF, 0.2),
            ),
            (f"leaning to its {side}", f"tilted to its {side} side"),
            (),
            (f"leans to its {side}",),
        )
        for side, sign in zip(SIDES, (1.0, -1.0), strict=True)
    },
    "straight-legs": Concept(
        (Bound("knees straight", lambda m: m.knee_straight, 0.94, INF, 0.3),),
        ("with straight legs", "with its legs straight"),
    ),
    "bent-knees": Concept(
        (Bound("knees bent", lambda m: m.knee_straight, -INF, 0.60, 0.3),),
        ("with bent knees", "with its knees bent"),
    ),
    "feet-apart": Concept(
        (Bound("feet apart", lambda m: m.ankle_gap, 0.65, INF, 0.2),),
        ("with its feet wide apart", "with its legs apart"),
    ),
    "feet-together": Concept(
        (Bound("feet close", lambda m: m.ankle_gap, -INF, 0.22, 0.15),),
        ("with its feet together", "with its feet side by side"),
    ),
    "in-the-air": Concept(
        (Bound("off the floor", lambda m: m.off_floor, 0.10, INF, 0.08),),
        ("in the air", "off the ground", "above the floor"),
    ),
}

NAMED: dict[str, Concept] = {**POSTURES, **ARMS, **DETAILS}

# Every bound there is: which of them a sentence claims is then a mask, so that one program judges any.
ALL = tuple(dict.fromkeys([*(bound for concept in NAMED.values() for bound in concept.bounds), *SOUND]))
