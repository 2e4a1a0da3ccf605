"""Trains the interface between frames and a frozen decoder, on trajectories that are embedded once.

    python -m train interface --protocol contrastive

Three protocols (FoMo, arXiv 2312.03881, in our reconstruction): "ml", "contrastive", "success". An epoch is
one compiled program; the decoder is an argument of it and never changes, and only the interface has a state
of the optimiser.
"""

import time
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float
from rich.console import Console

import jaxrm
from envs.humanoid.motions import FRAMES
from jaxrm.models.interface import Interface, InterfaceConfig
from jaxrm.rewards.likelihood import check_fit, check_room
from jaxrm.weights import DecoderCheckpoint
from jaxrm.weights.files import write_json
from jaxrm.weights.fingerprint import label
from train.films import episodes
from train.films.dataset_file import Datasets
from train.films.films import Dataset
from train.films.trajectories import FAILING
from train.interface import report
from train.interface.align import align
from train.interface.config import TrainingConfig
from train.interface.data import held_out, make_or_load, make_told
from train.interface.losses import Words, draw_pairs, frozen_lm, value_and_slope
from train.interface.suite import UNSEEN, judge
from train.interface.whiten import whiten
from train.mesh import spread_rows
from train.origin import check_free


class TrainingState(NamedTuple):
    """What a step changes; the decoder is not among it."""

    interface: Interface
    optimiser: optax.OptState


def main(config: TrainingConfig) -> None:
    """Trains, judges on what was held out, and writes the interface with its suite and card.

    Raises:
      FileExistsError: the folder holds an interface and `overwrite` is not set.
      ValueError: parts that do not fit together.
    """
    check_free(config.folder, config.overwrite)
    console, begun = Console(), time.time()
    lm, said, played = prepare(config)
    data = make_or_load(config.source, config.data)
    key_model, key_align, key_train, key_judge = jax.random.split(jax.random.key(config.seed), 4)
    films = Films.of(data, *([] if played is None else [played, told_the_same(config, played)]))
    interface = new_interface(config, lm, films.all, key_model)
    if config.align:
        interface, misfits = align(interface, lm, films.all, key_align, config.align)
        console.print(f"words for single frames: misfit {misfits[0]:.3f}, now {misfits[-1]:.3f}")
    begin = start(config, interface, len(films.done.embeddings))
    check_fit(lm.model, interface, len(said.reading.before), films.all.embeddings.shape[1], _longest(said))
    console.print(
        f"{len(films.done.embeddings):,} of {len(films.all.embeddings):,} trajectories did what they should; "
        f"{time.time() - begun:.0f} s"
    )
    config.folder.mkdir(parents=True, exist_ok=True)
    for state, losses in epochs(config, begin, said, films.done, films.failing, key_train):
        interface = state.interface
        jaxrm.save_interface(interface, config.folder)
        report.write_training(config, losses, time.time() - begun)
        line = f"epoch {len(losses):>3}  loss {losses[-1]:.4f}  {time.time() - begun:5.0f} s"
        console.print(line, highlight=False)
    judge_and_report(config, lm, interface, data, key_judge, console)


def prepare(config: TrainingConfig) -> tuple[DecoderCheckpoint, Words, Dataset | None]:
    """The decoder, what it is told, and the episodes of policies. Films take minutes: what can be refused
    without them is refused here.

    Raises:
      FileNotFoundError: a model is not there, or a run has kept no episodes.
      ValueError: the decoder's context is too short, the batch does not divide over the devices, or episodes
        were seen by another tower, judged by another oracle, or are longer than films.
    """
    _check_batch(config)
    jaxrm.load_clip(config.model)
    played = episodes.read(config.episodes, config.model, FRAMES)
    lm = frozen_lm(config.lm, config.lm_dtype)
    said = Words.of(lm, config.protocol, config.wordings)
    check_room(lm.model, len(said.reading.before), FRAMES, _longest(said))
    return lm, said, played


def _check_batch(config: TrainingConfig) -> None:
    if config.batch % jax.device_count():
        raise ValueError(f"a batch of {config.batch} is no multiple of the {jax.device_count()} devices")


def told_the_same(config: TrainingConfig, played: Dataset) -> Dataset:
    """Films that show what policies were told: these do hardly any of it, and of all instructions one is
    rare."""
    numbers = tuple(int(number) for number in np.unique(played.batch.which))
    return make_told(config.source, numbers, config.shown, config.data)


def judge_and_report(
    config: TrainingConfig,
    lm: DecoderCheckpoint,
    interface: Interface,
    data: Datasets,
    key: Array,
    console: Console,
) -> None:
    """Judges on what was held out; prints and writes the suite."""
    held, failing = held_out(data), Films.of(data).held
    found = judge(config.protocol, lm, interface, held, failing, key)
    suite = report.suite_of(config.protocol, found)
    write_json(config.folder / report.SUITE, suite)
    curves = config.folder / report.OVER_TIME
    report.draw_over_time(curves, config.protocol, lm, interface, held[UNSEEN])
    report.write_card(config.folder)
    console.print(report.shown({config.folder.name: suite}), highlight=False, soft_wrap=True)


def new_interface(config: TrainingConfig, lm: DecoderCheckpoint, data: Dataset, key: Array) -> Interface:
    """One with random weights that takes all directions of `data` alike; its vectors have the size of the
    decoder's words."""
    inputs, outputs = data.embeddings.shape[-1], lm.model.config.blocks.width
    size = float(jnp.std(lm.model.embedding[...].astype(jnp.float32)))
    shape = InterfaceConfig(
        inputs,
        outputs,
        config.layers,
        config.width,
        config.heads,
        output_std=size,
        tower=label(config.model, jaxrm.load_clip(config.model).model),
        decoder=label(config.lm, lm.model),
        vocabulary=lm.processor.vocabulary_digest,
        form="ask" if config.protocol == "success" else "describe",
    )
    return whiten(Interface.create(shape, key), np.asarray(data.embeddings), np.asarray(data.batch.mask))


def _longest(said: Words) -> int:
    return said.tails.tokens.shape[-1]


def optimiser(config: TrainingConfig, count: int) -> optax.GradientTransformation:
    """AdamW on clipped gradients, of the interface alone; `count` trajectories an epoch."""
    steps = config.epochs * (count // config.batch)
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, config.learning_rate, min(50, steps // 10 + 1), max(steps, 2), 1e-5
    )
    return optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=config.weight_decay)
    )


def start(config: TrainingConfig, interface: Interface, count: int) -> TrainingState:
    """The state before the first step.

    Raises:
      ValueError: fewer trajectories than a batch, or a batch that does not divide over the devices.
    """
    _check_batch(config)
    if count < config.batch:
        raise ValueError(f"{count} trajectories are fewer than a batch of {config.batch}")
    weights: Any = interface  # optax's types know no modules
    return TrainingState(interface, optimiser(config, count).init(weights))


def epochs(
    config: TrainingConfig, state: TrainingState, said: Words, data: Dataset, failing: Dataset, key: Array
) -> Iterator[tuple[TrainingState, list[float]]]:
    """After each epoch the state, and the mean losses of all epochs until then."""
    compiled, losses = jax.jit(partial(epoch, config)), []
    for number in range(config.epochs):
        state, found = compiled(state, said, data, failing, jax.random.fold_in(key, number))
        losses.append(float(found.mean()))
        yield state, losses


def epoch(
    config: TrainingConfig, state: TrainingState, said: Words, data: Dataset, failing: Dataset, key: Array
) -> tuple[TrainingState, Float[Array, "steps"]]:
    """Every trajectory once, in a random order; what is left of the last batch waits for another epoch. Pure;
    compile it with `config` static.

    Args:
      data: trajectories that did what they were to do, see `Dataset.done_only`.
      failing: films of bodies that fail.

    Returns:
      The state, and the loss of each step.
    """
    count = len(data.embeddings)
    key_order, key_steps = jax.random.split(key)
    steps = count // config.batch
    order = jax.random.permutation(key_order, count)[: steps * config.batch].reshape(steps, config.batch)

    def step(state: TrainingState, args: tuple[Array, Array]) -> tuple[TrainingState, Array]:
        rows, key = args
        pairs = spread_rows(draw_pairs(key, data[rows], said, config.negatives, failing))
        value, slope = value_and_slope(
            state.interface, said, pairs, config.protocol, config.temperature, config.chunk
        )
        weights: Any = state.interface
        change, memory = optimiser(config, count).update(slope, state.optimiser, weights)  # pyright: ignore
        after: Any = optax.apply_updates(weights, change)
        return TrainingState(after, memory), value

    return jax.lax.scan(step, state, (order, jax.random.split(key_steps, steps)))


class Films(NamedTuple):
    """What is trained on, and what of films of bodies that fail is judged by.

    Attributes:
      all: of training, three quarters of those of bodies that fail, and what else there is.
      done, failing: those of them that did what they were told, and those that did not.
      held: the last quarter of those of bodies that fail; some of them may not.
    """

    all: Dataset
    done: Dataset
    failing: Dataset
    held: Dataset

    @classmethod
    def of(cls, data: Datasets, *more: Dataset) -> "Films":
        loose = data[FAILING]
        count = len(loose.embeddings) * 3 // 4
        films = jax.tree.map(lambda *x: jnp.concatenate(x), data["train"], loose[slice(count)], *more)
        failed = films[np.flatnonzero(~np.asarray(films.batch.done))]
        return cls(films, films.done_only(), failed, loose[slice(count, None)])
