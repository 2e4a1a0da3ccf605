"""Teaches the text tower of a small CLIP to hear every wording of a claim as its plainest sentence.

    python -m train words --start checkpoints/scene-clip --out runs/words

Next to frames most wordings are met once in a training, or never: there are a hundred thousand of them. Here
no frame is drawn. What the tower says of the plainest sentence of a claim is what it is to say of all others:
it learns from itself as it was (Hinton et al. 2015, arXiv 1503.02531). The image tower stays as it is, and so
does the reward of every plain sentence.
"""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int
from rich.console import Console

import jaxrm
from envs.claims import Claims
from envs.humanoid import tasks
from jaxrm.models import Clip
from jaxrm.weights import files
from jaxrm.weights.clip import ClipCheckpoint
from jaxrm.weights.embed import unit
from train.clip import report
from train.clip.muon import make_optimizer
from train.clip.said import all_claims, known_words, sentences
from train.origin import check_free

STEPS_PER_CALL = 50
RIDGE = 1e-4  # of the mean square of the text tower's features
PLAINEST = 8  # one sentence in so many is the plainest


@dataclass(frozen=True)
class WordsConfig:
    """Teach a small CLIP to hear other wordings as the plainest."""

    start: Path = Path("checkpoints/scene-clip")
    """The checkpoint whose plain sentences are right: a directory, or the name of one that comes with us."""
    out: Path = Path("runs/words")
    """Where the new one goes, with the image tower of `start`."""
    overwrite: bool = False
    """Replace a checkpoint that lies in `out`."""
    sentences: int = 256_000
    """Of training; whole calls of 50 batches."""
    wordings: int = 1024
    """Of each claim, drawn once, of all that can be said."""
    batch: int = 128
    learning_rate: float = 1e-3
    """Of AdamW, for all but the matrices in the tower's blocks, at its highest."""
    matrix_learning_rate: float = 0.01
    """Of Muon, for these, at its highest."""
    ema: float = 0.998
    """Decay of the weight average that is saved."""
    seed: int = 0

    def __post_init__(self) -> None:
        call = self.batch * STEPS_PER_CALL
        if self.sentences < call or self.sentences % call:
            raise ValueError(f"sentences is {self.sentences}; it must be a multiple of {call}, a call's")
        if self.wordings < PLAINEST:
            raise ValueError(f"wordings is {self.wordings}; it must be at least {PLAINEST}")


class Lesson(NamedTuple):
    """Claim i has `tokens[i]`, as likely as `chance[i]`, and is to be heard as `target[i]`."""

    tokens: Int[Array, "claims wordings length"]
    target: Float[Array, "claims size"]
    chance: Float[Array, "claims"]


class Learner(NamedTuple):
    """The text tower and its projection, their average, and the optimiser's state."""

    weights: Any
    average: Any
    optimizer: Any


def main(config: WordsConfig) -> None:
    """Trains, judges on held-out scenes, and writes the checkpoint with its model card.

    Raises:
      FileExistsError: there is a checkpoint in `out` and `overwrite` is not set.
      FileNotFoundError: there is no `start`, or it does not tell how it was made.
    """
    check_free(config.out, config.overwrite)
    start = files.find(str(config.start))
    made, look = report.read_training(start), (start / report.LOOK).read_bytes()
    console, began = Console(), time.time()
    clip, said = jaxrm.load_clip(start), all_claims(config.wordings)
    lesson = lesson_of(clip, said, config)
    console.print(f"{lesson.tokens[..., 0].size:,} wordings of {len(lesson.target):,} claims")
    learner, run = make_run(config, clip.model)
    key_train, key_judge = jax.random.split(jax.random.key(config.seed))
    for call in range(config.sentences // (config.batch * STEPS_PER_CALL)):
        learner, miss = run(learner, lesson, jax.random.fold_in(key_train, call))
        done = (call + 1) * config.batch * STEPS_PER_CALL
        line = f"{done:>9,} sentences  miss {miss:.5f}  {time.time() - began:5.0f} s"
        console.print(line, highlight=False)
    processor = dataclasses.replace(clip.processor, training_words=known_words(said))
    taught = ClipCheckpoint(with_text(clip.model, learner.average), processor)
    report.discard(config.out)
    jaxrm.save(settled(taught, said, lesson.target), config.out)
    report.write_taught(config, made, time.time() - began)
    files.write_bytes(config.out / report.LOOK, look)  # what the image tower saw, however we draw since
    console.print(f"wrote {config.out}; judging ...")
    report.write(jaxrm.load_clip(config.out), tasks.factory("kneeling")(), config.out, key_judge)


def lesson_of(clip: ClipCheckpoint, said: Claims, config: WordsConfig) -> Lesson:
    """What is said, and what the model hears in the plainest sentence of each claim."""
    rows = sentences(said, np.random.default_rng(config.seed), config.wordings)
    for row, wordings in zip(rows, said.wordings, strict=True):  # that itself stays as it is
        row[: config.wordings // PLAINEST] = wordings[:1] * (config.wordings // PLAINEST)
    tokens = clip.processor.tokenize([text for row in rows for text in row])
    tokens = tokens[:, : _longest(tokens)].reshape(len(rows), config.wordings, -1)
    target = clip.embed_texts([wordings[0] for wordings in said.wordings])
    return Lesson(jnp.asarray(tokens), target, jnp.asarray(said.weight / said.weight.sum()))


def _longest(tokens: Int[np.ndarray, "n length"]) -> int:
    """Columns that hold anything but padding: the towers read causally, so that fewer are as good."""
    return int((tokens != tokens[:, -1:]).any(0).sum()) + 1


def make_run(config: WordsConfig, model: Clip) -> tuple[Learner, Callable[..., tuple[Learner, Array]]]:
    """Where training begins; and `STEPS_PER_CALL` steps of it, compiled: learner, lesson, key -> learner and
    the mean of 1 less the cosine with the target."""
    steps = config.sentences // config.batch
    rates = config.learning_rate, 0.0, config.matrix_learning_rate, 0.0
    optimizer = make_optimizer(steps, min(200, steps // 10), *rates)
    weights: Any = (model.text, model.text_projection)

    def miss(weights: Any, tokens: Array, target: Array) -> Array:
        heard = unit(with_text(model, weights).encode_tokens(tokens))
        return (1 - (heard * target).sum(-1)).mean()

    def step(lesson: Lesson, learner: Learner, key: Array) -> tuple[Learner, Array]:
        key_claim, key_wording = jax.random.split(key)
        claim = jax.random.choice(key_claim, len(lesson.chance), (config.batch,), p=lesson.chance)
        wording = jax.random.randint(key_wording, claim.shape, 0, lesson.tokens.shape[1])
        given = lesson.tokens[claim, wording], lesson.target[claim]
        value, slope = jax.value_and_grad(miss)(learner.weights, *given)
        updates, state = optimizer.update(slope, learner.optimizer, learner.weights)
        weights = optax.apply_updates(learner.weights, updates)
        average = optax.incremental_update(weights, learner.average, 1 - config.ema)
        return Learner(weights, average, state), value

    @partial(jax.jit, donate_argnums=0)
    def run(learner: Learner, lesson: Lesson, key: Array) -> tuple[Learner, Array]:
        keys = jax.random.split(key, STEPS_PER_CALL)
        learner, values = jax.lax.scan(partial(step, lesson), learner, keys)
        return learner, values.mean()

    first, average = (jax.tree.map(jnp.array, weights) for _ in range(2))  # for they are given away
    return Learner(first, average, optimizer.init(first)), run


def settled(clip: ClipCheckpoint, said: Claims, target: Float[Array, "claims size"]) -> ClipCheckpoint:
    """With the projection of texts that brings plainest sentences as near to their targets as it can: least
    squares, in closed form. Training leaves them a hair off, and no reward is to change for that."""
    model = clip.model
    tokens = clip.processor.tokenize([wordings[0] for wordings in said.wordings])
    features = np.asarray(model.text(jnp.asarray(tokens)), np.float64)
    kernel = np.asarray(model.text_projection.kernel[...], np.float64)
    heard = features @ kernel
    missing = np.asarray(target) * np.linalg.norm(heard, axis=1, keepdims=True) - heard
    weighted = features.T * (said.weight / said.weight.sum())
    square = weighted @ features
    ridge = RIDGE * np.trace(square) / len(square) * np.eye(len(square))
    change = np.linalg.solve(square + ridge, weighted @ missing)
    projection = jax.tree.map(lambda _: jnp.asarray(kernel + change, jnp.float32), model.text_projection)
    return dataclasses.replace(clip, model=with_text(model, (model.text, projection)))


def with_text(model: Clip, weights: Any) -> Clip:
    """The model with another text tower and its projection."""
    new = jax.tree.map(lambda leaf: leaf, model)
    new.text, new.text_projection = weights
    return new
