"""The three protocols as losses of one batch of trajectories, with what spoils them; pure.

A batch makes pairs of trajectory and instruction: its own; those with instructions of other trajectories;
spoiled trajectories with the own instruction; and changed instructions. What the oracle says still to be
right is no negative. Scores of a pair do not depend on other pairs, so they are computed in chunks where a
batch is large, and their slopes put together (gradient caching, Gao et al. 2021, arXiv 2101.06983).
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from envs.humanoid.instructions import CHANGES, INSTRUCTIONS
from jaxrm.models.interface import Interface
from jaxrm.rewards.likelihood import Trajectories, tail_scores
from jaxrm.rewards.prompts import ASK, DESCRIBE, Prompt, Tails, ask, describe
from jaxrm.rewards.protocols import Reading, told_apart
from jaxrm.weights import DecoderCheckpoint
from train.trajectories import SPOILED, Batch, Dataset, change_instructions, sentences, spoil

Protocol = Literal["ml", "contrastive", "success"]
PROTOCOLS = ("ml", "contrastive", "success")
NEVER = -1e9  # logit


_MOST = {"others": None, "spoiled": len(SPOILED), "changed": len(CHANGES), "failing": None}


@dataclass(frozen=True)
class Negatives:
    """How many wrong pairs each trajectory of a batch has; of 0 kinds there are none.

    Attributes:
      others: instructions of others in the batch, and as many of the others' trajectories.
      spoiled: kinds of `SPOILED`, drawn anew for each batch.
      changed: kinds of `CHANGES`, likewise.
      failing: films of bodies that fail, half of them at this very instruction where there are such.
    """

    others: int = 2
    spoiled: int = 3
    changed: int = 5
    failing: int = 0

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            value = getattr(self, name)
            if value < 0 or (most is not None and value > most):
                raise ValueError(f"{name} is {value}, wanted 0 {'or more' if most is None else f'to {most}'}")


class Words(NamedTuple):
    """What the decoder reads: itself with the words before the frames, and the sentences behind them.

    Attributes:
      tails: `wordings` rows an instruction, [instructions * wordings, m], or [.., 2, m] where they ask.
    """

    reading: Reading
    tails: Tails

    @classmethod
    def of(cls, lm: DecoderCheckpoint, protocol: Protocol, count: int, held_out: bool = False) -> "Words":
        """`count` sentences for each instruction; "success" asks, the others describe."""
        said, asks = list(sentences(count, held_out)), protocol == "success"
        tails = ask(lm.processor, said) if asks else describe(lm.processor, said)
        before = jnp.asarray(lm.processor.begin(Prompt.of(ASK if asks else DESCRIBE).before), jnp.int32)
        return cls(Reading(lm.model, before), tails)

    @property
    def wordings(self) -> int:
        return len(self.tails.tokens) // len(INSTRUCTIONS)

    def rows(self, key: Array, numbers: Int[Array, "*rows"]) -> Int[Array, "*rows"]:
        """One wording each of instructions given by number, as rows of the tails."""
        return numbers * self.wordings + jax.random.randint(key, numbers.shape, 0, self.wordings)


class Pairs(NamedTuple):
    """Trajectories with the instructions that each is scored for.

    Attributes:
      trajectories: embeddings [b, 1 + q, t, d] and mask [b, 1 + q, t]: each as it is, and spoiled.
      own: rows of `Words.tails`: the instruction of each, said to all of its trajectories.
      other: rows of further instructions, said to the first alone: those of others, then changed ones.
      spoiled, changed: which are truly wrong; behind the spoiled ones those that fail.
      same: of others: [i, k] whether trajectory i does what number i + k + 1 of the batch is told, and
        [i, k] whether trajectory i - k - 1 does what number i is told.
    """

    trajectories: Trajectories
    own: Int[Array, "b"]
    other: Int[Array, "b r"]
    spoiled: Bool[Array, "b q"]
    changed: Bool[Array, "b c"]
    same: tuple[Bool[Array, "b k"], Bool[Array, "b k"]]


class PairScores(NamedTuple):
    """What the decoder gives to pairs: a log-likelihood, or of questions that of the right answer.

    Attributes:
      all: of each trajectory, as it is and spoiled, with its own instruction, [b, 1 + q].
      other: of the first alone, with further instructions, [b, r].
    """

    all: Float[Array, "b 1+q"]
    other: Float[Array, "b r"]


def draw_pairs(
    key: Array, data: Dataset, said: Words, negatives: Negatives, failing: Dataset | None = None
) -> Pairs:
    """Pairs of a batch whose trajectories did what they were to do.

    Args:
      failing: films of as many frames to draw from; None only where `negatives` wants none.
    """
    keys = jax.random.split(key, 7)
    batch, others = data.batch, negatives.others
    worse = spoil(keys[0], data)
    kinds = _some(keys[1], len(SPOILED), negatives.spoiled)
    numbers, wrong = change_instructions(keys[2], batch)
    bad = [(jax.tree.map(lambda x: x[:, kinds], worse.trajectories), worse.wrong[:, kinds])]
    if negatives.failing:
        assert failing is not None
        bad.append(_failing(keys[6], batch, failing, negatives.failing))
    spoiled, wrongly = jax.tree.map(lambda *x: jnp.concatenate(x, axis=1), *bad)
    chosen = _some(keys[3], len(CHANGES), negatives.changed)
    own = said.rows(keys[4], batch.which)
    following = [jnp.roll(own, -k - 1) for k in range(others)]
    changed = said.rows(keys[5], numbers[:, chosen])
    trajectories = jax.tree.map(
        lambda right, wrong: jnp.concatenate([right[:, None], wrong], axis=1), data.trajectories, spoiled
    )
    here = jnp.arange(len(own))[:, None]
    step = jnp.arange(others) + 1
    same = batch.same[here, (here + step) % len(own)], batch.same[(here - step) % len(own), here]
    other = jnp.concatenate([jnp.stack(following, axis=1), changed], axis=1) if others else changed
    return Pairs(trajectories, own, other, wrongly, wrong[:, chosen], same)


def _failing(
    key: Array, batch: Batch, failing: Dataset, count: int
) -> tuple[Trajectories, Bool[Array, "b count"]]:
    """Films of bodies that fail, and whether they truly do not carry out the instruction of each row."""
    keys, b, n = jax.random.split(key, 3), len(batch.which), len(failing.embeddings)
    alike = failing.batch.which == batch.which[:, None]
    near = jax.random.categorical(keys[0], jnp.where(alike, 0.0, NEVER), shape=(count, b)).T
    far = jax.random.randint(keys[1], (b, count), 0, n)
    close = jax.random.bernoulli(keys[2], shape=(b, count)) & alike.any(axis=1, keepdims=True)
    rows = jnp.where(close, near, far)
    wrong = ~failing.batch.truth[rows, batch.which[:, None]]
    return jax.tree.map(lambda x: x[rows], failing.trajectories), wrong


def _some(key: Array, total: int, count: int) -> Int[Array, "count"]:
    """`count` of `total` kinds; all of them in their own order."""
    return jnp.arange(total) if count == total else jax.random.permutation(key, total)[:count]


def score_pairs(interface: Interface, said: Words, pairs: Pairs, asked: bool = False) -> PairScores:
    """Scores of all pairs; of questions that of the right answer, or if `asked` the log-odds. Pure."""
    b, n = pairs.trajectories.mask.shape[:2]
    first, rest = (
        jax.tree.map(lambda x, part=part: x[:, part], pairs.trajectories)
        for part in (slice(0, 1), slice(1, None))
    )
    rows = jnp.concatenate([pairs.own[:, None], pairs.other], axis=1)
    same, kinds = pairs.same[0], pairs.same[0].shape[1]
    done = jnp.concatenate([jnp.ones((b, 1), bool), same, ~pairs.changed], axis=1)
    assert done.shape == rows.shape and kinds <= rows.shape[1]
    told = score_rows(interface, said, _flat(first), rows, done, asked)
    if n == 1:
        return PairScores(told[:, :1], told[:, 1:])
    own = jnp.repeat(pairs.own, n - 1)[:, None]
    spoiled = score_rows(interface, said, _flat(rest), own, ~pairs.spoiled.reshape(-1, 1), asked)
    return PairScores(jnp.concatenate([told[:, :1], spoiled.reshape(b, n - 1)], axis=1), told[:, 1:])


def _flat(batch: Trajectories) -> Trajectories:
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batch)


def score_rows(
    interface: Interface,
    said: Words,
    batch: Trajectories,
    rows: Int[Array, "b n"],
    done: Bool[Array, "b n"],
    asked: bool = False,
) -> Float[Array, "b n"]:
    """Each trajectory with its rows of the tails; of questions the answer `done`, if `asked` the log-odds."""
    lm, before = said.reading
    tails = said.tails[rows]
    if not tails.asks:
        return tail_scores(lm, interface, before, batch, tails)
    if asked:
        both = jax.tree.map(lambda x: x.reshape(len(x), -1, x.shape[-1]), tails)
        found = tail_scores(lm, interface, before, batch, both).reshape(*rows.shape, 2)
        return found[..., 0] - found[..., 1]
    return tail_scores(lm, interface, before, batch, tails.answered(done))


def loss_of_scores(
    protocol: Protocol, pairs: Pairs, scores: PairScores, temperature: float
) -> Float[Array, ""]:
    """The protocol's loss, from scores alone: all that couples the rows of a batch."""
    own = scores.all[:, 0]
    if protocol == "ml":
        return -own.mean()
    kinds = pairs.same[0].shape[1]
    others, changed = scores.other[:, :kinds], scores.other[:, kinds:]
    if protocol == "success":
        wrong = jnp.concatenate([pairs.spoiled, ~pairs.same[0], pairs.changed], axis=1)
        judged = jnp.concatenate([scores.all[:, 1:], others, changed], axis=1)
        rest = (judged * wrong).sum() / jnp.maximum(wrong.sum(), 1)
        return -(own.mean() + rest) / 2 if wrong.shape[1] else -own.mean()
    # row i of `others` is of trajectory i with the instructions behind it; so those before it with its own
    b, here = len(own), jnp.arange(len(own))[:, None]
    before = others[(here - jnp.arange(kinds) - 1) % b, jnp.arange(kinds)]
    rest = jnp.concatenate([others, before, scores.all[:, 1:], changed], axis=1)
    wrong = jnp.concatenate([~pairs.same[0], ~pairs.same[1], pairs.spoiled, pairs.changed], axis=1)
    return told_apart(own, rest, wrong, temperature).mean()


def value_and_slope(
    interface: Interface,
    said: Words,
    pairs: Pairs,
    protocol: Protocol,
    temperature: float,
    chunk: int = 0,
) -> tuple[Float[Array, ""], Interface]:
    """The loss of a batch and its gradient, which reaches the interface only.

    Args:
      chunk: trajectories whose scores are computed at a time; it divides the batch. 0: all at once.
    """
    weights: Any = interface
    if not chunk:
        return jax.value_and_grad(
            lambda w: loss_of_scores(protocol, pairs, score_pairs(w, said, pairs), temperature)
        )(weights)
    parts = jax.tree.map(lambda x: x.reshape(-1, chunk, *x.shape[1:]), pairs)
    found = jax.lax.map(lambda part: score_pairs(interface, said, part), parts)
    scores = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), found)
    value, slopes = jax.value_and_grad(lambda s: loss_of_scores(protocol, pairs, s, temperature))(scores)
    slopes = jax.tree.map(lambda x: x.reshape(-1, chunk, *x.shape[1:]), slopes)

    def add(total: Any, args: tuple[Pairs, PairScores]) -> tuple[Any, None]:
        part, slope = args
        back = jax.vjp(lambda w: score_pairs(w, said, part), weights)[1]
        return jax.tree.map(jnp.add, total, back(slope)[0]), None

    total, _ = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, weights), (parts, slopes))
    return value, total
