"""Captions: what is claimed, in which words, and how true it is."""

import numpy as np

from envs.humanoid import captions
from envs.humanoid.tasks import BASELINE, TASKS


def test_every_task_prompt_is_a_caption():
    known = {wording for wordings in captions.claims().wordings for wording in wordings}
    assert {task.goal for task in TASKS.values()} <= known and BASELINE in known


def test_what_is_missing_adds_up():
    misses = np.zeros((1, len(captions.NAMES)))
    kneeling, raised = captions.NAMES.index("kneeling"), captions.NAMES.index("raised")
    misses[0, kneeling], misses[0, raised] = 1.0, 2.0
    parts = np.array([[-1, -1], [kneeling, -1], [-1, raised], [kneeling, raised]])
    degrees = np.asarray(captions.degrees(misses, parts))[0]
    np.testing.assert_allclose(
        degrees, np.exp(-np.array([0.0, 1.0, 2.0, 3.0]) / captions.SOFTNESS), rtol=1e-6
    )


def test_claims_and_wordings_fit_together():
    claims = captions.claims()
    assert len(claims.parts) == len(claims.wordings)
    for (posture, arms), wordings in zip(claims.parts, claims.wordings, strict=True):
        assert len(set(wordings)) == len(wordings)
        if posture >= 0 and arms >= 0:
            assert posture < len(captions.POSTURES) <= arms
