"""What can be said of a humanoid: concepts, each with measured bounds and the words for it.

Tasks judge success by these bounds; captions for training a reward model take their degree of truth
from the same numbers, so that what the words mean is written down once.
"""

from typing import NamedTuple

import jax.numpy as jnp

from envs.humanoid.criteria import INF, Bound

ON_FLOOR = 0.11  # m, highest centre of a foot (radius 0.075) or knee (radius 0.06) that touches the floor


class Concept(NamedTuple):
    bounds: tuple[Bound, ...]
    phrases: tuple[str, ...]


FEET_DOWN = Bound("feet on the floor", lambda m: m.ankles, 0.03, ON_FLOOR, 0.15)
UPRIGHT = Bound("torso upright", lambda m: m.upright, 0.75, INF, 0.3)
HIPS_DOWN = Bound("hips on the floor", lambda m: m.hips, 0.02, 0.17, 0.15)
LYING = (
    Bound("torso low", lambda m: m.torso, -INF, 0.30, 0.3),
    Bound("hips low", lambda m: m.hips, -INF, 0.25, 0.3),
)

POSTURES = {
    "kneeling": Concept(
        (
            Bound("knees on the floor", lambda m: m.knees, 0.03, ON_FLOOR, 0.2),
            UPRIGHT,
            Bound("hips low but off the floor", lambda m: m.hips, 0.28, 0.62, 0.25),
        ),
        ("kneeling", "kneeling down", "kneeling on the floor", "on its knees", "kneeling on both knees"),
    ),
    "lotus": Concept(
        (
            UPRIGHT,
            HIPS_DOWN,
            Bound("knees low", lambda m: m.knees, 0.02, 0.35, 0.2),
            Bound("knees outward", lambda m: m.knee_out, 0.20, INF, 0.15),
            Bound("feet inward", lambda m: m.ankle_out, -INF, 0.35, 0.15),
            Bound("feet close", lambda m: m.ankle_ahead, -INF, 0.50, 0.25),
        ),
        (
            "seated down, meditating in the lotus position",
            "sitting in the lotus position",
            "seated cross-legged on the floor",
            "meditating",
        ),
    ),
    "standing": Concept(
        (
            Bound("torso upright", lambda m: m.upright, 0.90, INF, 0.25),
            Bound("hips high", lambda m: m.hips, 0.75, INF, 0.15),
            FEET_DOWN,
        ),
        ("standing up", "standing", "standing upright", "standing on both feet", "on its feet"),
    ),
    "splits": Concept(
        (
            UPRIGHT,
            Bound("hips low", lambda m: m.hips, 0.02, 0.35, 0.2),
            Bound("feet apart", lambda m: m.ankle_gap, 1.0, INF, 0.3),
            Bound("legs sideways", lambda m: m.ankle_out, 0.35, INF, 0.2),
        ),
        (
            "practicing gymnastics, doing the side splits",
            "doing the side splits",
            "doing the splits",
            "sitting with its legs spread wide apart",
        ),
    ),
    "one-leg": Concept(
        (
            Bound("torso upright", lambda m: m.upright, 0.80, INF, 0.3),
            Bound("hips high", lambda m: m.hips, 0.70, INF, 0.15),
            Bound("one foot on the floor", lambda m: m.ankles.min(), 0.03, ON_FLOOR, 0.15),
            Bound("the other lifted", lambda m: m.ankles.max(), 0.25, INF, 0.15),
        ),
        ("standing up on one leg", "standing on one leg", "balancing on one leg", "with one foot in the air"),
    ),
    "one-knee": Concept(
        (
            UPRIGHT,
            Bound("one knee on the floor", lambda m: m.knees.min(), 0.03, ON_FLOOR, 0.15),
            Bound("the other up", lambda m: m.knees.max(), 0.32, INF, 0.15),
            Bound("hips low", lambda m: m.hips, 0.28, 0.62, 0.25),
        ),
        ("kneeling on one knee", "down on one knee", "genuflecting"),
    ),
    "sitting": Concept(
        (
            UPRIGHT,
            HIPS_DOWN,
            Bound("legs ahead", lambda m: m.ankle_ahead, 0.45, INF, 0.3),
            Bound("legs together", lambda m: m.ankle_gap, -INF, 0.45, 0.25),
        ),
        (
            "sitting on the floor",
            "sitting",
            "sitting down",
            "sitting with its legs stretched out",
            "seated on the ground",
        ),
    ),
    "squatting": Concept(
        (
            Bound("torso upright", lambda m: m.upright, 0.55, INF, 0.3),
            FEET_DOWN,
            Bound("hips low", lambda m: m.hips, 0.20, 0.55, 0.2),
            Bound("knees up", lambda m: m.knees, 0.25, INF, 0.15),
        ),
        ("squatting", "squatting down", "crouching", "crouching on its feet with bent knees"),
    ),
    "bending": Concept(
        (
            Bound("torso level", lambda m: m.upright, -0.75, 0.50, 0.3),
            Bound("hips high", lambda m: m.hips, 0.60, INF, 0.15),
            FEET_DOWN,
        ),
        ("bending over", "bending forward", "leaning far forward on its feet", "bowing"),
    ),
    "on-all-fours": Concept(
        (
            Bound("torso level", lambda m: m.upright, -0.5, 0.45, 0.3),
            Bound("belly down", lambda m: m.facing_up, -INF, -0.6, 0.4),
            Bound("knees on the floor", lambda m: m.knees, 0.03, ON_FLOOR, 0.2),
            Bound("hips off the floor", lambda m: m.hips, 0.28, INF, 0.2),
        ),
        ("on all fours", "crawling", "on its hands and knees"),
    ),
    "on-its-back": Concept(
        (*LYING, Bound("belly up", lambda m: m.facing_up, 0.70, INF, 0.4)),
        ("lying on its back", "lying face up", "lying on the floor, looking at the sky"),
    ),
    "face-down": Concept(
        (*LYING, Bound("belly down", lambda m: m.facing_up, -INF, -0.70, 0.4)),
        ("lying face down", "lying on its belly", "lying on its front"),
    ),
    "lying": Concept(LYING, ("lying on the floor", "lying down", "fallen over", "collapsed on the ground")),
}


def _arm(index: int) -> Concept:
    side = ("right", "left")[index]
    return Concept(
        (
            Bound(f"{side} hand above the head", lambda m: m.hands_above_head[index], 0.0, INF, 0.25),
            Bound("the other low", lambda m: m.hands_above_shoulders[1 - index], -INF, 0.0, 0.25),
        ),
        (f"with its {side} arm raised", f"raising its {side} arm", f"with the {side} hand above its head"),
    )


ARMS = {
    "raised": Concept(
        (Bound("hands above the head", lambda m: m.hands_above_head, 0.0, INF, 0.25),),
        (
            "with both arms raised",
            "with its arms raised",
            "raising both arms",
            "with both hands above its head",
        ),
    ),
    "on-hips": Concept(
        (
            Bound("hands at the hips", lambda m: m.hands_to_hips, 0.0, 0.14, 0.15),
            Bound("elbows out", lambda m: m.elbows_out, 0.20, INF, 0.1),
        ),
        ("with hands on hips", "with its hands on its hips", "with both hands on the hips"),
    ),
    "crossed": Concept(
        (
            Bound("hands across the chest", lambda m: m.hands_out, -INF, -0.03, 0.15),
            Bound("hands ahead", lambda m: m.hands_ahead, 0.06, 0.40, 0.15),
            Bound("hands at the chest", lambda m: m.hands_above_shoulders, -0.35, 0.10, 0.2),
        ),
        ("with its arms crossed", "with crossed arms", "crossing its arms over its chest"),
    ),
    "hanging": Concept(
        (
            Bound("hands low", lambda m: m.hands_above_shoulders, -INF, -0.35, 0.2),
            Bound("hands beside", lambda m: m.hands_out, 0.12, 0.45, 0.15),
        ),
        ("with its arms hanging down", "with arms at its sides", "with lowered arms"),
    ),
    "sideways": Concept(
        (
            Bound("hands far out", lambda m: m.hands_out, 0.55, INF, 0.2),
            Bound("hands level", lambda m: jnp.abs(m.hands_above_shoulders), 0.0, 0.2, 0.2),
        ),
        ("with its arms stretched out sideways", "with outstretched arms", "spreading its arms wide"),
    ),
    "ahead": Concept(
        (
            Bound("hands ahead", lambda m: m.hands_ahead, 0.42, INF, 0.2),
            Bound("hands level", lambda m: jnp.abs(m.hands_above_shoulders), 0.0, 0.25, 0.2),
        ),
        ("with its arms stretched out forward", "reaching forward with both arms", "with both arms ahead"),
    ),
    "right-raised": _arm(0),
    "left-raised": _arm(1),
}
