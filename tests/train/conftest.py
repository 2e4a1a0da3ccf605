"""Films of single actions made by hand, of bodies that do them and of bodies that fail, and an interface to
learn from them."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrm
from envs.humanoid.instructions import ACTIONS, Action
from envs.humanoid.motion_truth import CONDITIONS, TOLERANCE, Signs, ends, truth
from jaxrm.models.interface import Interface, InterfaceConfig
from train.films.films import Dataset
from train.films.trajectories import Batch
from train.interface import main as program

GOLDEN = Path(__file__).parents[1] / "golden"
FRAMES, WIDTH = 6, 12
VERBS = ("kneel", "get up", "sit", "stand up", "bow", "straighten")
ENDS = {verb: ends(Action(verb)) for verb in VERBS}  # what begins and ends them
INSIDE = np.exp(-0.5 * TOLERANCE)  # nearness of a body that meets an end half-way into the tolerance
CONFIG = program.TrainingConfig(
    batch=6,
    others=2,
    spoiled=2,
    changed=1,
    failing=1,
    prefixes=2,
    wordings=1,
    learning_rate=1e-2,
    epochs=12,
    width=16,
    heads=2,
)


@pytest.fixture(scope="module")
def lm():
    return jaxrm.load_decoder("instruct-lm")


def make_data() -> Dataset:
    """Films of single actions; frames look like what the oracle sees of them, in random directions."""
    names, count = list(CONDITIONS), len(ENDS) * 2
    holds = np.zeros((count, FRAMES, len(names)), bool)
    holds[:, :, names.index("down")] = True
    which = []
    for row in range(count):
        verb, (start, end) = list(ENDS.items())[row % len(ENDS)]
        holds[row, :3, names.index(start)] = holds[row, 3:, names.index(end)] = True
        which.append([action.verb for action in ACTIONS].index(verb))
    mask = np.ones((count, FRAMES), bool)
    mask[1, -1] = False
    signs = Signs(jnp.asarray(holds), jnp.zeros((count, FRAMES)), jnp.asarray(holds * INSIDE, jnp.float32))
    done = jax.jit(jax.vmap(truth))(signs, jnp.asarray(mask))
    upright = jnp.array([0, 0, 1.2, 1, 0, 0, 0])
    qpos = jnp.broadcast_to(upright, (count, FRAMES, 7))
    batch = Batch(qpos, jnp.asarray(mask), jnp.array(which), done, signs, mask[:, 0])
    looks = np.random.default_rng(0).normal(size=(len(names), WIDTH))
    return Dataset(batch, jnp.asarray(holds @ looks, jnp.float32))


def make_failing(data: Dataset) -> Dataset:
    """The same bodies stand still from the third frame on: they begin and do not do it."""
    frame = jnp.minimum(jnp.arange(FRAMES), 2)
    signs = jax.tree.map(lambda x: x[:, frame], data.batch.signs)
    done = jax.jit(jax.vmap(truth))(signs, data.batch.mask)
    return Dataset(data.batch._replace(signs=signs, truth=done), data.embeddings[:, frame])


@pytest.fixture(scope="module")
def data():
    return make_data()


@pytest.fixture(scope="module")
def failing(data):
    return make_failing(data)


def new(lm, layers=1):
    shape = InterfaceConfig(WIDTH, lm.model.config.blocks.width, layers, 16, 2, output_std=0.1)
    return jax.jit(Interface.create, static_argnums=0)(shape, jax.random.key(0))
