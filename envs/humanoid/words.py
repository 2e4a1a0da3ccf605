"""The words for what can be said of a humanoid: of each of `concepts.NAMED`."""

from typing import NamedTuple

from envs.humanoid.concepts import SIDES


class Words(NamedTuple):
    """Phrases that follow the subject or "is"; adjectives that precede it; what it does, in third person."""

    phrases: tuple[str, ...]
    adjectives: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()


WORDS = {
    "kneeling": Words(
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
    "lotus": Words(
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
            "sitting with legs crossed",
            "seated cross-legged",
            "meditating on the floor",
        ),
        ("meditating", "cross-legged"),
        ("sits cross-legged", "meditates", "sits in the lotus position", "sits with its legs crossed"),
    ),
    "standing": Words(
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
    "splits": Words(
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
            "in the side splits",
        ),
        verbs=(
            "does the splits",
            "does a split",
            "does the side splits",
            "performs the side splits",
            "sits with its legs far apart",
        ),
    ),
    "one-leg": Words(
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
        verbs=(
            "stands on one leg",
            "stands on one foot",
            "balances on one leg",
            "lifts one leg",
            "raises one foot off the ground",
        ),
    ),
    "one-knee": Words(
        ("kneeling on one knee", "down on one knee", "on one knee", "genuflecting"),
        verbs=("kneels on one knee", "goes down on one knee"),
    ),
    "sitting": Words(
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
    "legs-ahead": Words(
        (
            "sitting with its legs stretched out",
            "sitting with straight legs",
            "sitting on the floor with its legs straight out in front",
        ),
        verbs=("sits with its legs stretched out", "sits on the floor with straight legs"),
    ),
    "squatting": Words(
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
    "bending": Words(
        ("bending over", "bending forward", "bending far forward", "bowing", "bent over"),
        ("bowing",),
        ("bends over", "bends forward", "bows"),
    ),
    "on-all-fours": Words(
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
    "on-its-back": Words(
        (
            "lying on its back",
            "lying face up",
            "lying on the floor, looking at the sky",
            "flat on its back",
            "on its back",
            "lying flat on its back",
        ),
        verbs=("lies on its back", "lies face up"),
    ),
    "face-down": Words(
        (
            "lying face down",
            "lying on its belly",
            "lying on its front",
            "lying on its stomach",
            "lying prone",
            "on its belly",
            "on its stomach",
        ),
        verbs=("lies face down", "lies on its stomach", "lies on its belly"),
    ),
    "lying": Words(
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
        f"{SIDES[1 - lifted]}-leg": Words(
            (
                f"standing on its {SIDES[1 - lifted]} leg",
                f"standing on its {SIDES[1 - lifted]} foot",
                f"standing on one leg with its {SIDES[lifted]} foot in the air",
                f"lifting its {SIDES[lifted]} leg",
                f"balancing on its {SIDES[1 - lifted]} foot",
                f"with its {SIDES[lifted]} foot off the ground",
                f"raising its {SIDES[lifted]} leg",
                f"with its {SIDES[lifted]} leg raised",
            ),
            verbs=(
                f"stands on its {SIDES[1 - lifted]} leg",
                f"lifts its {SIDES[lifted]} leg",
                f"raises its {SIDES[lifted]} leg",
                f"balances on its {SIDES[1 - lifted]} leg",
            ),
        )
        for lifted in (0, 1)
    },
    **{
        f"{side}-knee": Words(
            (f"kneeling on its {side} knee", f"down on its {side} knee", f"on its {side} knee"),
            verbs=(f"kneels on its {side} knee",),
        )
        for side in SIDES
    },
    **{
        f"{side}-side": Words(
            (f"lying on its {side} side", f"lying on the floor on its {side} side"),
            verbs=(f"lies on its {side} side",),
        )
        for side in SIDES
    },
    "raised": Words(
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
            "with hands up",
            "with arms up",
            "raising both hands",
            "with its hands above its head",
            "with both hands in the air",
            "with its arms up in the air",
            "holding both arms up",
            "with its arms over its head",
            "with its arms above its head",
            "reaching up with both arms",
        ),
        verbs=(
            "raises both arms",
            "raises both hands",
            "raises its arms",
            "holds both arms up",
            "puts its hands up",
            "reaches up with both arms",
        ),
    ),
    "on-hips": Words(
        (
            "with hands on hips",
            "with its hands on its hips",
            "with both hands on the hips",
            "with hands on its hips",
            "with arms akimbo",
            "with its arms akimbo",
            "holding its hips with both hands",
        ),
        verbs=("puts its hands on its hips", "holds its hands on its hips"),
    ),
    "crossed": Words(
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
        verbs=("crosses its arms", "folds its arms", "holds its arms crossed over its chest"),
    ),
    "hanging": Words(
        (
            "with its arms hanging down",
            "with arms at its sides",
            "with lowered arms",
            "with its arms down",
            "with arms by its sides",
        ),
        verbs=("lets its arms hang down", "holds its arms at its sides"),
    ),
    "sideways": Words(
        (
            "with its arms stretched out sideways",
            "with outstretched arms",
            "spreading its arms wide",
            "with both arms out to the sides",
            "with arms out",
            "with its arms out to the sides",
            "in a T pose",
            "in a T-pose",
            "with arms outstretched",
            "with its arms spread",
            "with its arms spread wide",
            "with its arms wide apart",
        ),
        verbs=("spreads its arms", "stretches its arms out to the sides", "holds its arms out sideways"),
    ),
    "ahead": Words(
        (
            "with its arms stretched out forward",
            "reaching forward with both arms",
            "with both arms ahead",
            "with its arms straight out in front",
            "pointing forward with both arms",
        ),
        verbs=("reaches forward with both arms", "stretches its arms forward", "holds its arms out in front"),
    ),
    "one-raised": Words(
        (
            "with one arm raised",
            "raising one arm",
            "with one hand above its head",
            "with one hand up",
            "with one arm up",
            "raising one hand",
        ),
        verbs=("raises one arm", "holds one arm up"),
    ),
    **{
        f"{side}-raised": Words(
            (
                f"with its {side} arm raised",
                f"raising its {side} arm",
                f"with the {side} hand above its head",
                f"with its {side} hand up",
                f"with its {side} hand raised",
                f"raising its {side} hand",
                f"with its {side} arm up",
            ),
            verbs=(f"raises its {side} arm", f"holds its {side} arm up", f"raises its {side} hand"),
        )
        for side in SIDES
    },
    **{
        f"{side}-sideways": Words(
            (
                f"with its {side} arm stretched out sideways",
                f"stretching its {side} arm to the side",
                f"with its {side} arm out to the side",
            ),
            verbs=(f"stretches its {side} arm to the side",),
        )
        for side in SIDES
    },
    **{
        f"{side}-ahead": Words(
            (
                f"with its {side} arm stretched out forward",
                f"reaching forward with its {side} arm",
                f"with its {side} arm out in front",
                f"pointing forward with its {side} arm",
            ),
            verbs=(f"reaches forward with its {side} arm", f"stretches its {side} arm forward"),
        )
        for side in SIDES
    },
    "leaning-forward": Words(("leaning forward", "with its torso tilted forward"), verbs=("leans forward",)),
    "leaning-back": Words(
        ("leaning back", "with its torso tilted backward", "leaning backward"),
        verbs=("leans back", "leans backward"),
    ),
    **{
        f"leaning-{side}": Words(
            (f"leaning to its {side}", f"tilted to its {side} side"), verbs=(f"leans to its {side}",)
        )
        for side in SIDES
    },
    "straight-legs": Words(("with straight legs", "with its legs straight")),
    "bent-knees": Words(("with bent knees", "with its knees bent")),
    "feet-apart": Words(("with its feet wide apart", "with its legs apart")),
    "feet-together": Words(("with its feet together", "with its feet side by side")),
    "in-the-air": Words(("in the air", "off the ground", "above the floor")),
}
