"""The likelihood reward inside the loop against `LikelihoodReward` on frames drawn outside of it."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
import jaxrm
import train
from envs.humanoid.motion_truth import carried_out
from envs.humanoid.postures import Sampler
from envs.pendulum import Pendulum
from jaxrm.models.interface import Interface, InterfaceConfig
from jaxrm.types import Pose
from train.rl import likelihood
from train.rl.checkpoint import Checkpoints
from train.rl.config import PolicyConfig
from train.rl.likelihood_update import number_of
from train.rl.parts import make_learner
from train.rl.program import make_program, state_like
from train.rl.rewards import Looks

GOLDEN = Path(__file__).parents[1] / "golden"
GOAL = "kneels down"
LENGTH, EVERY, UNROLL, WORLDS, ITERATIONS = 12, 2, 8, 16, 4


class Falling(Pendulum):
    """Short episodes, of which some end early, between two looks."""

    def __init__(self):
        super().__init__()
        self.episode_length = LENGTH

    def step(self, state, action):
        after = super().step(state, action)
        return after._replace(terminated=jnp.abs(after.data.qvel[0]) > 4.0)


def save(directory: Path, **change) -> Path:
    fields = {"inputs": 12, "outputs": 8, "width": 8, "heads": 2} | change
    draw = np.random.default_rng(0).normal
    abstract = Interface.abstract(InterfaceConfig(**fields))
    drawn = jax.tree.map(lambda x: jnp.asarray(0.5 * draw(size=x.shape), "float32"), abstract)
    jaxrm.save_interface(drawn, directory)
    return directory


@pytest.fixture(scope="module")
def interface(tmp_path_factory):
    return save(tmp_path_factory.mktemp("interface"))


def config(interface: str | Path, algo: str = "sac", **changes) -> PolicyConfig:
    settings = dict(
        task="pendulum",
        reward="likelihood",
        model=str(GOLDEN / "clip-quick-gelu"),
        lm=str(GOLDEN / "decoder-llama"),
        interface=str(interface),
        goal=GOAL,
        allow_unknown_words=True,
        reward_every=EVERY,
        reward_between="hold",
        reward_batch=24,  # neither frames nor worlds are a multiple of it
        num_envs=WORLDS,
        unroll_length=UNROLL,
        policy_hidden=(8,),
        value_hidden=(8,),
    )
    if algo == "ppo":
        settings |= dict(epochs=1, minibatches=2)
    else:
        settings |= dict(updates_per_step=1 / 128, batch_size=16, learning_starts=128, replay_size=1024)
    return PolicyConfig(**{**settings, **changes}, algo=algo)


def parts(settings: PolicyConfig):
    env = Falling()
    reward = likelihood.make(settings, env)
    return env, reward, make_program(settings, env, make_learner(settings, 3, 1), reward)


def worlds_of(memory) -> tuple[np.ndarray, ...]:
    """Coordinates, number of the episode, its key and the score of every world in time, of SAC's replay."""
    rows, steps = memory.rows, ITERATIONS * UNROLL

    def by_world(x):
        x = np.asarray(x)[:, : steps * WORLDS // len(x)]
        x = x.reshape(len(x), steps, -1, *x.shape[2:])
        return x.swapaxes(1, 2).reshape(WORLDS, steps, *x.shape[3:])

    key, terminated = by_world(rows.pose.key), by_world(rows.terminated)
    # in one unroll a world may begin twice with the same key
    new = (key[:, 1:] != key[:, :-1]).any(-1) | terminated[:, :-1]
    episode = np.pad(np.cumsum(new, axis=1), ((0, 0), (1, 0)))
    return by_world(rows.pose.qpos), episode, key, by_world(rows.score)


@partial(jax.jit, static_argnums=0)
def draw(env, qpos):
    return jax.vmap(lambda qpos: env.frame(env.pose_at(qpos), 16, 16))(qpos)


@partial(jax.jit, static_argnums=0)
def start(env, key):
    """Coordinates of the start of the episode of this key."""
    return env.reset(key).data.qpos


def outside_of(settings: PolicyConfig) -> jaxrm.LikelihoodReward:
    return jaxrm.LikelihoodReward.create(
        jaxrm.load_clip(settings.model),
        jaxrm.load_decoder(settings.lm),
        jaxrm.load_interface(settings.interface),
        instruction=GOAL,
        form=settings.likelihood_form,
    )


@pytest.mark.parametrize("starts", [False, True])
def test_rewards_of_the_loop_are_those_of_the_same_frames_outside_also_when_resumed(
    starts, interface, tmp_path
):
    form = "ask" if starts else "describe"
    settings = config(interface, likelihood_start=starts, likelihood_form=form)
    env, _, program = parts(settings)
    middle, _ = program.run(program.init(jax.random.PRNGKey(0)), program.frozen, 2)
    count = np.asarray(middle.reward_memory.count)
    assert count.max() > 1 and count.min() < 4 and count.shape == (8, WORLDS // 8)
    with Checkpoints(tmp_path / "checkpoints", writes=True) as checkpoints:
        checkpoints.save(middle, {})
        checkpoints.wait()
        again, _ = checkpoints.restore(state_like(program))
    state, resumed = (program.run(state, program.frozen, ITERATIONS - 2)[0] for state in (middle, again))
    jax.tree.map(np.testing.assert_array_equal, state, resumed)

    qpos, episodes, keys, score = worlds_of(state.memory)
    looks = (np.arange(qpos.shape[1]) + 1) % EVERY == 0
    frames, mask, places = [], [], []
    for world in range(WORLDS):
        for episode in np.unique(episodes[world]):
            at = np.flatnonzero((episodes[world] == episode) & looks)
            padded = np.pad(at, (0, LENGTH // EVERY - len(at)))
            if len(at):
                begin = start(env, keys[world, at[0]])[None]
                frames.append(draw(env, np.concatenate([begin, qpos[world, padded]])[not starts :]))
                mask.append((np.arange(1 + len(padded)) <= len(at))[not starts :])
                places.append((world, at))
    crossing = [at for _, at in places if at[0] // UNROLL != at[-1] // UNROLL]
    assert len({len(at) for _, at in places}) > 3 and len(crossing) > WORLDS
    wanted = np.exp(outside_of(settings).prefixes(np.stack(frames), np.stack(mask)))
    wanted = wanted / (1 + wanted) if form == "ask" else wanted  # probabilities
    for (world, at), values in zip(places, wanted, strict=True):
        np.testing.assert_allclose(score[world, at], values[starts:][: len(at)], atol=2e-5)
    same = (episodes[:, 1:] == episodes[:, :-1]) & looks[:-1]
    np.testing.assert_array_equal(score[:, 1:][same], score[:, :-1][same])  # held between looks


@pytest.mark.parametrize("starts", [False, True])
def test_differences_of_answers_go_on_over_unrolls_and_begin_anew_with_episodes(starts, interface):
    """Two unrolls of four looks; of three worlds, the second ends early, the third with the first unroll."""
    settings = config(
        interface, likelihood_form="ask", likelihood_difference=True, likelihood_start=starts, gamma=0.9
    )
    env = Falling()
    reward = likelihood.make(settings, env)
    assert reward.between("linear") == "zero"
    qpos = np.random.default_rng(0).uniform(-3, 3, (8, 3, 1)).astype(np.float32)
    first, ended = np.zeros((8, 3), bool), np.zeros((2, 3), bool)
    first[2, 1], ended[0, 2] = True, True
    read, memory, found = jax.jit(partial(reward.read, env)), reward.begin(3), []
    for part in range(2):
        at = slice(4 * part, 4 * part + 4)
        poses = Pose(jnp.asarray(qpos[at]), jnp.zeros((4, 3, 2), jnp.uint32))
        scores, memory = read(reward.weights, (), memory, Looks(poses, first[at], ended[part]))
        found.append(scores)
    found = np.concatenate(found)
    outside, starting = outside_of(settings), start(env, np.zeros(2, np.uint32))
    for world, begin, end in ((0, 0, 6), (1, 0, 2), (1, 2, 8), (2, 0, 4), (2, 4, 8)):
        shown = qpos[np.pad(np.arange(begin, end), (0, 6 - (end - begin))), world]
        frames = draw(env, np.concatenate([starting[None], shown]))[not starts :]
        mask = (np.arange(7) <= end - begin)[not starts :]
        wanted = outside.differences(frames, mask, discount=0.9**EVERY)[starts:]
        np.testing.assert_allclose(found[begin:end, world], wanted[: end - begin], atol=2e-5)


def test_a_whole_run_is_judged_by_the_episodes_own_prefixes(interface, tmp_path, monkeypatch):
    """And keeps what its reward keeps."""
    make, kept = likelihood.make, {}

    def that_keeps(*args):
        return make(*args)._replace(
            keep=lambda memory, file: kept.update({file.name: memory.count.shape}),
            save=lambda state, folder: kept.update({folder.name: state}),
        )

    monkeypatch.setattr(likelihood, "make", that_keeps)
    settings = config(interface, "ppo", reward_every=10, unroll_length=20, steps=2 * 20 * WORLDS)
    settings = train.PolicyConfig(
        **{**vars(settings), "eval_episodes": 3, "video_episodes": 0, "out": tmp_path / "run"}
    )
    run = train.policy(settings)
    assert "20 frames an episode" in run.result["reward"] and run.result["goal"] == GOAL
    rollouts = np.load(run.folder / "rollouts.npz")
    frames = np.stack([draw(Pendulum(), qpos[9::10]) for qpos in rollouts["qpos"]])
    wanted = np.exp(outside_of(settings).prefixes(frames))
    np.testing.assert_allclose(rollouts["reward"][:, 9::10], wanted, atol=2e-5)
    worlds = (8, WORLDS // 8)
    assert kept == {"000000001.npz": worlds, "000000002.npz": worlds, "interface": ()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"goal": "kneels down " * 60}, "decoder's context holds 128"),
        ({"goal": "kneels down " * 55}, "6 frames and an instruction .* context holds 128"),
        ({"reward_every": 5}, "5 does not divide the 12 steps of an episode"),
        ({"likelihood_frames": 3}, r"gives 6 frames, above likelihood_frames 3: take --reward-every 4"),
        (
            {"likelihood_frames": 4, "likelihood_start": True},
            r"gives 7 frames, above likelihood_frames 4: take --reward-every 4",
        ),
        ({"lm": "no-such-lm"}, "no-such-lm"),
    ],
)
def test_what_cannot_be_read_is_refused(change, message, interface):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        likelihood.make(config(interface, **change), Falling())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": 13}, "tower gives 12 numbers a frame, but the interface takes 13"),
        ({"outputs": 9}, "gives vectors of 9 numbers, but the decoder reads 8"),
    ],
)
def test_widths_that_do_not_fit_are_refused(change, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        likelihood.make(config(save(tmp_path, **change)), Falling())


def test_another_model_is_no_interface():
    with pytest.raises(ValueError, match="no interface"):
        likelihood.make(config(GOLDEN / "clip-quick-gelu"), Falling())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"likelihood_form": "aks"}, "did you mean 'ask'"),
        ({"goal": ("kneels", "sits")}, "takes one goal"),
        ({"negatives": ("sits",)}, "negatives is of no use"),
        ({"likelihood_frames": 0}, "at least 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(change, message, interface):
    with pytest.raises(ValueError, match=message):
        config(interface, **change).validate()


def test_an_oracle_knows_where_an_episode_began_that_its_first_look_does_not_show():
    """By the first look the left arm is up; it was down, and so what is lowered again was raised."""
    env = envs.make("humanoid/raise-and-lower-left-arm")
    reader = likelihood.Reader(env, frames=3, width=1, block=4, discount=None, watched=True)
    started = env.reset(jax.random.PRNGKey(0)).data.qpos
    arms = [Sampler(env).arm_joints(name) for name in ("hanging", "raised")]
    model = env.mj_model
    left = jnp.array(["left" in model.joint(index).name for index in range(1, model.njnt)])
    raised = started.at[7:].add(left * (arms[1] - arms[0]))
    film = jnp.stack([raised, raised, started])
    keys = jnp.broadcast_to(jax.random.PRNGKey(1), (2, 3, 2))
    poses = Pose(jnp.stack([film, film]), keys.astype(jnp.uint32))
    first = jnp.array([[True, False, False], [False, False, False]])  # the second began an unroll ago

    @jax.jit
    def judged(poses, first):
        seen = jax.vmap(jax.vmap(reader._signs))(poses)
        known = reader._begun(seen, poses, first)[0]
        return seen[0], known, jax.vmap(lambda signs: carried_out(signs, jnp.ones(3, bool), number))(known)

    number = number_of(env.goal, env)
    seen, known, done = judged(poses, first)
    assert done.tolist() == [True, False]
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[:, 1:], b[:, 1:]), seen, known)
    assert (known.near >= seen.near).all() and (known.holds >= seen.holds).all()
