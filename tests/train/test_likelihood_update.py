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
from envs.humanoid.motion_truth import CONDITIONS, Signs
from envs.humanoid.tasks import ORDERED
from envs.pendulum import Pendulum
from jaxrm.models.interface import Interface, InterfaceConfig
from train.films import episodes
from train.films.films import Dataset
from train.interface.losses import Words
from train.rl.likelihood_update import RECIPE, ROWS, Learning, Lesson, Seen, draw, number_of, pick, row_logits
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


@pytest.fixture(scope="module")
def films(seen):
    """Films of more frames than an episode has: the first does something else, the others show the goal."""
    episodes = jax.tree.map(lambda x: x[0, 1:4], seen).told(GOAL)
    batch = episodes.batch._replace(
        which=jnp.array([GOAL - 1, GOAL, GOAL], jnp.int32), truth=jnp.zeros_like(episodes.batch.truth)
    )
    truth = batch.truth.at[jnp.arange(3), batch.which].set(True)
    return Dataset(batch._replace(truth=truth), episodes.embeddings.astype("float16")).lengthened(FRAMES + 2)


def test_which_rows_are_drawn(seen, films):
    """Any film, one that shows the goal, and an episode that reached it, else another such film."""
    episodes = jax.tree.map(lambda x: x[0], seen).told(GOAL)
    nobody = jnp.zeros_like(episodes.batch.truth)
    someone = nobody.at[4, GOAL].set(True)

    def rows(done):
        told = episodes._replace(batch=episodes.batch._replace(truth=done))
        logits = row_logits(films, told, GOAL)
        found = jax.random.categorical(jax.random.key(0), logits, shape=(300, len(logits)))
        return [set(np.unique(column).tolist()) for column in np.asarray(found).T]

    assert rows(nobody) == [{0, 1, 2}, {0, 1, 2}, {1, 2}, {1, 2}]
    assert rows(someone) == [{0, 1, 2}, {0, 1, 2}, {1, 2}, {3 + 4}]


def test_rows_are_of_films_and_of_the_episodes_behind_them(seen, films):
    episodes = jax.tree.map(lambda x: x[0], seen).told(GOAL).lengthened(FRAMES + 2)
    rows = jnp.array([2, 3, 0, 8])
    both = jax.tree.map(lambda a, b: np.concatenate([a.astype(b.dtype), b]), films, episodes)
    jax.tree.map(np.testing.assert_array_equal, pick(rows, films, episodes), both[rows])


def test_episodes_fail_beside_films(seen, films, lm):
    """What is set against a film are the shard's own episodes, in as many frames as films have."""
    words = Words.of(lm, "contrastive", 1)
    episodes = jax.tree.map(lambda x: x[0], seen).told(GOAL)
    pairs = jax.jit(partial(draw, goal=GOAL))(jax.random.key(1), Lesson(words, films), episodes)
    frames = films.embeddings.shape[1]
    assert pairs.failing.embeddings.shape == (ROWS, RECIPE.negatives.failing, frames, WIDTH)
    found = np.asarray(pairs.failing.embeddings)[..., :FRAMES, :].reshape(-1, FRAMES, WIDTH)
    theirs = np.asarray(episodes.embeddings)
    assert all((one == theirs).all(axis=(1, 2)).any() for one in found)
    assert not np.asarray(pairs.failing.mask)[..., FRAMES:].any()
    assert set(np.asarray(pairs.own).tolist()) <= {GOAL - 1, GOAL}  # one wording each: rows are numbers
    assert (np.asarray(pairs.own)[2:] == GOAL).all()


def test_it_learns_the_same_on_any_number_of_devices(seen, films, lm):
    lesson, learning = Lesson(Words.of(lm, "contrastive", 2), films), Learning(GOAL, 1, learning_rate=0.01)

    @jax.jit
    @partial(jax.vmap, in_axes=(None, 0, 0), axis_name=AXIS)
    def update(state, seen, keys):
        return learning.update(lesson, state, seen, keys)

    keys = jax.random.split(jax.random.PRNGKey(0), SHARDS)
    apart = jax.tree.map(lambda x: x[:, None], seen), keys[:, None]  # a device each
    alone = jax.tree.map(lambda x: x[None], seen), keys[None]
    state, curve = learning.begin(interface()), []
    slopes = [jax.tree.map(lambda x: x[0], update(state, *where)[0].adam) for where in (apart, alone)]
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-6), *slopes)
    for _ in range(60):
        states, loss = update(state, *alone)  # the same pairs again and again
        state = jax.tree.map(lambda x: x[0], states)
        curve.append(float(loss[0]))
    assert curve[-1] < 0.97 * curve[0], curve  # a random decoder can hardly be steered


def test_the_goal_must_be_one_that_the_oracle_knows():
    env = envs.make("humanoid/raise-and-lower-left-arm")
    assert number_of(f" {env.goal.capitalize()}.", env) == GOAL  # as the reward hears it
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
        interface_films=32,
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
    there, kept = np.asarray(played.batch.mask), np.asarray(played.batch.signs.holds)
    later = there & (np.arange(there.shape[1]) > 0)
    np.testing.assert_array_equal(kept[later], signs.holds[later])
    # with the first look stands what held where the episode started
    assert (kept[:, 0] >= np.asarray(signs.holds[:, 0]))[there[:, 0]].all()
