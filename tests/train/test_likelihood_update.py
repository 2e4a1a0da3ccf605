"""The interface learns inside the loop: what it is set against, its loss, and that it learns."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
import jaxrm
import train
from envs.humanoid import motion_truth
from envs.humanoid.instructions import INSTRUCTIONS, NUMBERS
from envs.humanoid.motion_truth import CONDITIONS, Signs, truth
from envs.humanoid.tasks import ORDERED
from envs.pendulum import Pendulum
from jaxrm.models.interface import Interface, InterfaceConfig
from jaxrm.rewards.likelihood import LikelihoodWeights, Trajectories, score
from train import episodes
from train.interface_losses import Words
from train.likelihood_update import TEMPERATURE, Learning, Seen, draw, losses, number_of
from train.progress import DONE, ranked
from train.sums import AXIS

GOLDEN = Path(__file__).parents[1] / "golden"
GOAL = NUMBERS[ORDERED["raise-and-lower-left-arm"]]
SHARDS, WORLDS, FRAMES, WIDTH = 2, 6, 8, 12


@pytest.fixture(scope="module")
def lm():
    return jaxrm.load_decoder(GOLDEN / "decoder-llama")


@pytest.fixture(scope="module")
def seen():
    """Random frames and signs; one world a shard has shown nothing, others a part of an episode."""
    draw = np.random.default_rng(0)
    shape = (SHARDS, WORLDS, FRAMES)
    holds = np.cumsum(draw.random((*shape, len(CONDITIONS))) < 0.35, axis=2) % 2 == 1
    mask = np.arange(FRAMES) < draw.integers(3, FRAMES + 1, (SHARDS, WORLDS, 1))
    mask[:, 0] = False
    signs = Signs(jnp.asarray(holds), jnp.zeros(shape), jnp.asarray(holds, jnp.float32))
    embeddings = draw.normal(size=(*shape, WIDTH)) * mask[..., None]
    lying = draw.random(shape) < 0.2
    return Seen(jnp.asarray(embeddings, jnp.float32), jnp.asarray(mask), signs, bodies(lying))


def bodies(lying: np.ndarray):
    """Root states of bodies that stand or lie on their front."""
    stands, lies = np.array([0, 0, 1.2, 1, 0, 0, 0]), np.array([0, 0, 0.2, 0.5**0.5, 0, 0.5**0.5, 0])
    return jnp.asarray(np.where(lying[..., None], lies, stands), jnp.float32)


def interface() -> Interface:
    config = InterfaceConfig(inputs=WIDTH, outputs=8, width=8, heads=2)
    normal = np.random.default_rng(1).normal
    return jax.tree.map(
        lambda x: jnp.asarray(0.3 * normal(size=x.shape), "float32"), Interface.abstract(config)
    )


def test_what_an_episode_is_set_against(seen, lm):
    words = Words.of(lm, "contrastive", 1)
    one = jax.tree.map(lambda x: x[0], seen)
    drawn = jax.jit(partial(draw, goal=GOAL))(jax.random.PRNGKey(0), one, words)
    batch = drawn.data.batch
    done = np.asarray(jax.jit(jax.vmap(truth))(batch.signs, batch.mask))
    np.testing.assert_array_equal(drawn.weight, done.any(axis=1))
    taught = np.asarray(drawn.weight) > 0
    assert 1 < taught.sum() < len(taught)
    rows = np.arange(len(done))
    assert done[rows, batch.which][taught].all()
    np.testing.assert_array_equal(drawn.said, batch.which)  # one wording each: rows are numbers
    others = np.asarray(drawn.others)
    assert (others[:, 0] == GOAL).all()
    wrong = np.asarray(drawn.is_wrong)[:, : others.shape[1]]
    assert not (wrong & done[rows[:, None], others]).any()
    np.testing.assert_array_equal(wrong[:, 0], ~done[:, GOAL])
    assert wrong[taught, 1:].any()


@pytest.mark.parametrize("form", ["describe", "ask"])
def test_the_loss_is_that_of_each_pair_scored_alone(form, seen, lm):
    words = Words.of(lm, "success" if form == "ask" else "contrastive", 1)
    one = jax.tree.map(lambda x: x[0, 1:4], seen)
    drawn = jax.jit(partial(draw, goal=GOAL))(jax.random.PRNGKey(3), one, words)
    found, order = jax.jit(losses)(interface(), words, drawn)
    alone = jax.jit(
        lambda tails, embeddings, mask: score(
            LikelihoodWeights(*words.reading, tails), interface(), Trajectories(embeddings[None], mask[None])
        )[0]
    )

    def of(row, embeddings, mask, right: bool):
        tails = words.tails[row]
        if form == "ask":
            tails = tails.answered(jnp.asarray(right))
        return float(alone(tails, embeddings, mask)) if mask.any() else None

    for i in range(len(found)):
        own = drawn.data.embeddings[i], drawn.data.batch.mask[i]
        wrong, spoiled = np.asarray(drawn.is_wrong[i]), drawn.spoiled
        right = of(drawn.said[i], *own, True)
        others = [of(row, *own, False) for row, w in zip(drawn.others[i], wrong, strict=False) if w]
        later = wrong[drawn.others.shape[1] :]
        others += [
            of(drawn.said[i], spoiled.embeddings[i, q], spoiled.mask[i, q], False)
            for q in np.flatnonzero(later)
        ]
        if form == "ask":
            wanted = -(right + sum(others) / max(len(others), 1)) / 2
        else:
            all_scores = np.array([right, *others]) / TEMPERATURE
            wanted = -all_scores[0] + np.log(np.exp(all_scores).sum())
        np.testing.assert_allclose(found[i], wanted, rtol=2e-4)
    levels = np.asarray(drawn.levels)
    assert len(set(levels.ravel())) > 1
    films, masks = drawn.data.embeddings, np.asarray(drawn.data.batch.mask)
    prefixes = [
        [
            of(drawn.goal, films[i], masks[i] & (np.arange(FRAMES) <= end), level == DONE)
            for end, level in zip(np.asarray(drawn.ends[i]), levels[i], strict=True)
        ]
        for i in range(len(found))
    ]
    if form == "ask":
        wanted = -np.mean(prefixes)
    else:
        wanted = ranked(jnp.array(prefixes).reshape(1, -1), drawn.levels.reshape(1, -1), TEMPERATURE)
    np.testing.assert_allclose(order, wanted, rtol=2e-4)


def test_it_learns_and_rests_where_nothing_is_taught(seen, lm):
    words = Words.of(lm, "contrastive", 2)
    learning = Learning(GOAL, every=1, learning_rate=0.01)

    @jax.jit
    @partial(jax.vmap, in_axes=(None, 0, None), axis_name=AXIS)
    def update(state, seen, key):
        return learning.update(words, state, seen, jax.random.split(key, SHARDS))

    state, curve = learning.begin(interface()), []
    alone = jax.tree.map(lambda x: x[None], seen)  # on one device
    for _ in range(60):
        states, loss = update(state, alone, jax.random.PRNGKey(0))  # the same pairs again and again
        state = jax.tree.map(lambda x: x[0], states)
        curve.append(float(loss[0]))
    assert curve[-1] < 0.97 * curve[0], curve  # a random decoder can hardly be steered
    assert np.all(np.diff(curve) < 0.01)
    blind = alone._replace(mask=jnp.zeros_like(alone.mask))
    states, loss = update(state, blind, jax.random.PRNGKey(0))
    assert np.isnan(loss[0])
    jax.tree.map(np.testing.assert_array_equal, jax.tree.map(lambda x: x[0], states), state)


def test_the_goal_must_be_one_that_the_oracle_knows():
    env = envs.make("humanoid/raise-and-lower-left-arm")
    assert number_of(env.goal, env) == GOAL and len(INSTRUCTIONS[GOAL]) == 2
    with pytest.raises(ValueError, match="not 'does a handstand'"):
        number_of("does a handstand", env)
    with pytest.raises(ValueError, match="'pendulum' has none"):
        number_of(env.goal, Pendulum())


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["ppo", "sac"])
def test_in_the_loop_of_a_humanoid(algo, tmp_path):
    """Four iterations, of which two learn."""
    jaxrm.save_interface(interface(), tmp_path / "interface")
    small = dict(policy_hidden=(8,), value_hidden=(8,), num_envs=8, unroll_length=20, reward_every=10)
    of_algo = (
        dict(minibatches=1, epochs=1)
        if algo == "ppo"
        else dict(updates_per_step=1 / 160, batch_size=16, learning_starts=160, replay_size=640)
    )
    config = train.PolicyConfig(
        "humanoid/raise-and-lower-left-arm",
        reward="likelihood",
        model=str(GOLDEN / "clip-quick-gelu"),
        lm=str(GOLDEN / "decoder-llama"),
        interface=str(tmp_path / "interface"),
        allow_unknown_words=True,
        episode_length=60,
        update_interface_every=2,
        keep_episodes=16,
        steps=4 * 160,
        algo=algo,
        eval_episodes=2,
        video_episodes=0,
        out=tmp_path / "run",
        **small,
        **of_algo,
    )
    run = train.policy(config)
    assert train.evaluate(run.folder)["reward"] == run.result["reward_end"]
    with np.load(run.folder / "rollouts.npz") as rollouts:
        assert rollouts["episode_success"].shape == (2,)
    learnt = jaxrm.load_interface(run.folder / "interface")
    changed = jax.tree.map(lambda x, y: bool((x != y).any()), learnt, interface())
    assert any(jax.tree.leaves(changed))
    played = episodes.read([run.folder], config.model, frames=8)
    assert played.embeddings.shape[:2] == (16, 8) and played.batch.mask[:, :6].any()
    signs = jax.jit(jax.vmap(partial(motion_truth.signs, envs.make(config.task))))(played.batch.qpos)
    there = np.asarray(played.batch.mask)
    np.testing.assert_array_equal(played.batch.signs.holds[there], signs.holds[there])
