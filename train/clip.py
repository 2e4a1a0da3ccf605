"""Trains the small CLIP that comes with us: poses sampled, drawn and captioned on the accelerator.

    python -m train clip --overwrite

Every caption carries a degree of truth for every frame. The loss is SigLIP's pairwise sigmoid
(arXiv 2303.15343) with those degrees as soft targets, plus two linear read-outs that are thrown away after
training: the measured geometry from the image's embedding, and where every limb is from the image's tokens.
"""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from jaxtyping import Array, Bool, Float, Int
from rich.console import Console

import jaxrm
from envs.humanoid import captions, tasks
from envs.humanoid.env import Humanoid
from envs.humanoid.postures import Sampler
from jaxrm.models import Clip, TextConfig, TransformerConfig, VisionConfig
from jaxrm.models import ClipConfig as ModelConfig
from jaxrm.weights.clip import ClipCheckpoint, unit
from jaxrm.weights.preprocess import default_settings, preprocess
from jaxrm.weights.processor import Processor
from jaxrm.weights.tokens import TextProcessor, TrainingWords
from train import clip_report, scenes
from train.origin import check_free
from train.vocabulary import train_tokenizer

CONTEXT = 32  # tokens
FLOOR = 0.02  # soft targets stay in [FLOOR, 1 - FLOOR], so that logits stay finite


@dataclass(frozen=True)
class ClipConfig:
    """Train a small CLIP from random weights on scenes of the humanoid."""

    out: Path = Path("checkpoints/scene-clip")
    """Where the checkpoint goes, in Hugging Face's format."""
    overwrite: bool = False
    """Replace a checkpoint that lies in `out`."""
    images: int = 588_800
    """Training frames, each drawn once; whole calls of `steps_per_call` batches."""
    seed: int = 0
    batch: int = 256
    texts: int = 64
    """Captions that a batch is compared with."""
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    measure_weight: float = 0.5
    """Weight of the read-out of the measured geometry from the image's embedding."""
    place_weight: float = 1.0
    """Weight of the read-out of where every limb is from the image tower's tokens."""
    start: Path | None = None
    """A checkpoint of the same sizes whose weights are trained on; random ones without."""
    ema: float = 0.999
    """Decay of the weight average that is saved."""
    size: int = 64
    """Side of a frame in pixels."""
    patch: int = 16
    width: int = 128
    layers: int = 4
    heads: int = 4
    text_width: int = 128
    text_layers: int = 2
    projection: int = 96
    pool: int = 49_152
    """States pulled towards claims and of bodies under physics, half and half; two thirds of a batch."""
    steps_per_call: int = 50


@dataclass(frozen=True)
class JudgeConfig:
    """Judge a small CLIP again and renew its card."""

    directory: tyro.conf.Positional[Path] = Path("checkpoints/scene-clip")
    """Where its weights lie."""
    seed: int = 1
    """Of the states and cameras that it is judged on."""


class Learner(NamedTuple):
    """Everything that changes in training."""

    weights: Any
    average: Any
    optimizer: Any
    step: Int[Array, ""]


class Corpus(NamedTuple):
    """Claims and wordings; claim i has `tokens[i]`, drawn with replacement to make a rectangle."""

    parts: Int[Array, "claims 3"]
    negated: Bool[Array, "claims 3"]
    chance: Float[Array, "claims"]
    tokens: Int[Array, "claims wordings length"]


def main(config: ClipConfig) -> None:
    """Trains, judges on held-out scenes, and writes the checkpoint with its model card.

    Raises:
      FileExistsError: there is a checkpoint in `out` and `overwrite` is not set.
      ValueError: fewer images than one call draws.
    """
    check_free(config.out, config.overwrite)
    if config.images % (config.batch * config.steps_per_call):
        raise ValueError(
            f"images must be a multiple of {config.batch * config.steps_per_call}, a call's worth"
        )
    config.out.mkdir(parents=True, exist_ok=True)
    console, start = Console(), time.time()
    env = tasks.factory("kneeling")()
    claims = captions.claims()
    everything = [wording for wordings in claims.wordings for wording in wordings]
    tokenizer = train_tokenizer(everything)
    architecture = _model_config(config, tokenizer.get_vocab_size())
    texts = TextProcessor(tokenizer, architecture.text)
    corpus = _corpus(claims, texts, np.random.default_rng(config.seed))

    key_model, key_pool, key_train, key_judge = jax.random.split(jax.random.key(config.seed), 4)
    model = _start(config, architecture) if config.start else Clip.create(architecture, key_model)
    console.print(
        f"{config.images:,} frames of {config.size} px on {jax.default_backend()}; rolling out bodies ..."
    )
    pool = jax.block_until_ready(scenes.state_pool(env, key_pool, config.pool))
    scale = _scale(env, pool[:: len(pool) // 2048], config.size)
    learner, optimizer = _learner(config, model, scale)
    console.print(f"{len(pool):,} states after {time.time() - start:.0f} s; compiling ...")

    run = jax.jit(
        partial(_run, config, env, optimizer, scale, default_settings(config.size)), donate_argnums=0
    )
    calls = config.images // (config.batch * config.steps_per_call)
    for call in range(calls):
        learner, losses = run(learner, pool, corpus, jax.random.fold_in(key_train, call))
        seen = (call + 1) * config.steps_per_call * config.batch
        line = f"{seen:>9,} frames"
        for name, value in zip(("captions", "measures", "places"), np.asarray(losses), strict=True):
            line += f"  {name} {value:.4f}"
        console.print(f"{line}  {time.time() - start:5.0f} s", highlight=False)

    processor = Processor(default_settings(config.size), texts, _known(claims, everything))
    clip = ClipCheckpoint(learner.average["clip"], processor)
    jaxrm.save(clip, config.out)
    clip_report.write_training(config, time.time() - start)
    console.print(f"wrote {config.out}; judging ...")
    clip_report.write(clip, env, config.out, key_judge)


def judge(config: JudgeConfig) -> None:
    """Renews the card of a checkpoint: after a change of the scene, the predicates or the figures.

    Raises:
      FileNotFoundError: `directory` has no weights, or does not tell how they were made.
    """
    if not (config.directory / clip_report.TRAINING).is_file():
        raise FileNotFoundError(f"{config.directory / clip_report.TRAINING} is missing: was it trained here?")
    clip_report.write(
        jaxrm.load_clip(str(config.directory)),
        tasks.factory("kneeling")(),
        config.directory,
        jax.random.key(config.seed),
    )


def _model_config(config: ClipConfig, vocabulary: int) -> ModelConfig:
    def tower(width: int, layers: int, heads: int) -> TransformerConfig:
        return TransformerConfig(width, layers, heads, 4 * width, "quick_gelu")

    vision = VisionConfig(tower(config.width, config.layers, config.heads), config.size, config.patch)
    text = TextConfig(tower(config.text_width, config.text_layers, 4), vocabulary, CONTEXT, vocabulary - 1)
    return ModelConfig(vision, text, config.projection, float(np.log(10.0)))


def _corpus(
    claims: captions.Claims, texts: TextProcessor, rng: np.random.Generator, wordings: int = 64
) -> Corpus:
    rows = []
    for sentences in claims.wordings:
        known = [sentence for sentence in sentences if not captions.is_held_out(sentence)]
        rows.append([known[i] for i in rng.integers(len(known), size=wordings)])
    tokens = texts([text for row in rows for text in row]).reshape(len(rows), wordings, -1)
    chance = claims.weight / claims.weight.sum()
    return Corpus(*(jnp.asarray(x) for x in (claims.parts, claims.negated, chance, tokens)))


def _known(claims: captions.Claims, everything: list[str]) -> TrainingWords:
    """Every word, and the plainest sentence of every claim of one part: what an error can suggest."""
    single = [
        sentences[0]
        for sentences, parts in zip(claims.wordings, claims.parts, strict=True)
        if (parts[:2] >= 0).sum() <= 1
    ]
    return TrainingWords(TrainingWords.of(everything).words, tuple(single))


class Scale(NamedTuple):
    """Mean and spread of what is read out, to bring it near 1: (measures), (places)."""

    measures: tuple[Array, Array]
    places: tuple[Array, Array]


def _scale(env: Humanoid, qpos: Float[Array, "n nq"], size: int) -> Scale:
    batch = jax.jit(partial(scenes.draw, env, size=size))(qpos, jax.random.key(0))
    measures = jax.vmap(_flat)(batch.measures)
    return Scale(*((x.mean(0), x.std(0) + 1e-3) for x in (measures, batch.places)))


def _flat(measures: Any) -> Float[Array, "measures"]:
    return jnp.concatenate([jnp.atleast_1d(value) for value in measures])


def _start(config: ClipConfig, architecture: ModelConfig) -> Clip:
    model = jaxrm.load_clip(str(config.start)).model
    if model.config != architecture:
        raise ValueError(
            f"{str(config.start)!r} is of another size or vocabulary: {model.config}, not {architecture}"
        )
    return model


def _learner(config: ClipConfig, model: Clip, scale: Scale) -> tuple[Learner, optax.GradientTransformation]:
    tokens = (config.size // config.patch) ** 2 + 1
    weights = {
        "clip": model,
        "bias": jnp.float32(0),
        "measures": jnp.zeros((config.projection, len(scale.measures[0]))),
        "places": jnp.zeros((tokens * config.width, len(scale.places[0]))),
    }
    steps = config.images // config.batch
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, config.learning_rate, min(500, steps // 10 + 1), steps, 1e-5
    )
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(schedule, b2=0.98, weight_decay=config.weight_decay)
    )
    average = jax.tree.map(jnp.copy, weights)
    return Learner(weights, average, optimizer.init(weights), jnp.int32(0)), optimizer


def _run(config: ClipConfig, env: Humanoid, optimizer, scale, settings, learner: Learner, pool, corpus, key):
    """`steps_per_call` updates in one program; returns the learner and the mean losses."""
    sampler = Sampler(env)

    def step(learner: Learner, key: Array):
        key_sample, key_pool, key_draw, key_text, key_wording = jax.random.split(key, 5)
        third = config.batch // 3
        sampled = jax.vmap(sampler.sample)(jax.random.split(key_sample, third))
        pooled = pool[jax.random.randint(key_pool, (config.batch - third,), 0, len(pool))]
        batch = scenes.draw(env, jnp.concatenate([sampled, pooled]), key_draw, config.size)
        chosen = jax.random.choice(
            key_text, len(corpus.parts), (config.texts,), replace=False, p=corpus.chance
        )
        wording = jax.random.randint(key_wording, (config.texts,), 0, corpus.tokens.shape[1])
        tokens = corpus.tokens[chosen, wording]
        degrees = captions.degrees(batch.misses, corpus.parts[chosen], corpus.negated[chosen])
        targets = FLOOR + (1 - 2 * FLOOR) * degrees
        truths = [
            (value - mean) / spread
            for value, (mean, spread) in zip(
                (jax.vmap(_flat)(batch.measures), batch.places), scale, strict=True
            )
        ]
        loss = partial(
            _loss, frames=batch.frames, tokens=tokens, targets=targets, truths=truths, settings=settings
        )
        gradient, losses = jax.grad(lambda w: _weighted(config, loss(w)), has_aux=True)(learner.weights)
        updates, state = optimizer.update(gradient, learner.optimizer, learner.weights)
        weights = optax.apply_updates(learner.weights, updates)
        decay = jnp.minimum(config.ema, (1 + learner.step) / (10 + learner.step))
        average = optax.incremental_update(weights, learner.average, 1 - decay)
        return Learner(weights, average, state, learner.step + 1), losses

    learner, losses = jax.lax.scan(step, learner, jax.random.split(key, config.steps_per_call))
    return learner, losses.mean(0)


def _weighted(config: ClipConfig, losses: Float[Array, "3"]) -> tuple[Array, Array]:
    return losses @ jnp.array([1.0, config.measure_weight, config.place_weight]), losses


def _loss(weights: dict[str, Any], frames, tokens, targets, truths, settings) -> Float[Array, "3"]:
    """Soft-target sigmoid loss over all pairs, less its least possible value; and the read-outs' errors."""
    clip = weights["clip"]
    features = clip.vision.features(preprocess(frames, settings))
    images = clip.vision_projection(features[:, 0])  # as `clip.encode_pixels`
    similarity = unit(images) @ unit(clip.encode_tokens(tokens)).T
    logits = jnp.exp(clip.logit_scale[...]) * similarity + weights["bias"]
    entropy = -(targets * jnp.log(targets) + (1 - targets) * jnp.log1p(-targets))
    pairs = optax.sigmoid_binary_cross_entropy(logits, targets) - entropy
    readouts = images @ weights["measures"], features.reshape(len(features), -1) @ weights["places"]
    errors = [jnp.mean((read - truth) ** 2) for read, truth in zip(readouts, truths, strict=True)]
    return jnp.stack([pairs.mean(), *errors])
