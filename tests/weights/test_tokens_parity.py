"""SigLIP's tokenisers against sentencepiece itself and transformers (extra `parity`)."""

import json

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from jaxrm.models.variants import SIGLIP
from jaxrm.weights import TextProcessor

CAPTIONS = [
    "a humanoid robot kneeling on the floor",
    "A Humanoid Robot, standing up; with both arms raised!",
    "two cats    and a dog -- in the snow (2023)",
    "é à ü ß Ω 漢字 🙂 naïve café",
    "\uff21\uff22\uff23 full width, ﬁ ligature, ² and ½",
    "tabs\tand\nnew lines \u3000 and \u00a0 odd spaces",
    "it's the robot's arm: don't!",
    "",
    "   ",
    "?!...",
    "x" * 200,
    "a robot " * 60,
    "▁ under ▁ bars _ and __",
]
ODD = "aÀß漢🙂 \t\n.,!'-_▁éŁ１²ﬁ\u00a0\u200b\u3000Z"


def prompts(count: int) -> list[str]:
    """Captions, and random strings of letters, signs and spaces of many kinds."""
    random = np.random.default_rng(0)
    drawn = ["".join(random.choice(list(ODD), random.integers(0, 40))) for _ in range(count)]
    return CAPTIONS + drawn


@pytest.mark.parity
def test_siglip_equals_sentencepiece_after_cleaning(tmp_path):
    """Cleaning as published: lower case, no ASCII punctuation, one space between words; then `</s>`."""
    sentencepiece = pytest.importorskip("sentencepiece", reason="the extra `parity` is not installed")
    import re
    import string

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line.lower() for line in CAPTIONS * 20 if line.strip()]),
        model_prefix=str(tmp_path / "spiece"),
        vocab_size=80,
        character_coverage=1.0,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "spiece.model"))
    ours = TextProcessor(tmp_path, SIGLIP["siglip-base-patch16-224"].text)
    texts = prompts(5000)
    with pytest.warns(UserWarning, match="cut off"):
        rows = ours(texts)
    assert ours.tokenizer.get_vocab_size() == theirs.get_piece_size()
    for row, text in zip(rows, texts, strict=True):
        clean = text.lower().translate(str.maketrans("", "", string.punctuation))
        ids = [*theirs.encode(re.sub(r"\s+", " ", clean).strip())[:63], 1]
        assert row.tolist() == ids + [1] * (64 - len(ids)), text


@pytest.mark.parity
def test_siglip2_equals_transformers(tmp_path):
    """Gemma's kind of BPE, in lower case, ended by <eos> and filled with <pad>."""
    pytest.importorskip("torch", reason="the extra `parity` is not installed")
    siglip2 = pytest.importorskip("transformers.models.siglip2.tokenization_siglip2")
    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{byte:02X}>" for byte in range(256))]
    letters = sorted({c for text in CAPTIONS for c in text.lower().replace(" ", "▁")} - set("漢字🙂"))
    merges = [("r", "o"), ("b", "o"), ("ro", "bo"), ("robo", "t"), ("▁", "a"), ("▁", "robot")]
    pieces = [*specials, *letters, *("".join(pair) for pair in merges)]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    theirs = siglip2.Siglip2Tokenizer(vocab=vocabulary, merges=merges)
    theirs.save_pretrained(tmp_path)
    ours = TextProcessor(tmp_path, SIGLIP["siglip2-base-patch16-224"].text)
    texts = prompts(5000)
    with pytest.warns(UserWarning, match="cut off"):
        rows = ours(texts)
    for row, text in zip(rows, texts, strict=True):
        ids = [*theirs(text, add_special_tokens=False)["input_ids"][:63], 1]
        assert row.tolist() == ids + [0] * (64 - len(ids)), text


def gemma_like(tmp_path) -> TextProcessor:
    vocabulary = {
        piece: i for i, piece in enumerate(["<pad>", "<eos>", "<bos>", "<unk>", "▁", "a", "b", "A"])
    }
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return TextProcessor(tmp_path, SIGLIP["siglip2-base-patch16-224"].text)


def test_siglip2_lowercases_and_fills_with_its_pad(tmp_path):
    assert gemma_like(tmp_path)(["A, b"])[0, :8].tolist() == [5, 3, 4, 6, 1, 0, 0, 0]


def test_siglip_drops_punctuation_and_fills_with_its_end(tmp_path):
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁a", -1.0), ("▁b", -1.0), ("▁", -2.0)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, 2, False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    ours = TextProcessor(tmp_path, SIGLIP["siglip-base-patch16-224"].text)
    assert ours(["A,  B!"])[0].tolist() == [3, 4] + 62 * [1]
    assert ours([""])[0].tolist() == 64 * [1]


def test_a_tokeniser_of_no_siglip_is_refused(tmp_path):
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ValueError, match="of no SigLIP"):
        TextProcessor(tmp_path, SIGLIP["siglip-base-patch16-224"].text)(["a"])


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\x0a\x05abc", json.dumps({"a": 1}).encode()])
def test_a_file_that_is_no_sentencepiece_model_is_named(content, tmp_path):
    (tmp_path / "spiece.model").write_bytes(content)
    with pytest.raises(ValueError, match=r"spiece.model is not a sentencepiece model"):
        TextProcessor(tmp_path, SIGLIP["siglip-base-patch16-224"].text)(["a"])
