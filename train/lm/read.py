"""What the small decoder reads, as tokens, and how it reads it: with slopes that reach its own weights."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from envs.humanoid.instructions import CHANGES, INSTRUCTIONS, change_table, feasible, held_out
from envs.humanoid.motion_captions import sentences
from jaxrm.models import Decoder
from jaxrm.models.context import Context
from jaxrm.rewards.prompts import DESCRIBE, Prompt, Tails, ask, describe
from jaxrm.weights import DecoderProcessor
from train.lm import films

NEVER = -1e9  # logit
# How often each kind of change is drawn, where there is one: which of two actions came first is learnt last.
OFTEN = {"order": 3.0}
NOTHING = "nothing that has a name"  # what is said of a film in which no instruction is carried out


class Corpus(NamedTuple):
    """What is read, as tokens.

    Attributes:
      before: the prompt's words before the frames.
      describe: tails with `wordings` rows an instruction and then as many of `NOTHING`,
        [(instructions + 1) * wordings, ..].
      ask: likewise, [instructions * wordings, ..]; nobody asks for nothing.
      films: tokens of the words that stand in the place of frames.
      known: instructions that training may use.
      changes: numbers of changed instructions, [instructions, most], -1 for none.
      odds: log of how often each of them is drawn: every kind of change that there is as often as `OFTEN`
        says, but for those that training may not use.
    """

    before: Int[Array, "p"]
    describe: Tails
    ask: Tails
    films: tuple[Int[Array, "words k"], Bool[Array, "words k"]]
    known: Bool[Array, "instructions"]
    changes: Int[Array, "instructions most"]
    odds: Float[Array, "instructions most"]

    @property
    def wordings(self) -> int:
        return len(self.ask.tokens) // len(INSTRUCTIONS)

    @property
    def nothing(self) -> int:
        """The number that stands for `NOTHING`, behind those of instructions."""
        return len(INSTRUCTIONS)

    def rows(self, key: Array, numbers: Int[Array, "*b"]) -> Int[Array, "*b"]:
        """Rows of the tails: one wording each."""
        return numbers * self.wordings + jax.random.randint(key, numbers.shape, 0, self.wordings)


def corpus(processor: DecoderProcessor, wordings: int, held: bool = False) -> Corpus:
    """All sentences in both prompts; with `held` the wordings that training never sees."""
    said = sentences(wordings, held)
    tables = [change_table(kind) for kind in CHANGES]
    odds = [_evenly(table >= 0, OFTEN.get(kind, 1.0)) for kind, table in zip(CHANGES, tables, strict=True)]
    return Corpus(
        jnp.asarray(processor.begin(Prompt.of(DESCRIBE).before), jnp.int32),
        describe(processor, (*said, *[NOTHING] * wordings)),
        ask(processor, said),
        films.word_tokens(processor),
        jnp.asarray(~held_out() & feasible()),
        jnp.asarray(np.concatenate(tables, axis=1)),
        jnp.asarray(np.concatenate(odds, axis=1)),
    )


def _evenly(
    there: Bool[np.ndarray, "instructions most"], share: float
) -> Float[np.ndarray, "instructions most"]:
    shares = share * there / np.maximum(there.sum(axis=1, keepdims=True), 1)
    return np.where(there, np.log(np.maximum(shares, 1e-9)), NEVER).astype(np.float32)


class Read(NamedTuple):
    """The prompt's words and frames, read: to be read on from, and which of them are no padding."""

    context: Context
    mask: Bool[Array, "b t"]


def read_frames(
    lm: Decoder, before: Int[Array, "p"], vectors: Float[Array, "b t width"], mask: Bool[Array, "b t"]
) -> Read:
    """As `jaxrm.rewards.likelihood` does it, but with slopes that reach the decoder. Pure."""
    b, p = len(mask), len(before)
    prompt = jnp.broadcast_to(lm.embed(before), (b, p, lm.config.blocks.width))
    whole = jnp.concatenate([jnp.ones((b, p), bool), mask], axis=1)
    vectors = jnp.concatenate([prompt, vectors.astype(prompt.dtype)], axis=1)
    return Read(lm.remember(vectors, whole)[1], whole)


def tail_log_probs(lm: Decoder, read: Read, tails: Tails) -> Float[Array, "b n scored"]:
    """log p of the tokens of tails [b, n, m] from `tails.first` on, one at least, behind what was read."""
    seen = jnp.broadcast_to(read.mask[:, None], (*tails.tokens.shape[:2], read.mask.shape[1]))
    hidden = lm.branch(read.context, lm.embed(tails.tokens), tails.mask, seen)
    return lm.log_probs(hidden[:, :, tails.first - 1 : -1], tails.tokens[:, :, tails.first :])
