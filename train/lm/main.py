"""Trains the small decoder that comes with us, on this project's instruction language.

    python -m train lm --overwrite

It learns to read trajectories told in words (`train.lm.films`), in the very prompts of the likelihood reward:
to say what was done, and whether an instruction was carried out. Nothing is drawn, and no file is read.
"""

import time
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int
from rich.console import Console

import jaxrm
from envs.humanoid import tasks
from envs.humanoid.instructions import ACTIONS
from envs.humanoid.motion_captions import sentences, wordings
from envs.humanoid.motions import Motions
from jaxrm.models import BlocksConfig, Decoder, DecoderConfig
from jaxrm.models.rope import Rope
from jaxrm.rewards.likelihood import sum_scored
from jaxrm.rewards.prompts import ANSWERS, ASK, DESCRIBE
from jaxrm.rewards.protocols import told_apart
from jaxrm.weights import DecoderCheckpoint, DecoderProcessor, TrainingWords
from train.lm import card, films, report
from train.lm.config import LmConfig
from train.lm.films import Film
from train.lm.read import NEVER, NOTHING, Corpus, corpus, read_frames, tail_log_probs
from train.origin import check_free
from train.vocabulary import END, START, train_tokenizer

CONTEXT = 256  # tokens and frames
BLIND = 8  # one film in so many is not shown: the language by itself
TEMPERATURE = 0.1  # of telling apart, as in the interface's training
TASK = "standing"  # whose body and scene the trajectories are of


class Learner(NamedTuple):
    """Everything that changes in training."""

    model: Decoder
    average: Decoder
    optimiser: optax.OptState
    step: Int[Array, ""]


class Losses(NamedTuple):
    """What is learnt, each a mean.

    Attributes:
      says: -log p of what was done (`NOTHING` behind a film that does nothing), a token.
      answers: -log p of the right answers, a token.
      apart: -log of the share that what was done has among its rivals, by log-likelihood a token.
    """

    says: Float[Array, ""]
    answers: Float[Array, ""]
    apart: Float[Array, ""]


def main(config: LmConfig) -> None:
    """Trains, judges on what was held out, and writes the checkpoint with its card.

    Raises:
      FileExistsError: there is a checkpoint in `out` and `overwrite` is not set.
    """
    check_free(config.out, config.overwrite)
    config.out.mkdir(parents=True, exist_ok=True)
    console, start = Console(), time.time()
    key_model, key_train, key_judge = jax.random.split(jax.random.key(config.seed), 3)
    processor = make_processor(config)
    said = corpus(processor, config.wordings)
    learner = begin(config, Decoder.create(processor.config, key_model))
    motions = Motions(tasks.factory(TASK)())
    run = jax.jit(partial(run_steps, config, motions), donate_argnums=0)
    size = sum(x.size for x in jax.tree.leaves(learner.model))
    console.print(f"{size:,} parameters, {processor.config.vocabulary} tokens; compiling ...")
    curve = []
    for call in range(config.steps // config.steps_per_call):
        learner, losses = run(learner, said, jax.random.fold_in(key_train, call))
        curve.append(np.asarray(losses).tolist())
        steps, named = (call + 1) * config.steps_per_call, zip(Losses._fields, curve[-1], strict=True)
        told = "  ".join(f"{name} {value:.4f}" for name, value in named)
        line = f"{steps:>6} steps  {told}  {time.time() - start:5.0f} s"
        console.print(line, highlight=False)
    lm = DecoderCheckpoint(learner.average.with_param_dtype(config.dtype), processor)
    jaxrm.save(lm, config.out)
    card.write_training(config, curve, time.time() - start)
    console.print(f"wrote {config.out}; judging ...")
    lm = jaxrm.load_decoder(config.out)
    figures = report.measure(lm, motions, config.states, key_judge)
    console.print(card.write(config.out, lm, figures), highlight=False)


def make_processor(config: LmConfig) -> DecoderProcessor:
    """A tokeniser of its own, and the decoder's config, whose vocabulary it gives."""
    language = {words for held in (False, True) for words in sentences(config.wordings, held)}
    tokenizer = train_tokenizer([*language, NOTHING, *films.WORDS, *ANSWERS, *(DESCRIBE, ASK)])
    head = config.width // config.heads
    blocks = BlocksConfig(
        config.width,
        config.layers,
        config.heads,
        max(config.heads // 2, 1),
        head,
        config.mlp,
        rope=Rope(head, 10_000.0),
    )
    size = tokenizer.get_vocab_size()
    ids = tokenizer.get_vocab()
    shape = DecoderConfig(blocks, size, CONTEXT, bos_token_id=ids[START], eos_token_ids=(ids[END],))
    plainest = tuple(wordings((action,))[0] for action in ACTIONS)
    return DecoderProcessor(tokenizer, shape, TrainingWords(TrainingWords.of(language).words, plainest))


def begin(config: LmConfig, model: Decoder) -> Learner:
    """The state before the first step."""
    weights: Any = model  # optax's types know no modules
    average = jax.tree.map(jnp.copy, model)
    return Learner(model, average, _optimiser(config).init(weights), jnp.int32(0))


def _optimiser(config: LmConfig) -> optax.GradientTransformation:
    warm = min(200, config.steps // 10 + 1)
    schedule = optax.warmup_cosine_decay_schedule(0.0, config.learning_rate, warm, config.steps, 1e-5)
    return optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(schedule, b2=0.98, weight_decay=config.weight_decay)
    )


def run_steps(
    config: LmConfig, motions: Motions, learner: Learner, said: Corpus, key: Array
) -> tuple[Learner, Losses]:
    """`steps_per_call` updates in one program, on trajectories that are made for them; the mean losses."""
    key_pool, key_steps = jax.random.split(key)
    drawn = films.pool(motions, key_pool, config.batch * config.steps_per_call)
    order = jnp.arange(len(drawn.which)).reshape(config.steps_per_call, config.batch)

    def step(learner: Learner, args: tuple[Array, Array]) -> tuple[Learner, Losses]:
        rows, key = args
        key_film, key_loss = jax.random.split(key)
        film = films.tell(key_film, drawn[rows])
        weights: Any = learner.model
        total = jax.grad(lambda w: _weighted(config, loss(w, config, said, film, key_loss)), has_aux=True)
        slope, losses = total(weights)
        change, memory = _optimiser(config).update(slope, learner.optimiser, weights)
        model: Any = optax.apply_updates(weights, change)
        decay = jnp.minimum(config.ema, (1 + learner.step) / (10 + learner.step))
        past: Any = learner.average
        average: Any = optax.incremental_update(model, past, 1 - decay)
        return Learner(model, average, memory, learner.step + 1), losses

    learner, losses = jax.lax.scan(step, learner, (order, jax.random.split(key_steps, len(order))))
    return learner, jax.tree.map(jnp.mean, losses)


def _weighted(config: LmConfig, losses: Losses) -> tuple[Array, Losses]:
    return losses.says + config.ask_weight * losses.answers + config.rival_weight * losses.apart, losses


def loss(lm: Decoder, config: LmConfig, said: Corpus, film: Film, key: Array) -> Losses:
    """Of one batch of films; pure."""
    keys = jax.random.split(key, 7)
    b = len(film.mask)
    shown = jnp.arange(b) >= b // BLIND
    known = film.truth & said.known
    told = jax.random.categorical(keys[0], jnp.where(known, 0.0, NEVER), shape=(config.describes, b)).T
    idle = ~film.truth.any(axis=1, keepdims=True)
    told = jnp.where(idle, said.nothing, told)
    true = jnp.where(idle, shown[:, None], known.any(axis=1, keepdims=True))
    rows = said.rows(keys[1], told)
    right = jnp.where(known.any(axis=1), told[:, 0], film.which)
    asked, done = questions(keys[2], config.asks, said, film.truth, right)
    asks = said.ask[said.rows(keys[3], asked)].answered(done)
    noise = films.noise(keys[4], (*film.mask.shape, lm.config.blocks.width))
    vectors = films.frame_vectors(lm, said.films, film.weights, noise)
    read = read_frames(lm, said.before, vectors, film.mask & shown[:, None])
    others, wrong = rivals(keys[5], config.rivals, said, film.truth, right)
    both = said.describe[jnp.concatenate([rows, said.rows(keys[6], others)], axis=1)]
    found, answers = tail_log_probs(lm, read, both), -tail_log_probs(lm, read, asks)
    says = -found[:, : config.describes]
    counts = both.scored[:, : config.describes, both.first :] & true[..., None]
    answered = asks.scored[..., asks.first :] & shown[:, None, None]
    done = shown & known.any(axis=1)
    scores = sum_scored(found, both)
    apart = told_apart(scores[:, 0], scores[:, config.describes :], wrong, TEMPERATURE)
    return Losses(_mean(says, counts), _mean(answers, answered), _mean(apart, done))


def _mean(values: Array, counts: Array) -> Array:
    return (values * counts).sum() / jnp.maximum(counts.sum(), 1)


def questions(
    key: Array, count: int, said: Corpus, truth: Bool[Array, "b instructions"], right: Int[Array, "b"]
) -> tuple[Int[Array, "b count"], Bool[Array, "b count"]]:
    """Instructions to ask about: a third are true ones, or `right` where there are none; then changed ones,
    and one of any other film."""
    b, keys = len(truth), jax.random.split(key, 4)
    known = truth & said.known
    yes = jax.random.categorical(keys[0], jnp.where(known, 0.0, NEVER), shape=(count // 3, b)).T
    yes = jnp.where(known.any(axis=1, keepdims=True), yes, right[:, None])
    changed = changes(keys[1], count - count // 3 - 1, said, right)
    other = jax.random.categorical(keys[2], jnp.where(said.known, 0.0, NEVER), shape=(b, 1))
    asked = jnp.concatenate([yes, changed, other], axis=1)
    return asked, jnp.take_along_axis(truth, asked, axis=1)


def changes(key: Array, count: int, said: Corpus, right: Int[Array, "b"]) -> Int[Array, "b count"]:
    """`right` with something else in it, as often as `Corpus.odds` says; itself where none is known."""
    options = said.changes[right]
    odds = jnp.where((options >= 0) & said.known[options], said.odds[right], NEVER)
    pick = jax.random.categorical(key, odds, shape=(count, len(right))).T
    changed = jnp.take_along_axis(options, pick, axis=1)
    return jnp.where((odds > NEVER).any(axis=1, keepdims=True), changed, right[:, None])


def rivals(
    key: Array, count: int, said: Corpus, truth: Bool[Array, "b instructions"], right: Int[Array, "b"]
) -> tuple[Int[Array, "b count"], Bool[Array, "b count"]]:
    """Changed instructions, and which of them are wrong."""
    others = changes(key, count, said, right)
    return others, ~jnp.take_along_axis(truth, others, axis=1)
