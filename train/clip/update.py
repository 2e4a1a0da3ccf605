"""Updates of the small CLIP: scenes drawn, sentences judged true or not of them, weights moved."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool, Float, Int, UInt8

from envs import claims
from envs.classic import ClassicControl
from envs.classic_captions import Topic
from envs.humanoid.env import Humanoid
from envs.humanoid.postures import Sampler
from jaxrm.models import Clip
from jaxrm.weights.clip import unit
from jaxrm.weights.preprocess import default_settings, preprocess
from train import scenes
from train.clip import classic_scenes
from train.clip.config import SCENE_SHARE, ClipConfig
from train.clip.muon import make_optimizer
from train.sums import AXIS, totals

FLOOR = 0.02  # soft targets stay in [FLOOR, 1 - FLOOR], so that logits stay finite
LOSSES = ("captions", "measures", "places")
Classic = dict[Topic, tuple[ClassicControl, ...]]


class Learner(NamedTuple):
    """Everything that changes in training."""

    weights: Any
    average: Any
    optimizer: Any
    step: Int[Array, ""]


class Corpus(NamedTuple):
    """Claims and wordings; claim i has `tokens[i]`, drawn with replacement to make a rectangle."""

    parts: Int[Array, "claims parts"]
    negated: Bool[Array, "claims parts"]
    chance: Float[Array, "claims"]
    tokens: Int[Array, "claims wordings length"]


class Said(NamedTuple):
    """The sentences of one batch, and what they claim."""

    tokens: Int[Array, "texts length"]
    parts: Int[Array, "texts parts"]
    negated: Bool[Array, "texts parts"]


class Shown(NamedTuple):
    """Frames, how true each sentence is of them, and what is read out of them where it is known."""

    frames: UInt8[Array, "images size size 3"]
    degrees: Float[Array, "images texts"]
    measures: Float[Array, "images measures"]
    places: Float[Array, "images coordinates"]
    known: Bool[Array, "images"]


class Frames(NamedTuple):
    """The keys of what one batch shows: `index` counts the humanoid's frames."""

    index: Int[Array, "humanoids"]
    humanoid: Array
    classic: list[list[Array]]  # of topics, of their scenes, [frames]


class Scale(NamedTuple):
    """Mean and spread of what is read out, to bring it near 1: (measures), (places)."""

    measures: tuple[Array, Array]
    places: tuple[Array, Array]

    @classmethod
    def of(cls, env: Humanoid, qpos: Float[Array, "n nq"], size: int) -> "Scale":
        batch = jax.jit(partial(scenes.draw, env, size=size))(qpos, jax.random.key(0))
        return cls(*((x.mean(0), x.std(0) + 1e-3) for x in _read_out(batch)))


def make_learner(
    config: ClipConfig, model: Clip, scale: Scale
) -> tuple[Learner, optax.GradientTransformation]:
    """The model with its read-outs, and what moves them."""
    tokens = (config.size // config.patch) ** 2 + 1
    weights = {
        "clip": model,
        "bias": jnp.float32(0),
        "measures": jnp.zeros((config.projection, len(scale.measures[0]))),
        "places": jnp.zeros((tokens * config.width, len(scale.places[0]))),
    }
    optimizer = _optimizer(config)
    average = jax.tree.map(jnp.copy, weights)
    return Learner(weights, average, optimizer.init(weights), jnp.int32(0)), optimizer


def _optimizer(config: ClipConfig) -> optax.GradientTransformation:
    steps = config.images // config.batch
    return make_optimizer(
        steps,
        min(500, steps // 10 + 1),
        config.learning_rate,
        config.weight_decay,
        config.matrix_learning_rate,
        config.matrix_weight_decay,
    )


def make_run(
    config: ClipConfig,
    env: Humanoid,
    classic: Classic,
    optimizer: optax.GradientTransformation,
    scale: Scale,
    mesh: Mesh,
):
    """`run(learner, pool, corpus, key) -> (learner, mean losses)`: `steps_per_call` updates in one program.

    The corpus is `claims.join` of the humanoid and of the topics of `classic`, in this order. The frames of a
    batch are spread over the mesh, and so are its sentences; each device draws and embeds its own. Up to the
    order of additions, results do not depend on the number of devices.
    """
    spread = jax.shard_map(
        partial(_gradient, config, env, classic, scale),
        mesh=mesh,
        in_specs=(P(), P(), P(AXIS), P(AXIS)),
        out_specs=P(),
        check_vma=False,
    )

    def step(pool: Array, corpus: Corpus, learner: Learner, key: Array) -> tuple[Learner, Array]:
        key_scenes, key_said = jax.random.split(key)
        gradient, losses = spread(
            learner.weights,
            pool,
            _frames(config, classic, key_scenes),
            _say(config, corpus, key_said),
        )
        updates, state = optimizer.update(gradient, learner.optimizer, learner.weights)
        if config.lock_images:
            updates = of_images(jnp.zeros_like, updates)
        weights = optax.apply_updates(learner.weights, updates)
        decay = jnp.minimum(config.ema, (1 + learner.step) / (10 + learner.step))
        average = optax.incremental_update(weights, learner.average, 1 - decay)
        return Learner(weights, average, state, learner.step + 1), losses

    def run(learner: Learner, pool: Array, corpus: Corpus, key: Array) -> tuple[Learner, Float[Array, "3"]]:
        keys = jax.random.split(key, config.steps_per_call)
        learner, losses = jax.lax.scan(partial(step, pool, corpus), learner, keys)
        return learner, losses.mean(0)

    return jax.jit(run, donate_argnums=0)


def _frames(config: ClipConfig, classic: Classic, key: Array) -> Frames:
    each = config.batch // SCENE_SHARE
    humanoids = config.batch - each * sum(len(envs) for envs in classic.values())
    key_humanoid, *keys = jax.random.split(key, 1 + len(classic))
    of_topics = [
        list(jax.random.split(key, (len(envs), each)))
        for key, envs in zip(keys, classic.values(), strict=True)
    ]
    return Frames(jnp.arange(humanoids), jax.random.split(key_humanoid, humanoids), of_topics)


def _say(config: ClipConfig, corpus: Corpus, key: Array) -> Said:
    key_claim, key_wording = jax.random.split(key)
    chosen = jax.random.choice(key_claim, len(corpus.parts), (config.texts,), replace=False, p=corpus.chance)
    wording = jax.random.randint(key_wording, (config.texts,), 0, corpus.tokens.shape[1])
    return Said(corpus.tokens[chosen, wording], corpus.parts[chosen], corpus.negated[chosen])


def _gradient(
    config: ClipConfig,
    env: Humanoid,
    classic: Classic,
    scale: Scale,
    weights: dict[str, Any],
    pool: Float[Array, "states nq"],
    picked: Frames,
    said: Said,
) -> tuple[dict[str, Any], Float[Array, "3"]]:
    """Gradient and losses, means over the mesh; frames and sentences are those of this device."""
    sampler = Sampler(env)

    def scene(index: Array, key: Array) -> scenes.Scenes:
        """One in three of a sampled posture, the others of the pool."""
        key_sample, key_pool, key_draw = jax.random.split(key, 3)
        pooled = pool[jax.random.randint(key_pool, (), 0, len(pool))]
        qpos = jnp.where(index % 3 == 0, sampler.sample(key_sample), pooled)
        return scenes.draw_one(env, qpos, key_draw, config.size)

    batch = jax.vmap(scene)(picked.index, picked.humanoid)
    others = _draw_classic(classic, picked.classic, config.size)
    frames = jnp.concatenate([batch.frames, *(other.frames for other in others)])
    misses = claims.join_misses([batch.misses, *(other.misses for other in others)])
    everything = jax.lax.all_gather(said, AXIS, tiled=True)
    degrees = claims.degrees(misses, everything.parts, everything.negated)
    truths = [(x - mean) / spread for x, (mean, spread) in zip(_read_out(batch), scale, strict=True)]
    measures, places = [jnp.pad(truth, ((0, len(frames) - len(truth)), (0, 0))) for truth in truths]
    known = jnp.arange(len(frames)) < len(batch.frames)
    shown = Shown(frames, FLOOR + (1 - 2 * FLOOR) * degrees, measures, places, known)
    sentences, to_weights = jax.vjp(
        lambda weights: jax.lax.all_gather(weights["clip"].encode_tokens(said.tokens), AXIS, tiled=True),
        weights,
    )
    (gradient, of_sentences), losses = _image_gradient(config, weights, sentences, shown)
    gradient = jax.tree.map(jnp.add, gradient, *to_weights(of_sentences))
    devices = jax.lax.psum(1, AXIS)
    return jax.tree.map(lambda x: x / devices, totals((gradient, losses), AXIS))


def _image_gradient(
    config: ClipConfig, weights: dict[str, Any], sentences: Float[Array, "texts projection"], shown: Shown
) -> tuple[tuple[dict[str, Any], Array], Float[Array, "3"]]:
    """Gradients of the mean losses by weights and sentences, and those losses.

    Images go through the tower a few at a time: what their layers keep for the way back then stays in the
    processor's cache, and two cores take 1.5 times as many images a second through the tower and back.
    """
    settings = default_settings(config.size)
    known = shown.known.sum()
    share = jnp.stack([1 / len(shown.frames), 1 / known, 1 / known])

    def weighted(weights: dict[str, Any], sentences: Array, part: Shown) -> tuple[Array, Array]:
        if config.lock_images:
            weights = of_images(jax.lax.stop_gradient, weights)
        pixels = preprocess(part.frames, settings)
        losses = pair_and_read_losses(weights, pixels, sentences, part).sum(0) * share
        return losses @ jnp.array([1.0, config.measure_weight, config.place_weight]), losses

    def add(total, part: Shown):
        return jax.tree.map(
            jnp.add, total, jax.grad(weighted, (0, 1), has_aux=True)(weights, sentences, part)
        ), None

    block = math.gcd(config.microbatch, len(shown.frames))
    parts = jax.tree.map(lambda x: x.reshape(-1, block, *x.shape[1:]), shown)
    nothing = jax.tree.map(jnp.zeros_like, ((weights, sentences), share))
    return jax.lax.scan(add, nothing, parts)[0]


def of_images(change: Callable[[Array], Array], weights: Any) -> Any:
    """The same with the image tower's leaves changed, and its projection's."""

    def leaf(path: tuple, x: Array) -> Array:
        return change(x) if "['clip'].vision" in jax.tree_util.keystr(path) else x

    return jax.tree_util.tree_map_with_path(leaf, weights)


def _draw_classic(classic: Classic, keys: list[list[Array]], size: int) -> list[classic_scenes.ClassicScenes]:
    """Of each topic, the frames of all its scenes."""

    def draw(topic: Topic, env: ClassicControl, keys: Array) -> classic_scenes.ClassicScenes:
        return jax.vmap(partial(classic_scenes.draw_one, env, topic, size=size))(keys)

    drawn = [
        [draw(topic, env, of_env) for env, of_env in zip(envs, of_topic, strict=True)]
        for (topic, envs), of_topic in zip(classic.items(), keys, strict=True)
    ]
    return [jax.tree.map(lambda *parts: jnp.concatenate(parts), *scenes) for scenes in drawn]


def pair_and_read_losses(
    weights: dict[str, Any],
    pixels: Float[Array, "images size size 3"],
    sentences: Float[Array, "texts projection"],
    shown: Shown,
) -> Float[Array, "images 3"]:
    """Of each image: soft-target sigmoid loss over its pairs, less its least possible value; and the
    read-outs' errors, 0 where nothing is known."""
    clip = weights["clip"]
    features = clip.vision.features(pixels)
    images = clip.vision_projection(features[:, 0])  # as `clip.encode_pixels`
    similarity = unit(images) @ unit(sentences).T
    logits = jnp.exp(clip.logit_scale[...]) * similarity + weights["bias"]
    targets = shown.degrees
    entropy = -(targets * jnp.log(targets) + (1 - targets) * jnp.log1p(-targets))
    pairs = optax.sigmoid_binary_cross_entropy(logits, targets) - entropy
    readouts = images @ weights["measures"], features.reshape(len(features), -1) @ weights["places"]
    truths = shown.measures, shown.places
    errors = [
        shown.known * jnp.mean((read - truth) ** 2, axis=-1)
        for read, truth in zip(readouts, truths, strict=True)
    ]
    return jnp.stack([pairs.mean(-1), *errors], axis=-1)


def _read_out(batch: scenes.Scenes) -> tuple[Float[Array, "n measures"], Float[Array, "n coordinates"]]:
    """What read-outs are trained on: the measured geometry, and where every limb is."""
    measures = [x.reshape(len(x), -1) for x in batch.measures]
    return jnp.concatenate(measures, axis=1), batch.places
