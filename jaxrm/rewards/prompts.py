"""What a decoder LLM reads around a trajectory: words before the frames, and words behind them with the
instruction, whose likelihood is asked for."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from jaxrm.weights import DecoderProcessor, check_texts
from jaxrm.weights.decoder_text import pad

FRAMES, INSTRUCTION = "{frames}", "{instruction}"
# The instruction stands last: its own tokens, and the end of the text, are scored.
DESCRIBE = "A video of a robot: {frames} What it does: {instruction}"
# What follows the instruction asks; the answers are scored.
ASK = (
    "A video of a robot: {frames} The instruction was: {instruction}. "
    "Was it carried out? Answer True or False:"
)
ANSWERS = (" True", " False")
AROUND = " \t\r\n.!?,;:\u2026\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb"  # a sentence: no word


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Tails:
    """Words behind the frames, as rows of tokens.

    Attributes:
      tokens: int32 [*rows, m].
      mask: bool [*rows, m], which are no padding.
      scored: bool [*rows, m], which are asked about.
      first: no token before this one is asked about, in any row; static.
      asks: rows come in pairs, [*rows, 2, m], a right and a wrong answer; static.
    """

    tokens: Int[Array, "*rows m"]
    mask: Bool[Array, "*rows m"]
    scored: Bool[Array, "*rows m"]
    first: int = field(default=0, metadata={"static": True})
    asks: bool = field(default=False, metadata={"static": True})

    def __getitem__(self, index) -> "Tails":
        """Some of the rows."""
        return replace(self, tokens=self.tokens[index], mask=self.mask[index], scored=self.scored[index])

    def answered(self, done: Bool[Array, "*rows"]) -> "Tails":
        """Of each question, rows [*rows, 2, m], the row with the true answer alone.

        Raises:
          ValueError: they do not ask.
        """
        if not self.asks:
            raise ValueError("these tails describe: only those of `ask` have answers")
        answer = jnp.where(done, 0, 1)[..., None, None]
        rows = (
            jnp.take_along_axis(x, answer, axis=-2)[..., 0, :] for x in (self.tokens, self.mask, self.scored)
        )
        return Tails(*rows, first=self.first)


@dataclass(frozen=True)
class Prompt:
    """A template, taken apart.

    White space before the instruction is the instruction's own, as tokenisers of words with their space want
    it.
    """

    before: str
    behind: str
    space: str
    rest: str

    @classmethod
    def of(cls, template: str) -> "Prompt":
        """Raises a ValueError unless it has {frames} and then {instruction}, once each."""
        if template.count(FRAMES) != 1 or template.count(INSTRUCTION) != 1:
            raise ValueError(f"the prompt {template!r} needs {FRAMES} and {INSTRUCTION}, once each")
        before, after = template.split(FRAMES)
        if INSTRUCTION not in after:
            raise ValueError(f"the prompt {template!r} has {INSTRUCTION} before {FRAMES}: put it behind them")
        behind, rest = after.split(INSTRUCTION)
        words = behind.rstrip()
        return cls(before.rstrip(), words, behind[len(words) :], rest)


def bare(processor: DecoderProcessor, instructions: Sequence[str]) -> list[str]:
    """Instructions as the decoder reads them: one that was taught a single language, with known words, never
    saw a sentence with a full stop or in quotes, and finds it unlikely whatever a film shows, so both are
    taken away; others read what is written.

    Raises:
      TypeError, ValueError: no list of sentences, or an empty one.
    """
    check_texts(instructions)
    if processor.training_words is None:
        return list(instructions)
    return [text.strip(AROUND) or text for text in instructions]


def describe(
    processor: DecoderProcessor,
    instructions: Sequence[str],
    template: str = DESCRIBE,
) -> Tails:
    """Tails [n, m] that end with the instructions, whose tokens are scored; padded behind.

    The decoder's end of text stands behind each and is scored too: without it nothing is wrong with "kneels
    down" where a film shows it and then more. Who has none gets a warning that says so. Instructions are read
    as `bare` has them.

    Raises:
      TypeError, ValueError: no list of sentences, an empty one, or a template that goes on behind them.
    """
    prompt = Prompt.of(template)
    if prompt.rest.strip():
        raise ValueError(f"{prompt.rest!r} stands behind the instruction and cannot change how likely it is")
    said = bare(processor, instructions)
    behind = processor.encode(prompt.behind)
    end = processor.config.eos_token_ids[:1]
    if not end:
        warnings.warn(
            "the decoder has no end-of-text token (eos_token_id): an instruction then counts as likely where "
            "a film shows it and more",
            stacklevel=2,
        )
    tokens, mask = pad([[*behind, *processor.encode(prompt.space + text), *end] for text in said])
    scored = mask & (np.arange(tokens.shape[1]) >= len(behind))
    return Tails(jnp.asarray(tokens), jnp.asarray(mask), jnp.asarray(scored), len(behind))


def ask(
    processor: DecoderProcessor,
    instructions: Sequence[str],
    template: str = ASK,
    answers: tuple[str, str] = ANSWERS,
) -> Tails:
    """Tails [n, 2, m] that ask whether an instruction was carried out, each with the right answer and the
    wrong one, which are scored; padded in front, so that answers stand at the end. Instructions are read as
    `bare` has them.

    Raises:
      TypeError, ValueError: no list of sentences, an empty one, or other than two answers that are texts and
        tokens, and not the same.
    """
    if isinstance(answers, str) or [type(answer) for answer in answers] != [str, str]:
        raise ValueError(f"answers are {answers!r}, wanted two texts, the right one first")
    prompt = Prompt.of(template)
    said = bare(processor, instructions)
    ids = [processor.encode(answer) for answer in answers]
    if not all(ids) or ids[0] == ids[1]:
        raise ValueError(f"the tokeniser does not tell the answers {answers[0]!r} and {answers[1]!r} apart")
    behind = processor.encode(prompt.behind)
    rest = processor.encode(prompt.rest)
    asked = [[*behind, *processor.encode(prompt.space + text), *rest] for text in said]
    rows = [[*question, *answer][::-1] for question in asked for answer in ids]
    tokens, mask = (array[:, ::-1].reshape(len(asked), 2, -1) for array in pad(rows))
    longest = max(map(len, ids))
    lengths = np.array([len(answer) for answer in ids])
    length = tokens.shape[-1]
    scored = np.broadcast_to(np.arange(length) >= length - lengths[:, None], tokens.shape)
    arrays = (jnp.asarray(np.ascontiguousarray(array)) for array in (tokens, mask, scored))
    return Tails(*arrays, first=length - longest, asks=True)
