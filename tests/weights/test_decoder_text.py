"""The tokenisers of decoders: pieces of a text, its ends, and what does not fit."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

import jaxrm
from jaxrm.describe import describe
from jaxrm.weights import DecoderProcessor, files
from tests.weights.decoder_files import CONTINUATIONS, GOLDEN, LLAMA, PROMPTS, edit, edit_config


def test_texts_there_and_back(lm):
    tokens, mask = lm.processor.tokenize(["it gets up", "raise the left arm"])
    assert tokens.dtype == np.int32 and tokens.shape == mask.shape and (tokens[:, 0] == 0).all()
    assert lm.processor.decode(tokens[0][mask[0]]) == "it gets up"


def sentencepiece(how: str) -> Tokenizer:
    """A tokeniser that marks spaces, and the beginning of a text: as older and as newer files do it, and
    those of bytes."""
    texts = [*PROMPTS, *CONTINUATIONS, "What it does: it kneels down. Was it done? True"]
    made = Tokenizer(models.BPE(unk_token="<unk>"))
    marks = pre_tokenizers.ByteLevel() if how == "bytes" else pre_tokenizers.Metaspace(prepend_scheme="first")
    made.pre_tokenizer = pre_tokenizers.Sequence([marks, pre_tokenizers.Punctuation()])
    made.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=90, special_tokens=["<unk>", "<s>"]))
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    made.pre_tokenizer = None if how == "prepend" else marks
    steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    if how != "bytes":
        made.normalizer = normalizers.Sequence(steps if how == "prepend" else [normalizers.Strip()])
    return made


@pytest.mark.parametrize("how", ["prepend", "metaspace", "bytes"])
@pytest.mark.parametrize(
    "texts",
    [("A video of a robot:", " kneels down", ". Was it", " done?"), ("", "it kneels"), ("it", "", ".")],
)
def test_pieces_have_the_ids_of_the_whole_text(how, texts, lm):
    processor = DecoderProcessor(sentencepiece(how), lm.model.config)
    whole = processor.tokenizer.encode("".join(texts)).ids
    first, second, *others = texts
    rows = processor.rows([first], [second + "".join(others)])
    assert rows.tokens[rows.mask].tolist() == whole and 0 not in whole
    if first:
        pieces = [processor.encode(text) for text in (second, *others)]
        assert sum(pieces, processor.begin(first)) == whole


def test_a_tokeniser_that_does_not_fit_is_refused(copy):
    edit(copy, **{"model.embed_tokens.weight": np.zeros((60, 8), np.float32)})
    edit_config(copy, vocab_size=60)
    lm = jaxrm.load_decoder(copy)
    assert lm.logits(np.array([[1, 2]])).shape == (1, 2, 60)
    with pytest.raises(ValueError, match="ids up to 109, but the decoder's vocabulary ends at 59"):
        lm.log_likelihood(["a"], [" b"])


@pytest.mark.parametrize("change", [{"bos_token_id": 200}, {"eos_token_id": [200, 2]}])
def test_a_tokeniser_without_the_ends_of_a_text_is_refused(change, copy):
    edit(copy, **{"model.embed_tokens.weight": np.zeros((300, 8), np.float32)})
    edit_config(copy, vocab_size=300, **change)
    with pytest.raises(ValueError, match=r"texts (begin|end) with id 200, for which .* no token"):
        jaxrm.load_decoder(copy).processor.begin("a")


@pytest.mark.parametrize("told", ["generation", "tokeniser", "tokeniser, as an object"])
def test_ends_that_the_config_does_not_speak_of_are_found_elsewhere(told, tmp_path):
    """MPT's published config.json says nothing of them."""
    copy = Path(shutil.copytree(GOLDEN / "decoder-mpt", tmp_path / "copy"))
    given = files.read_config(copy)
    files.write_json(copy / "config.json", {k: v for k, v in given.items() if not k.endswith("token_id")})
    shutil.copy(LLAMA / "tokenizer.json", copy)
    first, second = (Tokenizer.from_file(str(copy / "tokenizer.json")).id_to_token(i) for i in (5, 6))
    assert jaxrm.load_decoder(copy).model.config.eos_token_ids == ()
    if told == "generation":
        files.write_json(copy / "generation_config.json", {"bos_token_id": 5, "eos_token_id": [6]})
    else:
        end = {"content": second, "lstrip": False} if "object" in told else second
        files.write_json(copy / "tokenizer_config.json", {"bos_token": first, "eos_token": end})
    config = jaxrm.load_decoder(copy).model.config
    assert (config.bos_token_id, config.eos_token_ids) == (5, (6,))
    edit_config(copy, bos_token_id=None, eos_token_id=None)  # null: there is none
    assert jaxrm.load_decoder(copy).model.config.eos_token_ids == ()


def test_a_beginning_that_only_the_tokenisers_config_asks_for(copy):
    tokenizer = json.loads((copy / "tokenizer.json").read_text())
    tokenizer["post_processor"] = None
    (copy / "tokenizer.json").write_text(json.dumps(tokenizer))
    (first,) = (Tokenizer.from_file(str(copy / "tokenizer.json")).id_to_token(i) for i in (0,))
    plain = jaxrm.load_decoder(copy).processor.begin("a")
    for added, ids in ((True, [0, *plain]), (False, plain)):
        files.write_json(copy / "tokenizer_config.json", {"bos_token": first, "add_bos_token": added})
        assert jaxrm.load_decoder(copy).processor.begin("a") == ids


@pytest.mark.parametrize("content", [b"", b"{", b'{"model": {"type": "Abacus"}}'])
def test_a_garbled_tokeniser_is_named(content, copy):
    (copy / "tokenizer.json").write_bytes(content)
    for read in (describe, lambda copy: jaxrm.load_decoder(copy).processor.begin("a")):
        with pytest.raises(ValueError, match=f"{copy}/tokenizer.json is not a tokeniser's file: "):
            read(copy)


def test_without_tokeniser_it_still_reads_ids(copy):
    (copy / "tokenizer.json").unlink()
    lm = jaxrm.load_decoder(copy)
    with pytest.raises(FileNotFoundError, match=r"no tokenizer.json, so it reads token ids but no texts"):
        lm.log_likelihood(["a"], [" b"])


def test_an_empty_prompt_needs_a_beginning(copy):
    tokenizer = json.loads((copy / "tokenizer.json").read_text())
    tokenizer["post_processor"] = None
    (copy / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert jaxrm.load_decoder(copy).processor.begin("") == [0]  # the config's bos_token_id
    edit_config(copy, bos_token_id=None)
    with pytest.raises(ValueError, match="no beginning-of-sequence token: give a word"):
        jaxrm.load_decoder(copy).processor.begin("")
