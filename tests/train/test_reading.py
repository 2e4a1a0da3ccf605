"""What the models that come with us take a sentence for."""

import itertools
import random

import numpy as np
import pytest

import jaxrm
from envs.humanoid import captions
from envs.humanoid.concepts import ARMS, POSTURES
from train.rl.reading import read


@pytest.fixture(scope="module")
def clip():
    return jaxrm.load_clip("scene-clip")


@pytest.mark.parametrize(
    "sentence",
    ["a humanoid robot kneeling", "kneel and cross your arms", "kneel and spread your arms",
     "squatting with arms out", "a robot standing with its arms over its head", "standing, hands on hips",
     "raise your right leg", "stand and fold your arms", "squat and hold your arms out sideways",
     "in a T-pose", "kneeling with hands up", "a robot with its arms crossed, kneeling",
     "kneeling, not standing", "standing on its left foot", "a humanoid robot standing up, leaning forward"],
)  # fmt: skip
def test_it_hears_what_is_said(sentence, clip):
    heard = read(clip, sentence)
    assert heard.as_said, heard


def test_orders_in_two_parts(clip):
    """None of them has an opening, so that the figures of wordings that were kept out say nothing of them."""
    pairs = [claim for claim in captions.said() if len(claim) == 2 and claim[1].name in ARMS]
    orders = [
        tail.text
        for claim in pairs
        if not claim[1].negated
        for tail in captions.tails(*claim)
        if not tail.links and " and " in tail.text
    ]
    heard = [read(clip, order).as_said for order in random.Random(0).sample(orders, 60)]
    assert sum(heard) >= 58, sum(heard)


def test_wordings_of_pairs_that_training_never_claimed(clip):
    """A posture with arms: nine in ten are heard as said, two sentences of each pair and kind of sentence."""
    draw, told = random.Random(0), set(captions.said())
    pairs = [tuple(map(captions.Part, names)) for names in itertools.product(POSTURES, ARMS)]
    tails = [captions.tails(*pair) for pair in pairs if pair not in told]
    said = [end.text for ends in tails for end in (*draw.sample(ends, 2), *draw.sample(ends[-200:], 2))]
    heard = [read(clip, sentence).as_said for sentence in said]
    assert np.mean(heard) >= 0.9 and len(heard) >= 80, np.mean(heard)


def test_a_model_that_never_heard_a_denial_is_found_out():
    heard = read(jaxrm.load_clip("scene-clip-fine"), "a humanoid robot kneeling, not standing up")
    assert not heard.as_said and heard.sentence == "a humanoid robot not standing up"


def test_what_nobody_can_read_is_never_as_said(clip):
    assert not read(clip, "a humanoid robot standing on its head").as_said
