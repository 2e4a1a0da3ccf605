"""What a small CLIP takes a sentence for: the nearest of the plain sentences about the humanoid."""

import functools
import itertools
from typing import NamedTuple

import numpy as np

from envs.humanoid.captions import SUBJECTS, Part, phrases_of
from envs.humanoid.concepts import ARMS, NAMED, POSTURES
from envs.humanoid.meaning import is_caption, parts_of
from jaxrm.weights.clip import ClipCheckpoint
from jaxrm.weights.tokens import words_of


class Reading(NamedTuple):
    """The plain sentence that a model hears, how near it is, and whether it says what was said."""

    sentence: str
    cosine: float
    as_said: bool


def read(clip: ClipCheckpoint, goal: str) -> Reading:
    """Plain sentences with words that the model never saw are left out."""
    taught = clip.processor.training_words
    plain = {
        sentence: parts
        for sentence, parts in plain_sentences().items()
        if taught is None or taught.words >= set(words_of(sentence))
    }
    goal_vector, *vectors = np.asarray(clip.embed_texts([goal, *plain]))
    cosines = dict(zip(plain, np.stack(vectors) @ goal_vector, strict=True))
    nearest = max(cosines, key=cosines.__getitem__)
    said = parts_of(goal)
    claimed = said and tuple(part for part in said if not part.negated)  # of "kneeling, not standing"
    detailed = said is None and is_caption(goal)  # as captions speak, and no plain sentence says
    return Reading(nearest, float(cosines[nearest]), detailed or plain[nearest] in (said, claimed))


@functools.cache
def plain_sentences() -> dict[str, tuple[Part, ...]]:
    """Every concept, its denial, and every posture with arms, in their first words."""
    single = ((Part(name, negated),) for name in NAMED for negated in (False, True))
    pairs = (tuple(map(Part, names)) for names in itertools.product(POSTURES, ARMS))
    return {
        f"{SUBJECTS[0]} {', '.join(phrases_of(part)[0] for part in claim)}": claim
        for claim in (*single, *pairs)
    }
