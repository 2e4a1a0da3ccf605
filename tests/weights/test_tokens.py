"""Sentences -> ids, and words that a model never saw."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jaxrm.weights import TextProcessor, TrainingWords, UnknownWordsError, load_clip
from jaxrm.weights.tokens import read_training_words

WHOLE = Path(__file__).parents[1] / "golden" / "clip-quick-gelu"


@pytest.fixture(scope="module")
def processor():
    return load_clip(WHOLE).processor


def test_tokens_end_and_pad_with_the_end_of_text(processor):
    rows = processor.tokenize(["a humanoid robot", "a humanoid robot kneeling"])
    assert rows.shape == (2, 16) and rows.dtype == np.int32
    bos, eos = (processor.tokenizer.token_to_id(name) for name in ("<|startoftext|>", "<|endoftext|>"))
    for row, words in zip(rows, (3, 4), strict=True):
        end = row.tolist().index(eos)
        assert row[0] == bos and end == words + 1 and (row[end:] == eos).all()


def test_the_tokeniser_is_read_when_first_needed(tmp_path, processor):
    TextProcessor(tmp_path, processor.texts.config)  # nothing is there, and nothing is read
    assert "tokenizer" not in vars(load_clip(WHOLE).processor.texts)


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ("a humanoid robot", TypeError, "list of sentences"),
        ([1], TypeError, "list of sentences"),
        ([], ValueError, "no sentence"),
        (["a robot <|endoftext|> kneeling"], ValueError, "only end-of-text"),
    ],
)
def test_texts_of_another_kind_are_refused(texts, error, message, processor):
    with pytest.raises(error, match=message):
        processor.tokenize(texts)


def test_a_long_text_is_cut_and_keeps_its_end(processor):
    with pytest.warns(UserWarning, match="26 tokens, and the model takes 16: the rest is cut off 'a robot a"):
        long = processor.tokenize(["a robot " * 12])[0]
    whole = processor.tokenizer.encode("a robot " * 12).ids
    assert long.tolist() == [*whole[:15], whole[-1]]


def test_an_empty_text_is_its_ends_but_nothing_to_embed(processor):
    bos, eos = (processor.tokenizer.token_to_id(name) for name in ("<|startoftext|>", "<|endoftext|>"))
    assert processor.tokenize([""])[0].tolist() == [bos] + 15 * [eos]
    with pytest.raises(ValueError, match="a sentence is empty"):
        load_clip(WHOLE).embed_texts(["a robot", " "])


def test_a_tokeniser_of_another_model_is_refused(processor):
    config = processor.texts.config
    for wrong, message in (
        (replace(config, vocabulary=20), "ends at 19"),
        (replace(config, eos_token_id=1), "end"),
    ):
        with pytest.raises(ValueError, match=message):
            TextProcessor(WHOLE, wrong)(["a humanoid robot"])


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\x00", b"[]", b'{"model": {"type": "Abacus"}}'])
def test_a_garbled_tokeniser_is_named(content, processor, tmp_path):
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"tokenizer\.json is not a tokeniser's file: "):
        TextProcessor(tmp_path, processor.texts.config)(["a humanoid robot"])


@pytest.mark.parametrize(
    "given", [{}, {"words": "robot"}, {"words": [1]}, {"words": ["a"], "captions": {"a": 1}}]
)
def test_a_garbled_list_of_training_words_is_named(given, tmp_path):
    (tmp_path / "training_words.json").write_text(json.dumps(given))
    with pytest.raises(ValueError, match=r"training_words\.json has no list of words"):
        read_training_words(tmp_path)


def test_legacy_configs_are_read_at_the_largest_id(processor):
    legacy = TextProcessor(WHOLE, replace(processor.texts.config, eos_token_id=2))
    assert (legacy(["a humanoid robot"]) == processor.tokenize(["a humanoid robot"])).all()


def test_what_is_suggested_says_the_same_in_other_forms():
    said = [
        "a pendulum",
        "a robot not kneeling",
        "a robot kneeling down",
        "a robot kneeling",
        "a car on its way",
    ]
    with pytest.raises(UnknownWordsError, match=r"'kneels' \(nearest known: kneeling\)") as error:
        TrainingWords.of(said).check(["a person kneels"])
    assert str(error.value).splitlines()[1:3] == ["  a robot kneeling", "  a robot kneeling down"]


@pytest.mark.parametrize(
    ("sentence", "first"),
    [("a zebra kneeling", "a robot kneeling down"), ("don't kneel", "a robot not kneeling"),
     ("never kneeling", "a robot not kneeling")],
)  # fmt: skip
def test_who_denies_is_shown_what_denies_and_others_what_does_not(sentence, first):
    with pytest.raises(UnknownWordsError) as error:
        TrainingWords.of(["a robot not kneeling", "a robot kneeling down"]).check([sentence])
    assert str(error.value).splitlines()[1].strip() == first


def test_unknown_words_are_named_with_the_nearest_known_ones(processor):
    processor.check_words(["A humanoid robot, kneeling!"])
    with pytest.raises(ValueError) as error:
        processor.check_words(["a robot knelling", "a zebra"])
    message = str(error.value)
    assert "'knelling' (nearest known: kneeling" in message and "'zebra'" in message
    assert "allow_unknown_words=True" in message and "a humanoid robot kneeling" in message


def test_a_compound_is_to_be_written_apart_unless_words_are_of_a_file_that_has_none():
    words = TrainingWords.of(["a robot lying face down", "sitting cross-legged"])
    words.check(["a robot sitting cross-legged"])
    with pytest.raises(UnknownWordsError, match=r"'face-down' \(write it apart: 'face down'\)"):
        words.check(["a robot lying face-down"])
    TrainingWords(frozenset({"sitting", "cross", "legged"})).check(["sitting cross-legged"])
    with pytest.raises(UnknownWordsError, match="'t-pose'"):
        TrainingWords(frozenset({"pose", "cross"})).check(["t-pose"])


def test_neighbours_that_are_a_known_compound_are_to_be_written_with_a_hyphen():
    words = TrainingWords.of(["sitting cross-legged", "with its arms crossed", "cross its arms"])
    with pytest.raises(
        UnknownWordsError, match=r"'legged' \(write it with a hyphen: 'cross-legged'\)"
    ) as error:
        words.check(["sit cross legged"])
    assert str(error.value).splitlines()[1:] == ["  sitting cross-legged"]
    with pytest.raises(UnknownWordsError, match=r"'legged'\. "):
        words.check(["legged arms cross"])


@pytest.mark.parametrize(
    ("word", "near"),
    [("his", ""), ("her", ""), ("hip", " (nearest known: hips)"), ("dancing", ""), ("them", ""), ("jump", ""),
     ("balanse", " (nearest known: balance)"), ("sat", ""), ("sits", " (nearest known: sit, sitting)")],
)  # fmt: skip
def test_short_words_are_near_to_none_but_their_own_forms(word, near):
    words = TrainingWords(frozenset({"hips", "high", "hill", "balance", "the", "sit", "sitting", "there"}))
    with pytest.raises(UnknownWordsError) as error:
        words.check([word])
    assert f"in training: {word!r}{near}. It" in str(error.value)


@pytest.mark.parametrize(
    ("sentence", "first"),
    [("a man kneeling, his hands on his hips", "a robot with hands on hips"), ("do a backflip", "a robot"),
     ("his arms crossed, no robot", "a robot without its arms crossed"), ("he sits", "a robot sitting down")],
)  # fmt: skip
def test_captions_are_shown_that_share_what_is_known(sentence, first):
    arms = [f"a robot {so} {x}" for x in ("hands on hips", "its arms crossed") for so in ("with", "without")]
    said = ["a robot", "a car", "a robot sitting down", *arms]
    with pytest.raises(UnknownWordsError) as error:
        TrainingWords.of(said).check([sentence])
    assert str(error.value).splitlines()[1].strip() == first


def test_words_of_captions():
    words = TrainingWords.of(["A robot's arm.", "a robot's arm", "two arms-raised"], examples=1)
    assert words.words == {"a", "robot's", "arm", "two", "arms-raised"}
    with pytest.raises(UnknownWordsError, match="'arm-robot\u2019s'"):
        words.check(["a two arm-robot\u2019s"])
    words = TrainingWords.of(["A robot.", "a robot"], examples=1)
    assert words.captions == ("A robot.",)
    words.check(["Robot, A?"])


@pytest.mark.parametrize("text", ["на коленях", "!!!"])
def test_other_scripts_and_signs_are_no_known_words(text):
    with pytest.raises(UnknownWordsError):
        TrainingWords.of(["a robot"]).check([text])
