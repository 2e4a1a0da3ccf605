"""What the decoder reads around frames: templates, what is scored, and sentences as people write them."""

from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxrm
from jaxrm.models.interface import Interface, InterfaceConfig
from jaxrm.rewards.prompts import ASK, DESCRIBE, Prompt, ask, describe
from jaxrm.weights import DecoderProcessor, UnknownWordsError

GOLDEN = Path(__file__).parents[1] / "golden"
INSTRUCTION, OTHER = "kneels down", "raise the left arm"


@pytest.fixture(scope="module")
def lm():
    return jaxrm.load_decoder(GOLDEN / "decoder-llama")


def test_prompts_are_taken_apart(lm):
    prompt = Prompt.of("See {frames} It says: {instruction}. Done?")
    assert (prompt.before, prompt.behind, prompt.space, prompt.rest) == ("See", " It says:", " ", ". Done?")
    tails = describe(lm.processor, [INSTRUCTION, OTHER])
    decode = lm.processor.decode
    for text, ids, scored in zip((INSTRUCTION, OTHER), tails.tokens, tails.scored, strict=True):
        *own, end = np.asarray(ids)[np.asarray(scored)].tolist()
        assert decode(own) == f" {text}" and end == lm.processor.config.eos_token_ids[0]
    asked = ask(lm.processor, [INSTRUCTION, OTHER])
    assert asked.tokens.shape[:2] == (2, 2) and asked.asks
    for row in range(2):
        for column, answer in enumerate((" True", " False")):
            ids, scored = np.asarray(asked.tokens[row, column]), np.asarray(asked.scored[row, column])
            assert decode(ids[scored]) == answer
            assert decode(ids[np.asarray(asked.mask[row, column])]).endswith(f"True or False:{answer}")


def test_the_default_prompts_fit():
    assert Prompt.of(DESCRIBE).rest == "" and Prompt.of(ASK).rest


@pytest.mark.parametrize("form", [describe, ask])
def test_a_full_stop_and_quotes_are_nothing_to_a_decoder_that_never_saw_one(form):
    """It would find them unlikely whatever a film shows. Others read what is written."""
    taught = jaxrm.load_decoder("instruct-lm").processor
    plain = DecoderProcessor(taught.tokenizer, taught.config)

    def tokens(processor, text):
        return np.asarray(form(processor, [text]).tokens).tolist()

    want = tokens(plain, INSTRUCTION)
    for text in ("{}", "{}.", " {} ?! ", '"{}."', "\u201c{}\u201d"):
        assert tokens(taught, text.format(INSTRUCTION)) == want, text
    assert tokens(taught, "kneels, down.") == tokens(plain, "kneels, down") != want
    assert tokens(plain, f"{INSTRUCTION}.") != want
    assert tokens(taught, "...") == tokens(plain, "...")  # for `check_words` to name


def test_a_reward_is_the_same_with_a_full_stop():
    clip, lm = jaxrm.load_clip(GOLDEN / "clip-quick-gelu"), jaxrm.load_decoder("instruct-lm")
    width = lm.model.config.blocks.width
    interface = Interface.create(InterfaceConfig(12, width, layers=0), jax.random.key(0))
    create = partial(jaxrm.LikelihoodReward.create, clip, lm, interface)
    one, other = (create(instruction=text) for text in (INSTRUCTION, "Kneels down."))
    jax.tree.map(np.testing.assert_array_equal, one.weights.tails, other.weights.tails)
    with pytest.raises(UnknownWordsError, match=r"no words in '\.\.\.'"):
        create(instruction="...")
