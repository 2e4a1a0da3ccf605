"""The three protocols as losses of one batch of trajectories, with what spoils them; pure.

A batch makes pairs of trajectory and instruction: its own; those with instructions of other trajectories;
spoiled trajectories with the own instruction; and changed instructions. What the oracle says still to be
right is no negative. Prefixes of a film, and of films of bodies that fail, are ranked by how far they came.
Scores of a pair do not depend on other pairs, so they are computed in chunks where a batch is large, and
their slopes put together (gradient caching, Gao et al. 2021, arXiv 2101.06983).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from envs.humanoid.instructions import CHANGES, INSTRUCTIONS
from envs.humanoid.motion_captions import sentences
from jaxrm.models.interface import Interface
from jaxrm.rewards.likelihood import Trajectories, tail_scores
from jaxrm.rewards.prompts import ASK, DESCRIBE, Prompt, Tails, ask, describe
from jaxrm.rewards.protocols import Reading, told_apart
from jaxrm.weights import DecoderCheckpoint, load_decoder
from train.films.films import Dataset
from train.films.progress import draw_prefixes, is_done, lies, ranked, until
from train.films.spoil import SPOILED, change_instructions, spoil
from train.films.trajectories import Batch

Protocol = Literal["ml", "contrastive", "success"]
PROTOCOLS = ("ml", "contrastive", "success")
NEVER = -1e9  # logit
RANKED = 0.5  # weight of the order of prefixes


def frozen_lm(name: str, dtype: str) -> DecoderCheckpoint:
    """A decoder that nothing trains: computed in bfloat16, its weights are kept in it, too."""
    return load_decoder(name, dtype=dtype, param_dtype=dtype if dtype == "bfloat16" else None)


_MOST = {"others": None, "spoiled": len(SPOILED), "changed": len(CHANGES), "failing": None, "prefixes": None}


@dataclass(frozen=True)
class Negatives:
    """How many other pairs each trajectory of a batch has; of 0 kinds there are none.

    Attributes:
      others: instructions of others in the batch, and as many of the others' trajectories.
      spoiled: kinds of `SPOILED`, drawn anew for each batch.
      changed: kinds of `CHANGES`, likewise.
      failing: films of bodies that fail, half of them at this very instruction where there are such.
      prefixes: of the film itself and of those that fail, up to frames drawn anew.
      unseen: instructions that are held out are among the changed ones; in training they would be what is
        never right.
    """

    others: int = 2
    spoiled: int = 3
    changed: int = 5
    failing: int = 0
    prefixes: int = 0
    unseen: bool = False

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
        """`count` sentences for each instruction."""
        return cls.saying(lm, protocol, sentences(count, held_out))

    @classmethod
    def saying(cls, lm: DecoderCheckpoint, protocol: Protocol, said: Sequence[str]) -> "Words":
        """These sentences; "success" asks, the others describe."""
        asks = protocol == "success"
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
      failing: films of bodies that fail, [b, f, t].
      own: rows of `Words.tails`: the instruction of each, said to all of its trajectories.
      other: rows of further instructions, said to the first alone: those of others, then changed ones.
      spoiled, changed: which are truly wrong.
      ends: the last frame of each prefix, of the trajectory as it is and of those that fail; behind them that
        of the whole.
      levels: how far each came with its own instruction (`train.films.progress`).
      same: of others: [i, k] whether trajectory i does what number i + k + 1 of the batch is told, and
        [i, k] whether trajectory i - k - 1 does what number i is told.
    """

    trajectories: Trajectories
    failing: Trajectories
    own: Int[Array, "b"]
    other: Int[Array, "b r"]
    spoiled: Bool[Array, "b q"]
    changed: Bool[Array, "b c"]
    ends: Int[Array, "b 1+f n+1"]
    levels: Float[Array, "b 1+f n+1"]
    same: tuple[Bool[Array, "b k"], Bool[Array, "b k"]]


class PairScores(NamedTuple):
    """What the decoder gives to pairs: a log-likelihood, or of questions that of the right answer.

    Attributes:
      all: of each trajectory, as it is and spoiled, with its own instruction, [b, 1 + q].
      other: of the first alone, with further instructions, [b, r].
      prefixes: of it and of the films that fail, with its own instruction; behind the prefixes the whole.
    """

    all: Float[Array, "b 1+q"]
    other: Float[Array, "b r"]
    prefixes: Float[Array, "b 1+f n+1"]

    @property
    def failing(self) -> Float[Array, "b f"]:
        """Of whole films that fail."""
        return self.prefixes[:, 1:, -1]


def draw_pairs(
    key: Array, data: Dataset, said: Words, negatives: Negatives, failing: Dataset | None = None
) -> Pairs:
    """Pairs of a batch whose trajectories did what they were to do.

    Args:
      failing: films of as many frames to draw from; None only where `negatives` wants none.
    """
    keys = jax.random.split(key, 8)
    batch, others = data.batch, negatives.others
    worse = spoil(keys[0], data)
    kinds = _some(keys[1], len(SPOILED), negatives.spoiled)
    numbers, wrong = change_instructions(keys[2], batch, negatives.unseen)
    trajectories = jax.tree.map(
        lambda right, wrong: jnp.concatenate([right[:, None], wrong[:, kinds]], axis=1),
        data.trajectories,
        worse.trajectories,
    )
    films = jax.tree.map(lambda x: x[:, None], data)
    if negatives.failing:
        assert failing is not None
        films = jax.tree.map(
            lambda own, other: jnp.concatenate([own, other.astype(own.dtype)], axis=1),
            films,
            failing[_failing(keys[6], batch, failing, negatives.failing)],
        )
    seen = films.batch
    draw = partial(draw_prefixes, count=negatives.prefixes)
    ends, levels = jax.vmap(jax.vmap(draw, in_axes=(0, 0, 0, 0, None)))(
        jax.random.split(keys[7], seen.mask.shape[:2]), seen.signs, seen.mask, lies(seen.qpos), batch.which
    )
    bad = jax.tree.map(lambda x: x[:, 1:], films.trajectories)
    chosen = _some(keys[3], len(CHANGES), negatives.changed)
    own = said.rows(keys[4], batch.which)
    following = [jnp.roll(own, -k - 1) for k in range(others)]
    changed = said.rows(keys[5], numbers[:, chosen])
    here = jnp.arange(len(own))[:, None]
    step = jnp.arange(others) + 1
    same = batch.same[here, (here + step) % len(own)], batch.same[(here - step) % len(own), here]
    other = jnp.concatenate([jnp.stack(following, axis=1), changed], axis=1) if others else changed
    return Pairs(trajectories, bad, own, other, worse.wrong[:, kinds], wrong[:, chosen], ends, levels, same)


def _failing(key: Array, batch: Batch, failing: Dataset, count: int) -> Int[Array, "b count"]:
    """Which films of bodies that fail go with each row."""
    keys, b, n = jax.random.split(key, 3), len(batch.which), len(failing.embeddings)
    alike = failing.batch.which == batch.which[:, None]
    near = jax.random.categorical(keys[0], jnp.where(alike, 0.0, NEVER), shape=(count, b)).T
    far = jax.random.randint(keys[1], (b, count), 0, n)
    close = jax.random.bernoulli(keys[2], shape=(b, count)) & alike.any(axis=1, keepdims=True)
    return jnp.where(close, near, far)


def _some(key: Array, total: int, count: int) -> Int[Array, "count"]:
    """`count` of `total` kinds; all of them in their own order."""
    return jnp.arange(total) if count == total else jax.random.permutation(key, total)[:count]


def score_pairs(interface: Interface, said: Words, pairs: Pairs, asked: bool = False) -> PairScores:
    """Scores of all pairs; of questions that of the right answer, or if `asked` the log-odds. Pure."""
    b, q, f = len(pairs.own), pairs.spoiled.shape[1], pairs.failing.mask.shape[1]
    first, spoiled = (
        jax.tree.map(lambda x, part=part: x[:, part], pairs.trajectories)
        for part in (slice(0, 1), slice(1, None))
    )
    own, count = pairs.own[:, None], pairs.ends.shape[-1] - 1
    done = is_done(pairs.levels)
    rows = jnp.concatenate([own, pairs.other, jnp.repeat(own, count, axis=1)], axis=1)
    right = jnp.concatenate([jnp.ones((b, 1), bool), pairs.same[0], ~pairs.changed, done[:, 0, :-1]], axis=1)
    whole = jnp.repeat(first.mask, rows.shape[1] - count, axis=1)
    seen = jnp.concatenate([whole, until(first.mask[:, 0], pairs.ends[:, 0, :-1])], axis=1)
    told = score_rows(interface, said, _flat(first), rows, right, asked, seen)
    itself, other, prefixes = jnp.split(told, [1, told.shape[1] - count], axis=1)
    groups = [jnp.concatenate([prefixes, itself], axis=1)[:, None]]
    if f:
        bad, ends = _flat(pairs.failing), pairs.ends[:, 1:].reshape(b * f, -1)
        rows = jnp.broadcast_to(own[:, None], (b, f, count + 1)).reshape(b * f, -1)
        right = done[:, 1:].reshape(b * f, -1)
        found = score_rows(interface, said, bad, rows, right, asked, until(bad.mask, ends))
        groups.append(found.reshape(b, f, -1))
    if q:
        rows, right = jnp.repeat(pairs.own, q)[:, None], ~pairs.spoiled.reshape(-1, 1)
        found = score_rows(interface, said, _flat(spoiled), rows, right, asked)
        itself = jnp.concatenate([itself, found.reshape(b, q)], axis=1)
    return PairScores(itself, other, jnp.concatenate(groups, axis=1))


def _flat(batch: Trajectories) -> Trajectories:
    return jax.tree.map(_joined, batch)


def _joined(x: Array) -> Array:
    """The first two axes as one, be there nothing along others."""
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])


def score_rows(
    interface: Interface,
    said: Words,
    batch: Trajectories,
    rows: Int[Array, "b n"],
    done: Bool[Array, "b n"],
    asked: bool = False,
    visible: Bool[Array, "b n t"] | None = None,
) -> Float[Array, "b n"]:
    """Each trajectory with its rows of the tails; of questions the answer `done`, if `asked` the log-odds.

    Args:
      visible: the frames that each row sees; None: all of the trajectory's.
    """
    lm, before = said.reading
    tails = said.tails[rows]
    if not tails.asks:
        return tail_scores(lm, interface, before, batch, tails, visible)
    if asked:
        both = jax.tree.map(lambda x: x.reshape(len(x), -1, x.shape[-1]), tails)
        twice = None if visible is None else jnp.repeat(visible, 2, axis=1)
        found = tail_scores(lm, interface, before, batch, both, twice).reshape(*rows.shape, 2)
        return found[..., 0] - found[..., 1]
    return tail_scores(lm, interface, before, batch, tails.answered(done), visible)


def loss_of_scores(
    protocol: Protocol, pairs: Pairs, scores: PairScores, temperature: float
) -> Float[Array, ""]:
    """The protocol's loss, from scores alone: all that couples the rows of a batch."""
    own = scores.all[:, 0]
    if protocol == "ml":
        return -own.mean()
    kinds = pairs.same[0].shape[1]
    others, changed = scores.other[:, :kinds], scores.other[:, kinds:]
    fails = ~is_done(pairs.levels[:, 1:, -1])
    if protocol == "success":
        done = is_done(pairs.levels).reshape(len(own), -1)
        prefixes = scores.prefixes.reshape(done.shape)  # among them each whole film
        wrong = jnp.concatenate([pairs.spoiled, ~pairs.same[0], pairs.changed, ~done], axis=1)
        judged = jnp.concatenate([scores.all[:, 1:], others, changed, prefixes], axis=1)
        rest = (judged * wrong).sum() / jnp.maximum(wrong.sum(), 1)
        right = (prefixes * done).sum() / jnp.maximum(done.sum(), 1)
        return -(right + rest) / 2
    # row i of `others` is of trajectory i with the instructions behind it; so those before it with its own
    b, here = len(own), jnp.arange(len(own))[:, None]
    before = others[(here - jnp.arange(kinds) - 1) % b, jnp.arange(kinds)]
    rest = jnp.concatenate([others, before, scores.all[:, 1:], scores.failing, changed], axis=1)
    wrong = jnp.concatenate([~pairs.same[0], ~pairs.same[1], pairs.spoiled, fails, pairs.changed], axis=1)
    apart = told_apart(own, rest, wrong, temperature).mean()
    if pairs.ends.shape[-1] == 1:  # no prefixes
        return apart
    order = ranked(scores.prefixes.reshape(b, -1), pairs.levels.reshape(b, -1), temperature)
    return apart + RANKED * order


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
    parts = _chunks(pairs, chunk)
    found = jax.lax.map(lambda part: score_pairs(interface, said, part), parts)
    scores = jax.tree.map(lambda x: _joined(x.swapaxes(0, 1)), found)
    value, slopes = jax.value_and_grad(lambda s: loss_of_scores(protocol, pairs, s, temperature))(scores)
    slopes = _chunks(slopes, chunk)

    def add(total: Any, args: tuple[Pairs, PairScores]) -> tuple[Any, None]:
        part, slope = args
        back = jax.vjp(lambda w: score_pairs(w, said, part), weights)[1]
        return jax.tree.map(jnp.add, total, back(slope)[0]), None

    total, _ = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, weights), (parts, slopes))
    return value, total


def _chunks(rows: Any, chunk: int) -> Any:
    """Leaves [b, ...] -> [b / chunk, chunk, ...], each chunk of rows that are evenly apart: where rows are
    spread over devices, every device keeps its own."""
    return jax.tree.map(lambda x: x.reshape(chunk, len(x) // chunk, *x.shape[1:]).swapaxes(0, 1), rows)
