"""Trains the small CLIP that comes with us: poses sampled, drawn and captioned on the accelerator.

    python -m train clip --overwrite

Every caption carries a degree of truth for every frame. The loss is SigLIP's pairwise sigmoid
(arXiv 2303.15343) with those degrees as soft targets, plus two linear read-outs that are thrown away after
training: the measured geometry from the image's embedding, and where every limb is from the image's tokens.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from rich.console import Console

import jaxrm
from envs import claims, classic_captions
from envs.humanoid import tasks
from jaxrm.weights.clip import ClipCheckpoint
from jaxrm.weights.preprocess import default_settings
from jaxrm.weights.processor import Processor
from jaxrm.weights.tokens import TextProcessor
from train import scenes
from train.clip import judge, report
from train.clip.config import ClipConfig, JudgeConfig
from train.clip.said import all_claims, known_words, sentences
from train.clip.start import start
from train.clip.update import LOSSES, Corpus, Scale, make_learner, make_run
from train.mesh import make_mesh
from train.origin import check_free

STATES = 8192  # of policies that a model is judged on


def main(config: ClipConfig) -> None:
    """Trains, judges on held-out scenes, and writes the checkpoint with its model card.

    Raises:
      FileExistsError: there is a checkpoint in `out` and `overwrite` is not set.
      ValueError: images are no whole number of calls, or a batch does not divide over the devices.
    """
    check_free(config.out, config.overwrite)
    mesh = make_mesh()
    config.validate(mesh.size)
    config.out.mkdir(parents=True, exist_ok=True)
    console, began = Console(), time.time()
    env = tasks.factory("kneeling")()
    classic = classic_captions.scenes()
    said = all_claims()
    everything = [sentence for wordings in said.wordings for sentence in wordings]
    key_model, key_pool, key_train, key_judge = jax.random.split(jax.random.key(config.seed), 4)
    model, texts = start(config, everything, key_model)
    corpus = _corpus(said, texts, np.random.default_rng(config.seed))

    console.print(
        f"{config.images:,} frames of {config.size} px on {jax.default_backend()}; rolling out bodies ..."
    )
    pool = jax.block_until_ready(scenes.state_pool(env, key_pool, config.pool))
    scale = Scale.of(env, pool[:: -(-len(pool) // 2048)], config.size)
    learner, optimizer = make_learner(config, model, scale)
    console.print(f"{len(pool):,} states after {time.time() - began:.0f} s; compiling ...")

    # laid where calls leave it, or the second would be compiled anew
    learner = jax.device_put(learner, NamedSharding(mesh, PartitionSpec()))
    run = make_run(config, env, classic, optimizer, scale, mesh)
    processor = Processor(default_settings(config.size), texts, known_words(said))
    calls = config.images // (config.batch * config.steps_per_call)
    for call in range(calls):
        learner, losses = run(learner, pool, corpus, jax.random.fold_in(key_train, call))
        seen = (call + 1) * config.steps_per_call * config.batch
        line = f"{seen:>9,} frames"
        for name, value in zip(LOSSES, np.asarray(losses), strict=True):
            line += f"  {name} {value:.4f}"
        console.print(f"{line}  {time.time() - began:5.0f} s", highlight=False)
        if (call + 1) % config.calls_per_save == 0 or call + 1 == calls:
            report.discard(config.out)
            jaxrm.save(ClipCheckpoint(learner.average["clip"], processor), config.out)
            report.write_training(config, seen, time.time() - began)
            report.write_look(env, config.out, config.size)

    console.print(f"wrote {config.out}; judging ...")
    # as users get it; what was trained lies on all devices
    report.write(jaxrm.load_clip(str(config.out)), env, config.out, key_judge)


def judge_again(config: JudgeConfig) -> None:
    """Renews the card of a checkpoint: after a change of the scene, the predicates or the figures. With
    `runs`, prints the card's first table for the states of their policies instead.

    Raises:
      FileNotFoundError: `directory` has no weights, or does not tell how they were made; a run is not
        finished.
      ValueError: a run is of another body.
    """
    env, key = tasks.factory("kneeling")(), jax.random.key(config.seed)
    if config.runs:
        states = judge.states_of_runs(config.runs, STATES, config.seed)
        clip = jaxrm.load_clip(str(config.directory))
        print(report.summary(judge.judge_states(clip, env, jnp.asarray(states), key)))
        return
    report.read_training(config.directory)
    report.write(jaxrm.load_clip(str(config.directory)), env, config.directory, key)


def _corpus(said: claims.Claims, texts: TextProcessor, rng: np.random.Generator) -> Corpus:
    rows = sentences(said, rng)
    wordings = len(rows[0])
    tokens = texts([text for row in rows for text in row]).reshape(len(rows), wordings, -1)
    chance = said.weight / said.weight.sum()
    return Corpus(*(jnp.asarray(x) for x in (said.parts, said.negated, chance, tokens)))
