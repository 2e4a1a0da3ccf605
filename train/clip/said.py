"""What the small CLIP is told of all its scenes: the humanoid's and those of classic control."""

import numpy as np

from envs import claims, classic_captions
from envs.humanoid import captions
from jaxrm.weights.tokens import TrainingWords

SHARE = 1 / 16  # of what is said is about each topic of classic control


def all_claims(count: int = captions.WORDINGS) -> claims.Claims:
    """Everything that can be claimed or denied of any scene, and how often to; about `count` sentences of
    each claim about the humanoid."""
    classic = classic_captions.scenes()
    topics = (captions.claims(count), *(topic.claims() for topic in classic))
    columns = (len(captions.NAMES) + 1, *(len(topic.concepts) for topic in classic))
    shares = (1 - SHARE * len(classic), *(SHARE for _ in classic))
    return claims.join(topics, columns, shares)


def sentences(said: claims.Claims, rng: np.random.Generator, wordings: int = 256) -> list[list[str]]:
    """So many of each claim to train with, a quarter of them its first, the plainest, over and over."""
    rows, often = [], wordings // 4
    for every in said.wordings:
        known = [sentence for sentence in every if not claims.is_held_out(sentence)]
        others = rng.permutation(np.resize(np.arange(len(known)), max(len(known), wordings)))
        rows.append(
            [known[i] for i in (*(np.arange(often) % min(often, len(known))), *others[: wordings - often])]
        )
    return rows


def known_words(said: claims.Claims) -> TrainingWords:
    """Every word, and the plainest sentence of every claim of one part: what an error can suggest."""
    single = [
        wordings[0]
        for wordings, parts in zip(said.wordings, said.parts, strict=True)
        if (parts[:2] >= 0).sum() <= 1
    ]
    everything = [sentence for wordings in said.wordings for sentence in wordings]
    return TrainingWords(TrainingWords.of(everything).words, tuple(single))
