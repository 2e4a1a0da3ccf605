"""Captions: what is claimed, in which words, and how true it is."""

import re

import jax.numpy as jnp
import numpy as np

from envs import claims as said
from envs import make
from envs.humanoid import captions
from envs.humanoid.concepts import POSTURES
from envs.humanoid.meaning import is_caption
from envs.humanoid.paraphrases import PARAPHRASES
from envs.humanoid.postures import Sampler
from envs.humanoid.tasks import BASELINE, TASKS
from jaxrm.weights.tokens import words_of


def test_every_task_prompt_is_a_caption():
    known = {wording for wordings in captions.claims().wordings for wording in wordings}
    assert {task.goal for task in TASKS.values()} <= known and BASELINE in known


def index(name):
    return captions.NAMES.index(name)


def test_what_is_missing_adds_up_and_denials_turn_it_round():
    misses = np.zeros((1, len(captions.NAMES) + 1))
    kneeling, raised = index("kneeling"), index("raised")
    misses[0, kneeling], misses[0, raised] = 1.0, 2.0
    parts = np.array([[-1, -1, -1], [kneeling, -1, -1], [-1, raised, -1], [kneeling, raised, -1]] * 2)
    denied = np.zeros(parts.shape, bool)
    denied[5, 0] = denied[7, 1] = True
    degrees = np.asarray(said.degrees(misses, parts, denied))[0]
    one, two = ((np.exp(-miss / 2) + np.exp(-miss / 0.25)) / 2 for miss in (1, 2))
    np.testing.assert_allclose(degrees, [1, one, two, one * two, 1, 1 - one, two, one * (1 - two)], rtol=1e-6)


def test_claims_and_wordings_fit_together():
    claims = captions.claims()
    assert len(claims.parts) == len(claims.negated) == len(claims.weight) == len(claims.wordings)
    for wordings in claims.wordings:
        assert len(set(wordings)) == len(wordings)
        assert any(not said.is_held_out(sentence) for sentence in wordings)


def test_what_is_held_out_is_not_claimed():
    claims = captions.claims()
    said = {tuple(row[:2]) for row in claims.parts[~claims.negated.any(-1)].tolist()}
    for posture, arms in captions.HELD_OUT:
        assert (index(posture), index(arms)) not in said


def test_a_posture_is_claimed_of_a_sound_body_alone():
    claims = captions.claims()
    sound = len(captions.NAMES)
    row = claims.wordings.index(next(w for w in claims.wordings if w[0] == "a humanoid robot kneeling"))
    assert claims.parts[row].tolist() == [index("kneeling"), -1, sound]
    row = claims.wordings.index(next(w for w in claims.wordings if w[0] == "a humanoid robot not kneeling"))
    assert claims.parts[row].tolist() == [index("kneeling"), -1, -1] and claims.negated[row, 0]


def test_paraphrases_use_known_words_in_sentences_that_no_caption_is():
    words = {word for wordings in captions.claims().wordings for text in wordings for word in words_of(text)}
    assert PARAPHRASES.keys() == TASKS.keys()
    for sentences in PARAPHRASES.values():
        assert len(set(sentences)) == 10
        for sentence in sentences:
            assert not set(words_of(sentence)) - words, sentence
            assert not is_caption(sentence), sentence


def told(*parts):
    return [tail.text for tail in captions.tails(*parts) if not tail.links]


def test_what_is_told_to_be_done():
    crossed = captions.Part("crossed")
    assert {"cross its arms", "cross your arms"} <= set(told(crossed))
    assert "do the splits" in told(captions.Part("splits")) and "lie down" in told(captions.Part("lying"))
    assert "do not kneel" in told(captions.Part("kneeling", negated=True))
    assert "kneel and cross your arms" in told(captions.Part("kneeling"), crossed)


def test_orders_and_verbs_are_not_drowned_by_phrases():
    """Of two parts there are a hundred times as many phrases."""
    for claim in (("kneeling", "crossed"), ("standing", "sideways")):
        parts = tuple(map(captions.Part, claim))
        spoken = set(captions.wordings(*parts))
        orders = spoken & set(told(*parts))
        verbs = {end.text for end in captions.tails(*parts) if end.links == captions.VERB_LINKS}
        done = [text for text in spoken if any(text.endswith(verb) for verb in verbs)]
        assert len(orders) > 0.1 * len(spoken) and len(done) > 0.1 * len(spoken), claim


def test_arms_may_come_first():
    spoken = {
        text for tail in captions.tails(*map(captions.Part, ("kneeling", "raised"))) for text in [tail.text]
    }
    assert "with its arms raised, kneeling" in spoken


def test_no_sentence_of_its_own_follows_an_opening():
    for wordings in captions.claims().wordings:
        for sentence in wordings:
            opened = sentence.startswith(("a picture of ", "an image of ", "a photo of ", "a render of "))
            assert not (opened and " is " in sentence and not re.search(r" (that|who) is ", sentence)), (
                sentence
            )


def test_no_posture_is_told_from_its_own_kind():
    for claim in captions.said():
        names = [part.name for part in claim if part.negated]
        if len(claim) == 2 and names and names[0] in captions.TOLD_APART:
            bounds, denied = (POSTURES[name] for name in (claim[0].name, names[0]))
            assert set(denied) - set(bounds), claim


def test_the_tasks_are_spoken_of_most():
    claims = captions.claims()
    tasks = {(task.posture, *([task.arms] if task.arms else [])) for task in TASKS.values()}
    most = {
        tuple(part.name for part in claim)
        for claim, weight in zip(captions.said(), claims.weight, strict=True)
        if weight == claims.weight.max()
    }
    assert most == tasks


def test_truth_falls_from_one_to_nothing():
    miss = np.linspace(0, 20, 200, dtype=np.float32)
    true = np.asarray(said.truth(miss))
    assert true[0] == 1 and true[-1] < 1e-4 and (np.diff(true) < 0).all()
    np.testing.assert_allclose(said.truth(np.float32(1)), (np.exp(-0.5) + np.exp(-4)) / 2, rtol=1e-6)


def test_two_arms_are_not_one():
    env = make("humanoid/kneeling")
    sampler, zero = Sampler(env), jnp.zeros(())
    for arms, one in (("ahead", "right-ahead"), ("raised", "left-raised"), ("sideways", "right-sideways")):
        joints = sampler.leg_joints("standing") + sampler.arm_joints(arms)
        measures = env.measures(env.pose_at(sampler.qpos(joints, zero, zero, zero, zero)))
        true = np.asarray(said.truth(captions.misses(measures)))
        assert true[index(arms)] == 1 and true[index(one)] < 0.15, arms
