"""Batches of trajectories: half under physics, drawn, embedded, spoiled, and taken by the losses."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
import jaxrm
from envs.humanoid import motion_captions, motion_truth
from envs.humanoid.instructions import CHANGES, INSTRUCTIONS, held_out
from envs.humanoid.motions import Motions, half_hearted
from jaxrm.models.interface import Interface, InterfaceConfig
from jaxrm.rewards import protocols
from jaxrm.rewards.prompts import DESCRIBE, Prompt, describe
from train.films import films, trajectories
from train.films.spoil import ALWAYS_WRONG, SPOILED, change_instructions, spoil

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def data():
    """Four trajectories, seen by a tiny tower."""
    motions = Motions(envs.make("humanoid/standing"))
    clip = jaxrm.load_clip(GOLDEN / "clip-quick-gelu")
    make = films.maker(motions, clip.model, clip.processor.images, block=4, dtype="float32")
    return make(jax.random.key(0), 4)


def test_a_dataset(data):
    batch = data.batch
    assert batch.physics.tolist() == [False, True, False, True]  # in each of two shards
    assert bool(batch.done[::2].all())
    assert bool(jnp.isfinite(batch.qpos).all()) and bool(jnp.isfinite(data.embeddings).all())
    np.testing.assert_allclose(np.linalg.norm(data.embeddings, axis=-1), 1, atol=1e-4)
    np.testing.assert_array_equal(np.diagonal(batch.same), batch.done)
    # under physics bodies move too, and not through the floor
    assert float(jnp.abs(jnp.diff(batch.qpos[1::2, :, 7:], axis=1)).max()) > 0.05
    assert float(batch.qpos[..., 2].min()) > 0.0
    assert len(data[:2].embeddings) == 2


def test_bodies_that_fail():
    """Their plans go a part of the way; those of training are as exact as ever."""
    motions = Motions(envs.make("humanoid/standing"))
    plan = jax.jit(trajectories.plan, static_argnums=(0, 2, 3))
    failing = plan(motions, jax.random.key(0), 64, trajectories.FAILING)
    low, high = trajectories.CLUMSY
    clumsy = np.asarray(failing.clumsy)
    assert clumsy[clumsy > 0].min() >= low and clumsy.max() <= high
    parts = [{motions.env.mj_model.joint(1 + i).name for i in np.flatnonzero(part)} for part in motions.parts]
    assert {"abdomen_y", "left_knee"} < parts[0] and parts[2] == {
        "left_shoulder1",
        "left_shoulder2",
        "left_elbow",
    }
    for part in motions.parts:  # some of each, all of its joints alike
        assert (
            0.4 < (clumsy[:, part] > 0).all(1).mean() < 0.8 and (np.ptp(clumsy[:, part], axis=1) == 0).all()
        )
    assert not plan(motions, jax.random.key(0), 4, "train").clumsy.any()
    signs = jax.vmap(lambda qpos: motion_truth.signs(motions.env, qpos))
    judged = jax.jit(lambda p: jax.vmap(motion_truth.carried_out)(signs(p.qpos), p.mask, p.which))
    done = np.asarray(judged(failing))
    assert 0.4 < done.mean() < 0.9  # half of the plans are whole, and some of the others go far enough
    key, which = jax.random.key(1), jnp.int32(0)
    whole = motions.plan(key, which)
    half = half_hearted(whole, jnp.float32(0.5))
    np.testing.assert_allclose(half.joints[0], whole.joints[0])
    np.testing.assert_allclose(
        half.joints[1:] - half.joints[0], (whole.joints[1:] - whole.joints[0]) / 2, atol=1e-6
    )
    np.testing.assert_allclose(half.via - half.joints[0], (whole.via - whole.joints[0]) / 2, atol=1e-6)


def test_spoiled(data):
    worse = jax.jit(spoil)(jax.random.key(1), data)
    b, q, t, d = worse.trajectories.embeddings.shape
    assert (b, q, t, d) == (4, len(SPOILED), *data.embeddings.shape[1:])
    assert bool(worse.trajectories.mask.any(-1).all())
    frozen = worse.trajectories.embeddings[:, SPOILED.index("frozen")]
    np.testing.assert_array_equal(frozen[:, 0], data.embeddings[:, 0])
    for name in ALWAYS_WRONG:
        assert bool(worse.wrong[:, SPOILED.index(name)].all())


def test_changed_instructions(data):
    numbers, wrong = jax.jit(change_instructions)(jax.random.key(2), data.batch)
    assert numbers.shape == wrong.shape == (4, len(CHANGES))
    truth = np.asarray(data.batch.truth)
    for row in range(4):
        for column in np.flatnonzero(wrong[row]):
            assert numbers[row, column] != data.batch.which[row]
            assert not truth[row, numbers[row, column]]


def test_what_is_held_out_is_no_wrong_instruction_of_training_either(data):
    """Or it would be learnt that it is never right."""
    kept = ~held_out()
    seen = []
    for key in jax.random.split(jax.random.key(0), 8):
        which = jax.random.choice(key, jnp.asarray(np.flatnonzero(kept)), (64,))
        batch = data[jnp.zeros(64, jnp.int32)].batch._replace(which=which)
        numbers, wrong = change_instructions(key, batch, unseen=False)
        assert kept[np.asarray(numbers)].all() and np.asarray(wrong).mean() > 0.4
        seen.append(kept[np.asarray(change_instructions(key, batch)[0])].mean())
    assert np.mean(seen) < 0.97, seen


def test_the_losses_take_them(data):
    lm = jaxrm.load_decoder(GOLDEN / "decoder-llama")
    said = motion_captions.sentences(1)
    tails = describe(lm.processor, [said[number] for number in np.asarray(data.batch.which)])
    before = jnp.asarray(lm.processor.begin(Prompt.of(DESCRIBE).before))
    config = InterfaceConfig(data.embeddings.shape[-1], lm.model.config.blocks.width, width=8, heads=2)
    shapes = Interface.abstract(config)
    draw = np.random.default_rng(0).normal
    interface = jax.tree.map(lambda x: jnp.asarray(draw(size=x.shape), jnp.float32), shapes)
    worse = jax.jit(spoil)(jax.random.key(1), data)

    @jax.jit
    def loss(interface):
        return protocols.contrastive(
            interface,
            protocols.Reading(lm.model, before),
            data.trajectories,
            tails,
            same=data.batch.same,
            worse_batch=worse.trajectories,
        )

    assert np.isfinite(float(loss(interface)))


def test_held_out_combinations_are_kept_apart():
    for split in ("train", "combinations"):
        numbers = trajectories.draw_instructions(jax.random.key(0), 500, split)
        assert set(held_out()[np.asarray(numbers)]) == {split == "combinations"}
    assert len(motion_captions.sentences(2, held_out=True)) == 2 * len(INSTRUCTIONS)
    some = trajectories.draw_instructions(jax.random.key(0), 50, "train", (3, 200))
    assert set(np.asarray(some)) == {3, 200}
    with pytest.raises(ValueError, match="combinations"):
        trajectories.draw_instructions(jax.random.key(0), 5, "test")
