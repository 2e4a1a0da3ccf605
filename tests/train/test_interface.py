"""The interface's training on made-up embeddings: every protocol learns, and what is right is no negative."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrm
from envs.humanoid.instructions import CHANGES, INSTRUCTIONS
from envs.humanoid.motion_truth import Signs
from jaxrm.metrics.suite import perturbation_table
from jaxrm.models.interface import Interface, InterfaceConfig
from train import interface as program
from train.trajectories import SPOILED, Batch, Dataset

GOLDEN = Path(__file__).parents[1] / "golden"
COUNT, FRAMES, WIDTH = 8, 5, 6


@pytest.fixture(scope="module")
def lm():
    return jaxrm.load_decoder(GOLDEN / "decoder-llama")


@pytest.fixture(scope="module")
def data():
    """Trajectories of single actions; half of them did it."""
    draw = np.random.default_rng(0)
    which = jnp.arange(COUNT)
    truth = jnp.zeros((COUNT, len(INSTRUCTIONS)), bool).at[which[::2], which[::2]].set(True)
    signs = Signs(jnp.zeros((COUNT, FRAMES, 10), bool), jnp.zeros((COUNT, FRAMES)))
    mask = jnp.arange(FRAMES) < jnp.where(which < 4, FRAMES, 3)[:, None]
    batch = Batch(jnp.zeros((COUNT, FRAMES, 24)), mask, which, truth, signs, which >= 4)
    return Dataset(batch, jnp.asarray(draw.normal(size=(COUNT, FRAMES, WIDTH)), jnp.float32))


def new(lm):
    shape = InterfaceConfig(WIDTH, lm.model.config.blocks.width, width=8, heads=2)
    return Interface.create(shape, jax.random.key(0))


def test_only_what_was_done_is_shown(data):
    assert program.done_only(data).batch.which.tolist() == [0, 2, 4, 6]


@pytest.mark.parametrize("protocol", ["ml", "contrastive", "success"])
def test_losses_fall(lm, data, protocol):
    config = program.TrainingConfig(protocol, batch=4, learning_rate=3e-2, wordings=1)
    said = program.words(lm, protocol, config.wordings)
    state, kept = program.start(config, new(lm)), program.done_only(data)
    epoch = jax.jit(partial(program.epoch, config))
    losses = []
    for key in jax.random.split(jax.random.key(1), 60):
        state, found = epoch(state, said, kept, key)
        losses.extend(np.asarray(found))
    assert np.isfinite(losses).all()
    assert np.mean(losses[-10:]) < np.mean(losses[:10])


@pytest.mark.parametrize("protocol", ["contrastive", "success"])
def test_the_suite(lm, data, protocol):
    said = program.words(lm, protocol, 1, held_out=True)
    judge = jax.jit(program.judge)
    found = [
        judge(new(lm), said, program.done_only(data), key) for key in jax.random.split(jax.random.key(2))
    ]
    rows = program.rows(found)
    assert [row.name for row in rows] == [*SPOILED, *CHANGES]
    frozen = rows[SPOILED.index("frozen")]
    assert frozen.pairs == 8 and frozen.static_accuracy == 0.5  # one frame is the same frozen or not
    assert "another motion's" in perturbation_table({protocol: rows})


def test_what_cannot_be_trained_is_refused(lm, data):
    with pytest.raises(ValueError, match="protocol"):
        program.TrainingConfig("likelihood")  # pyright: ignore[reportArgumentType]
    config = program.TrainingConfig("ml", batch=16, wordings=1)
    with pytest.raises(ValueError, match="fewer than a batch"):
        said = program.words(lm, "ml", 1)
        program.epoch(config, program.start(config, new(lm)), said, data, jax.random.key(0))
