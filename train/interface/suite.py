"""Does an interface's score fall where a trajectory or its instruction is spoiled? On what was held out."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from envs.humanoid import motion_truth
from envs.humanoid.instructions import CHANGES
from jaxrm.metrics.reorder import Order
from jaxrm.metrics.suite import PerturbationRow, Scores, perturbation_rows
from jaxrm.models.interface import Interface
from jaxrm.rewards.likelihood import Trajectories
from jaxrm.weights import DecoderCheckpoint
from train.films.films import Dataset
from train.films.progress import is_done
from train.films.spoil import SPOILED
from train.films.trajectories import FAILING
from train.interface.losses import Negatives, PairScores, Protocol, Words, draw_pairs, score_pairs
from train.mesh import spread_rows

KINDS = (*SPOILED, FAILING, *CHANGES)
ALL = Negatives(0, len(SPOILED), len(CHANGES), failing=1, unseen=True)
BLOCK = 32  # trajectories that are scored at once
WORDINGS = 8  # of each instruction
UNSEEN = "unseen"  # other starts of the training split: judged in wordings that training never saw
LENGTHS = {"half as long": 0.5, "twice as long": 2.0}
_DIGITS = 3  # of the scores of single frames, nats
LENGTH_COUNT = 128  # trajectories of each other length


class Found(NamedTuple):
    """Scores of one set: right pairs, and by place in `KINDS` the spoiled ones.

    Attributes:
      right, static_right: as it is, and of its first frame alone, [n].
      worse, static_worse, wrong: spoiled, likewise, and whether it truly is wrong, [n, kinds].
    """

    right: Float[np.ndarray, "n"]
    worse: Float[np.ndarray, "n kinds"]
    static_right: Float[np.ndarray, "n"]
    static_worse: Float[np.ndarray, "n kinds"]
    wrong: Bool[np.ndarray, "n kinds"]


def judge(
    protocol: Protocol,
    lm: DecoderCheckpoint,
    interface: Interface,
    held: dict[str, Dataset],
    failing: Dataset,
    key: Array,
) -> dict[str, Found]:
    """Scores of all sets, and of the unseen ones at lengths that training never saw.

    Args:
      held: trajectories that did what they were to do, by name.
      failing: of bodies that fail.
    """
    known, unknown = (Words.of(lm, protocol, WORDINGS, held) for held in (False, True))
    sets = {name: (data, failing, unknown if name == UNSEEN else known) for name, data in held.items()}
    some = held[UNSEEN][slice(LENGTH_COUNT)]
    for name, rate in LENGTHS.items():
        sets[name] = resampled(some, rate).done_only(), resampled(failing, rate), unknown
    keys = jax.random.split(key, len(sets))
    return {
        name: _judge_set(interface, said, data, bad, key)
        for (name, (data, bad, said)), key in zip(sets.items(), keys, strict=True)
    }


def resampled(data: Dataset, rate: float) -> Dataset:
    """Films of `rate` times as many frames: some left out, or shown twice and more; in double the places. The
    oracle judges what is left: between two looks the body may have passed what it was to do."""
    count, t = data.batch.mask.shape
    place = jnp.floor(jnp.arange(2 * t) / rate).astype(jnp.int32)
    there = jnp.minimum(place, t - 1)
    mask = data.batch.mask[:, there] & (place < t)
    order = Order(jnp.broadcast_to(there, (count, 2 * t)), mask)
    signs = jax.tree.map(order.of, data.batch.signs)
    truth = jax.jit(jax.vmap(motion_truth.truth))(signs, mask)
    batch = data.batch._replace(qpos=order.of(data.batch.qpos), mask=mask, signs=signs, truth=truth)
    return Dataset(batch, order.of(data.embeddings))


def _judge_set(interface: Interface, said: Words, data: Dataset, failing: Dataset, key: Array) -> Found:
    """In blocks of one shape: the last one is filled up with trajectories from the beginning."""
    n = len(data.embeddings)
    places = np.arange(-(-n // BLOCK) * BLOCK) % n
    keys = jax.random.split(key, len(places) // BLOCK)
    parts = [
        _judge_block(interface, said, data[rows], failing, key)
        for rows, key in zip(places.reshape(-1, BLOCK), keys, strict=True)
    ]
    return Found(
        *(np.concatenate([np.asarray(x) for x in column])[:n] for column in zip(*parts, strict=True))
    )


@jax.jit
def _judge_block(interface: Interface, said: Words, data: Dataset, failing: Dataset, key: Array) -> Found:
    pairs = spread_rows(draw_pairs(key, data, said, ALL, failing))
    moving = score_pairs(interface, said, pairs, asked=True)
    still = pairs._replace(trajectories=_one_frame(pairs.trajectories), failing=_one_frame(pairs.failing))
    static = score_pairs(interface, said, still, asked=True)
    fails = ~is_done(pairs.levels[:, 1:, -1])
    wrong = jnp.concatenate([pairs.spoiled, fails, pairs.changed], axis=1)
    # of one frame a pair and its frozen film are the same: what rounding leaves between them is a tie
    alone = (jnp.round(static.all[:, 0], _DIGITS), jnp.round(_worse(static), _DIGITS))
    found = (moving.all[:, 0], _worse(moving), *alone, wrong)
    return Found(*found)  # pyright: ignore[reportArgumentType]


def _worse(scores: PairScores) -> Float[Array, "b kinds"]:
    return jnp.concatenate([scores.all[:, 1:], scores.failing, scores.other], axis=1)


def _one_frame(batch: Trajectories) -> Trajectories:
    """The first frame of each trajectory repeated."""
    first = jnp.argmax(batch.mask, axis=-1)[..., None, None]
    frame = jnp.take_along_axis(batch.embeddings, first, axis=-2)
    return Trajectories(jnp.broadcast_to(frame, batch.embeddings.shape), batch.mask)


def rows(found: list[Found], seed: int = 0) -> list[PerturbationRow]:
    """The suite's rows over several sets together."""
    whole = Found(*(np.concatenate(column) for column in zip(*found, strict=True)))

    def by_kind(values: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(KINDS, values.T, strict=True))

    return perturbation_rows(
        Scores(whole.right, by_kind(whole.worse)),
        seed=seed,
        wrong=by_kind(whole.wrong),
        static=Scores(whole.static_right, by_kind(whole.static_worse)),
    )


def accuracies(found: Found, static: bool = False) -> dict[str, float]:
    """Share of pairs in the right order, of each kind that there is; a tie counts half."""
    right, worse = (found.static_right, found.static_worse) if static else (found.right, found.worse)
    ordered = (right[:, None] > worse) + 0.5 * (right[:, None] == worse)
    return {
        name: float(ordered[chosen, kind].mean())
        for kind, (name, chosen) in enumerate(zip(KINDS, found.wrong.T, strict=True))
        if chosen.any()
    }
