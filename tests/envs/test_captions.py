"""Captions: what is claimed, in which words, and how true it is."""

import numpy as np

from envs import claims as said
from envs.humanoid import captions
from envs.humanoid.meaning import is_caption
from envs.humanoid.paraphrases import PARAPHRASES
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


def test_what_is_told_to_be_done():
    for part, told in (("crossed", "cross its arms"), ("splits", "do the splits"), ("lying", "lie down")):
        commands = captions.tails(captions.Part(part))[2]
        assert told in commands
    assert "do not kneel" in captions.tails(captions.Part("kneeling", negated=True))[2]
