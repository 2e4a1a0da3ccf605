"""Wordings that are heard as the plainest sentence of the same claim, by an image tower that stays."""

import dataclasses

import jax
import numpy as np
import pytest

import jaxrm
from jaxrm.weights import files
from train.clip import report as clip_report
from train.clip.said import all_claims
from train.clip.words import STEPS_PER_CALL, WordsConfig, lesson_of, main, make_run, settled, with_text

CONFIG = WordsConfig(sentences=2 * STEPS_PER_CALL * 16, wordings=12, batch=16, ema=0.9)


@pytest.fixture(scope="module")
def taught():
    """A model before and after two calls, and what they took."""
    clip = jaxrm.load_clip("scene-clip")
    lesson = lesson_of(clip, all_claims(CONFIG.wordings), CONFIG)
    learner, run = make_run(CONFIG, clip.model)
    # what is learnt must be something: words that the tower hears a little off
    off = jax.tree.map(lambda x: x + 0.02 * jax.random.normal(jax.random.key(1), x.shape), learner.weights)
    learner, misses = learner._replace(weights=off), []
    for call in range(2):
        learner, miss = run(learner, lesson, jax.random.key(call))
        misses.append(float(miss))
    return clip, lesson, dataclasses.replace(clip, model=with_text(clip.model, learner.average)), misses


def test_it_learns_to_hear_them_so(taught):
    _, _, _, misses = taught
    assert misses[1] < 0.7 * misses[0], misses


def test_the_image_tower_stays(taught):
    clip, _, after, _ = taught
    for name in ("vision", "vision_projection"):
        jax.tree.map(np.testing.assert_array_equal, getattr(clip.model, name), getattr(after.model, name))


def test_claims_are_to_be_heard_as_their_plainest(taught):
    """Columns that hold padding alone are left out, which changes nothing."""
    clip, lesson, _, _ = taught
    said = all_claims(CONFIG.wordings)
    plain = [wordings[0] for wordings in said.wordings]
    number = plain.index("a humanoid robot kneeling with both arms raised")
    np.testing.assert_allclose(lesson.target[number], clip.embed_texts([plain[number]])[0], atol=1e-6)
    full = clip.processor.tokenize(plain[number : number + 1])
    assert lesson.tokens.shape[-1] < full.shape[-1]
    assert (lesson.tokens[number] == full[:, : lesson.tokens.shape[-1]]).all(-1).any()
    np.testing.assert_allclose(lesson.chance.sum(), 1, rtol=1e-5)


def test_plainest_sentences_settle_where_they_were(taught):
    """Nearer to their targets than training left them, and the tower as it was."""
    _, lesson, after, _ = taught
    said = all_claims(CONFIG.wordings)
    plain = [wordings[0] for wordings in said.wordings]
    near = settled(after, said, lesson.target)
    misses = [1 - (model.embed_texts(plain) * lesson.target).sum(-1) for model in (after, near)]
    before, now = ((miss * lesson.chance).sum() for miss in misses)
    assert now < 0.8 * before, (now, before)
    jax.tree.map(np.testing.assert_array_equal, near.model.text, after.model.text)


def test_a_run_keeps_what_the_image_tower_saw(tmp_path, monkeypatch):
    """The frames it was trained on, however we draw since; and says what was learnt of whom."""
    monkeypatch.setattr(clip_report, "write", lambda clip, *_: judged.append(clip))
    judged = []
    config = dataclasses.replace(
        CONFIG, start="scene-clip", sentences=8 * STEPS_PER_CALL, batch=8, wordings=8, out=tmp_path / "taught"
    )
    main(config)
    old = files.find("scene-clip")
    assert (config.out / "look.png").read_bytes() == (old / "look.png").read_bytes()
    made, before = map(clip_report.read_training, (config.out, old))
    assert made["images"] == before["images"] and "learnt 400 wordings" in made["note"]
    assert len(judged) == 1 and not (config.out / "README.md").exists()
    with pytest.raises(FileExistsError, match="take another --out"):
        main(config)


def test_what_cannot_be_taught_is_refused(tmp_path):
    with pytest.raises(ValueError, match="sentences is 100; it must be a multiple of 6400"):
        WordsConfig(sentences=100)
    with pytest.raises(ValueError, match="wordings is 1"):
        WordsConfig(wordings=1)
    with pytest.raises(FileNotFoundError, match=r"training\.json is missing"):
        clip_report.read_training(tmp_path)
