"""Training of the interface between frames and a frozen decoder, on trajectories embedded once.

Three protocols (FoMo, arXiv 2312.03881, in our reconstruction): "ml", "contrastive", "success". An epoch is
one compiled program; the decoder is an argument of it and never changes. What the oracle of the trajectories
says still to be right is no negative.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from envs.humanoid.instructions import CHANGES, INSTRUCTIONS
from jaxrm.metrics.suite import PerturbationRow, Scores, perturbation_rows
from jaxrm.models.interface import Interface
from jaxrm.rewards import protocols
from jaxrm.rewards.likelihood import Trajectories, tail_scores
from jaxrm.rewards.prompts import ASK, DESCRIBE, Prompt, Tails, ask, describe
from jaxrm.rewards.protocols import Reading
from jaxrm.weights import DecoderCheckpoint
from train.trajectories import SPOILED, Dataset, change_instructions, sentences, spoil

Protocol = Literal["ml", "contrastive", "success"]


@dataclass(frozen=True)
class TrainingConfig:
    """How an interface is trained."""

    protocol: Protocol = "contrastive"
    batch: int = 64
    """Trajectories a step."""
    learning_rate: float = 3e-4
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    temperature: float = 0.1
    """Of the contrastive loss."""
    wordings: int = 16
    """Sentences for each instruction."""

    def __post_init__(self) -> None:
        if self.protocol not in ("ml", "contrastive", "success"):
            raise ValueError(f"protocol is {self.protocol!r}, wanted 'ml', 'contrastive' or 'success'")
        if self.batch < 2 or self.wordings < 1 or self.temperature <= 0:
            raise ValueError("wanted a batch of 2 at least, a wording at least and a temperature above 0")


class Words(NamedTuple):
    """What the decoder reads: itself with the words before the frames, and the sentences behind them.

    Attributes:
      tails: `wordings` rows an instruction, [instructions * wordings, m], or [.., 2, m] where they ask.
    """

    reading: Reading
    tails: Tails

    @property
    def wordings(self) -> int:
        return len(self.tails.tokens) // len(INSTRUCTIONS)

    def draw(self, key: Array, numbers: Int[Array, "*rows"]) -> Tails:
        """One wording each of instructions given by number."""
        return self.tails[numbers * self.wordings + jax.random.randint(key, numbers.shape, 0, self.wordings)]


class TrainingState(NamedTuple):
    """What a step changes; the decoder is not among it."""

    interface: Interface
    optimiser: optax.OptState


def words(lm: DecoderCheckpoint, protocol: Protocol, count: int, held_out: bool = False) -> Words:
    """Reads the sentences with the decoder's tokeniser; "success" asks, the others describe."""
    said = list(sentences(count, held_out))
    asks = protocol == "success"
    tails = ask(lm.processor, said) if asks else describe(lm.processor, said)
    before = jnp.asarray(lm.processor.begin(Prompt.of(ASK if asks else DESCRIBE).before), jnp.int32)
    return Words(Reading(lm.model, before), tails)


def optimiser(config: TrainingConfig) -> optax.GradientTransformation:
    """AdamW on clipped gradients, of the interface alone."""
    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(config.learning_rate, weight_decay=config.weight_decay),
    )


def start(config: TrainingConfig, interface: Interface) -> TrainingState:
    """The state before the first step."""
    weights: Any = interface  # optax's types know no modules
    return TrainingState(interface, optimiser(config).init(weights))


def epoch(
    config: TrainingConfig, state: TrainingState, said: Words, data: Dataset, key: Array
) -> tuple[TrainingState, Float[Array, "steps"]]:
    """Every trajectory once, in a random order; what is left of the last batch waits for another epoch. Pure;
    compile it with `config` static.

    Args:
      data: trajectories that did what they were to do, see `done_only`.

    Returns:
      The state, and the loss of each step.

    Raises:
      ValueError: fewer trajectories than a batch.
    """
    count = len(data.embeddings)
    if count < config.batch:
        raise ValueError(f"{count} trajectories are fewer than a batch of {config.batch}")
    key_order, key_steps = jax.random.split(key)
    steps = count // config.batch
    order = jax.random.permutation(key_order, count)[: steps * config.batch].reshape(steps, config.batch)

    def step(state: TrainingState, args: tuple[Array, Array]) -> tuple[TrainingState, Array]:
        rows, key = args
        weights: Any = state.interface
        value, slope = jax.value_and_grad(loss)(weights, config, said, data[rows], key)
        change, memory = optimiser(config).update(slope, state.optimiser, weights)
        after: Any = optax.apply_updates(weights, change)
        return TrainingState(after, memory), value

    return jax.lax.scan(step, state, (order, jax.random.split(key_steps, steps)))


def done_only(data: Dataset) -> Dataset:
    """The trajectories that did what they were to do; on the host, since their number is not known before."""
    return data[np.flatnonzero(np.asarray(data.batch.done))]


def loss(
    interface: Interface, config: TrainingConfig, said: Words, data: Dataset, key: Array
) -> Float[Array, ""]:
    """The protocol's loss on a batch that did what it was to do."""
    if config.protocol == "ml":
        tails = said.draw(key, data.batch.which)
        return protocols.maximum_likelihood(interface, said.reading, data.trajectories, tails)
    key_spoil, key_words, key_pick = jax.random.split(key, 3)
    worse = _Worse.of(key_spoil, data)
    if config.protocol == "success":
        batch, numbers, done = _half_spoiled(key_pick, data, worse)
        tails = said.draw(key_words, numbers)
        return protocols.success_detection(interface, said.reading, batch, tails, done)
    return _contrastive(interface, config, said, data, worse, key_words)


class _Worse(NamedTuple):
    """Spoiled trajectories [b, q] and changed instructions [b, r], and which truly are wrong."""

    trajectories: Trajectories
    wrong: Bool[Array, "b q"]
    numbers: Int[Array, "b r"]
    changed: Bool[Array, "b r"]

    @classmethod
    def of(cls, key: Array, data: Dataset) -> "_Worse":
        key_spoil, key_change = jax.random.split(key)
        return cls(*spoil(key_spoil, data), *change_instructions(key_change, data.batch))


def _contrastive(
    interface: Interface, config: TrainingConfig, said: Words, data: Dataset, worse: _Worse, key: Array
) -> Float[Array, ""]:
    key_own, key_changed = jax.random.split(key)
    own = said.draw(key_own, data.batch.which)
    changed = said.draw(key_changed, worse.numbers)
    pairs = _scores(interface, said, data.trajectories, own[None])
    spoiled = jnp.where(worse.wrong, _spoiled_scores(interface, said, worse.trajectories, own), -jnp.inf)
    others = jnp.where(worse.changed, _scores(interface, said, data.trajectories, changed), -jnp.inf)
    return protocols.contrastive_of_scores(
        pairs, data.batch.same, jnp.concatenate([spoiled, others], axis=1), config.temperature
    )


def _half_spoiled(
    key: Array, data: Dataset, worse: _Worse
) -> tuple[Trajectories, Int[Array, "b"], Bool[Array, "b"]]:
    """Trajectories and instructions, half as they are, a quarter with each side spoiled; and the truth."""
    b, q = worse.wrong.shape
    key_kind, key_spoiled, key_changed = jax.random.split(key, 3)
    kind = jax.random.randint(key_kind, (b,), 0, 4)  # 0: trajectory, 1: instruction, else as they are
    rows, which = jnp.arange(b), jax.random.randint(key_spoiled, (b,), 0, q)
    change = jax.random.randint(key_changed, (b,), 0, worse.numbers.shape[1])

    def pick(right: Array, spoiled: Array) -> Array:
        return jnp.where((kind == 0).reshape(-1, *[1] * (right.ndim - 1)), spoiled[rows, which], right)

    batch = jax.tree.map(pick, data.trajectories, worse.trajectories)
    numbers = jnp.where(kind == 1, worse.numbers[rows, change], data.batch.which)
    said_wrong = jnp.where(kind == 1, ~data.batch.truth[rows, numbers], False)
    return batch, numbers, ~jnp.where(kind == 0, worse.wrong[rows, which], said_wrong)


def _scores(interface: Interface, said: Words, batch: Trajectories, tails: Tails) -> Float[Array, "b n"]:
    """Likelihoods, or log-odds where the tails ask: rows [b, n, m], or [b, n, 2, m]."""
    if not tails.asks:
        return tail_scores(said.reading.lm, interface, said.reading.before, batch, tails)
    flat = jax.tree.map(lambda a: a.reshape(a.shape[0], -1, a.shape[-1]), tails)
    found = tail_scores(said.reading.lm, interface, said.reading.before, batch, flat)
    found = found.reshape(len(found), -1, 2)
    return found[..., 0] - found[..., 1]


def _spoiled_scores(
    interface: Interface, said: Words, batch: Trajectories, tails: Tails
) -> Float[Array, "b q"]:
    """Of perturbed trajectories [b, q, t] with the instruction of each row."""
    b, q = batch.mask.shape[:2]
    flat = jax.tree.map(lambda a: a.reshape(b * q, *a.shape[2:]), batch)
    repeated = jax.tree.map(lambda a: jnp.repeat(a, q, axis=0), tails)
    return _scores(interface, said, flat, repeated[:, None]).reshape(b, q)


def judge(interface: Interface, said: Words, data: Dataset, key: Array) -> tuple[dict, dict, dict]:
    """Scores of one batch that did what it was to do; pure, compile it.

    Returns:
      By kind of perturbation, and "right": scores [b]; the same of one frame alone; where it truly spoils.
    """
    key_spoil, key_own, key_changed = jax.random.split(key, 3)
    worse = _Worse.of(key_spoil, data)
    own, changed = said.draw(key_own, data.batch.which), said.draw(key_changed, worse.numbers)

    def scores(right: Trajectories, spoiled: Trajectories) -> dict[str, Array]:
        by_frames = _spoiled_scores(interface, said, spoiled, own)
        by_words = _scores(interface, said, right, changed)
        found = dict(zip((*SPOILED, *CHANGES), [*by_frames.T, *by_words.T], strict=True))
        return {"right": _scores(interface, said, right, own[:, None])[:, 0], **found}

    wrong = dict(zip((*SPOILED, *CHANGES), [*worse.wrong.T, *worse.changed.T], strict=True))
    return (
        scores(data.trajectories, worse.trajectories),
        scores(_one_frame(data.trajectories), _one_frame(worse.trajectories)),
        wrong,
    )


def _one_frame(batch: Trajectories) -> Trajectories:
    """The first frame of each trajectory repeated."""
    first = jnp.argmax(batch.mask, axis=-1)[..., None, None]
    frame = jnp.take_along_axis(batch.embeddings, first, axis=-2)
    return Trajectories(jnp.broadcast_to(frame, batch.embeddings.shape), batch.mask)


def rows(found: list[tuple[dict, dict, dict]], seed: int = 0) -> list[PerturbationRow]:
    """The suite's rows from what `judge` gave for several batches."""
    scores, static, wrong = (
        {name: np.concatenate([np.asarray(part[place][name]) for part in found]) for name in found[0][place]}
        for place in range(3)
    )
    return perturbation_rows(
        Scores(scores.pop("right"), scores),
        seed=seed,
        wrong=wrong,
        static=Scores(static.pop("right"), static),
    )
