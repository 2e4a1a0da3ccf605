"""Several tasks in one program: each is what it is alone."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
import jaxrm
import train
from envs.criteria import Bound
from envs.humanoid.env import Humanoid
from envs.humanoid.meaning import meaning_of
from envs.humanoid.postures import LEGS, Sampler
from envs.types import variables_of, varied
from train.rl import rewards
from train.rl.parts import Parts, check_together

TASKS = ("kneeling", "arms-raised", "splits")


@pytest.fixture(scope="module")
def tasks():
    return [envs.make(f"humanoid/{name}") for name in TASKS]


def test_variables_of_another_task_judge_and_look_as_it_does(tasks):
    """As an argument of one program."""
    sampler, zero = Sampler(tasks[0]), jnp.zeros(())
    posed = [("kneeling", "hanging"), ("standing", "raised"), ("splits", "sideways"), ("sitting", "crossed")]
    qpos = jnp.stack(
        [
            sampler.qpos(
                sampler.leg_joints(legs) + sampler.arm_joints(arms),
                jnp.deg2rad(LEGS[legs].lean),
                zero,
                zero,
                zero,
            )
            for legs, arms in posed
        ]
    )

    def seen(env, qpos):
        pose = env.pose_at(qpos)
        return env.success(pose), env.progress(pose), env.frame(pose, 16, 16)

    one_of = jax.jit(jax.vmap(lambda given, qpos: seen(varied(tasks[0], given), qpos), in_axes=(None, 0)))
    frames = []
    for number, task in enumerate(tasks):
        alone = jax.jit(jax.vmap(lambda qpos, task=task: seen(task, qpos)))(qpos)
        found = one_of(variables_of(task), qpos)
        np.testing.assert_array_equal(found[0], alone[0])
        np.testing.assert_allclose(found[1], alone[1], rtol=1e-5)
        assert np.abs(np.asarray(found[2], int) - np.asarray(alone[2])).mean() < 0.05
        assert list(np.flatnonzero(found[0])) == [number]  # each posture is of one task
        frames.append(np.asarray(found[2], int))
    assert one_of._cache_size() == 1
    assert np.abs(frames[0] - frames[1]).mean() > 1  # arms raised are looked at from further away


def test_only_postures_share_a_program(tasks):
    with pytest.raises(ValueError, match=r"pendulum.*postures"):
        check_together([tasks[0], envs.make("pendulum")])
    with pytest.raises(ValueError, match=r"kneel-and-get-up.*postures"):
        check_together([envs.make("humanoid/kneel-and-get-up")])
    own = Bound("knees of my own", lambda m: m.knees, 0.0, 1.0, 0.1)
    mine = Humanoid("mine", "a robot", "a robot", tasks[0].camera, (own,), "position", 8)
    assert mine.success(mine.pose_at(mine.mj_model.qpos0)).shape == ()
    with pytest.raises(ValueError, match=r"mine.*bounds that .*concepts lacks"):
        check_together([tasks[0], mine])


def test_the_truth_of_a_sentence_is_a_reward_where_it_is_known():
    def parts(goal):
        return Parts.build(train.PolicyConfig("humanoid/kneeling", reward="truth", goal=goal))

    told = parts("a robot sitting")
    assert told.env.bounds == meaning_of("a robot sitting").bounds and told.reward.goals == (
        "a robot sitting",
    )
    with pytest.raises(ValueError, match="cannot measure 'a robot dancing'"):
        parts("a robot dancing")


def test_joined_rewards_share_the_model_and_keep_their_goals(tasks):
    clip = jaxrm.load_clip("scene-clip")
    config = train.PolicyConfig(task="humanoid/kneeling", also=("humanoid/splits",), seeds=2, alpha=0.5)
    each = [rewards.clip_reward(config, task, clip) for task in (tasks[0], tasks[2])]
    joined = rewards.join_rewards(each, repeats=2)
    assert joined.goals == (tasks[0].goal, tasks[2].goal)
    assert joined.weights.goal.shape[0] == 4 and joined.weights.model is not None
    assert sum(joined.own) == 2 < len(joined.own), "goal and baseline; all runs share the model"
    for run in range(4):
        mine, alone = joined.of_run(run), each[run // 2]
        for a, b in zip(jax.tree.leaves(mine.weights), jax.tree.leaves(alone.weights), strict=True):
            np.testing.assert_array_equal(a, b)
    rows = jax.vmap(lambda weights: weights.goal, in_axes=(joined.axes,))(joined.weights)
    np.testing.assert_array_equal(rows, joined.weights.goal)


def test_each_task_and_seed_has_a_run_of_its_own(tmp_path):
    config = train.PolicyConfig(
        task="humanoid/kneeling", also=("humanoid/splits",), seed=4, seeds=2, out=tmp_path / "runs"
    )
    runs = config.of_runs()
    assert [(run.task, run.seed, run.also, run.seeds) for run in runs] == [
        ("humanoid/kneeling", 4, (), 1),
        ("humanoid/kneeling", 5, (), 1),
        ("humanoid/splits", 4, (), 1),
        ("humanoid/splits", 5, (), 1),
    ]
    assert [run.folder.name for run in runs] == [
        f"humanoid-{task}-seed{seed}" for task in ("kneeling", "splits") for seed in (4, 5)
    ]
    named = train.PolicyConfig(task="humanoid/kneeling", also=("humanoid/splits",))
    assert named.folder.name == "humanoid-kneeling-splits-seed0"


def test_sentences_of_one_task_share_a_program_too():
    sentences = ("a humanoid robot sitting", "a robot, kneeling.")
    config = train.PolicyConfig(task="humanoid/kneeling", also=sentences)
    config.validate()
    runs = config.of_runs()
    assert [(run.task, run.goal) for run in runs] == [
        ("humanoid/kneeling", goal) for goal in (None, *sentences)
    ]
    names = ["humanoid-kneeling-seed0", "a-humanoid-robot-sitting-seed0", "a-robot-kneeling-seed0"]
    assert [run.folder.name for run in runs] == names
    parts = Parts.build(config)
    own = envs.make("humanoid/kneeling")
    assert parts.reward.goals == (own.goal, *sentences)
    assert [env.bounds for env in parts.tasks] == [
        own.bounds,
        *(meaning_of(said).bounds for said in sentences),
    ]
    told = train.PolicyConfig(task="humanoid/kneeling", goal=sentences[0])
    alone = Parts.build(told).reward.weights.goal
    np.testing.assert_array_equal(parts.reward.of_run(1).weights.goal, alone)


def test_sentences_make_names_of_folders_that_can_be():
    also = [f"a robot that stands and/or sits, {number} times: très haut" * 3 for number in range(9)]
    config = train.PolicyConfig(task="humanoid/kneeling", also=tuple(also))
    names = [run.folder.name for run in config.of_runs()]
    assert (
        len(set(names)) == 10 and max(map(len, names)) < 80 and not any(set(":,/ ") & set(x) for x in names)
    )
    assert config.folder.name == "humanoid-kneeling-and-9-more-seed0"


@pytest.mark.parametrize(
    "wrong, told",
    [
        ({"also": ("a robot sitting", "a robot, sitting.")}, "sentences too much alike"),
        ({"also": ("humanoid/kneeling",)}, "names a task twice"),
        ({"also": ("humanoid/splits",), "goal": "a humanoid robot"}, "leave it out, or also"),
        ({"also": ("humanoid/splits",), "reward": "likelihood"}, "one task at a time"),
    ],
)
def test_what_cannot_share_a_program_is_refused(wrong, told):
    with pytest.raises(ValueError, match=told):
        train.PolicyConfig(task="humanoid/kneeling", **wrong).validate()


@pytest.mark.slow
@pytest.mark.parametrize("reward", ["clip", "truth"])
def test_a_task_of_several_is_the_run_of_that_task_alone(tmp_path, reward):
    """Up to the order of additions, which few steps of the body do not yet blow up."""

    def run(out, **tasks):
        return train.policy(
            train.PolicyConfig(
                **tasks, reward=reward, seed=3, steps=2 * 16 * 4, num_envs=16, unroll_length=4, minibatches=2,
                policy_hidden=(8,), value_hidden=(8,), episode_length=8, eval_episodes=2, video_episodes=0,
                out=out,
            )
        )  # fmt: skip

    both = run(tmp_path / "both", task="humanoid/kneeling", also=("humanoid/arms-raised",))
    alone = run(tmp_path / "alone", task="humanoid/arms-raised")
    second = both.runs[1]
    assert second.config.task == "humanoid/arms-raised" and second.result["goal"] == alone.result["goal"]
    assert second.result["weights"] == alone.result["weights"]
    for name in ("reward_start", "truth_return_start", "reward_end", "truth_return_end"):
        assert second.result[name] == pytest.approx(alone.result[name], rel=2e-3, abs=1e-4), name
    assert both.runs[0].result["reward_end"] != pytest.approx(second.result["reward_end"], rel=1e-2)
    told = json.loads((both.folder / "result.json").read_text())
    assert told["tasks"] == ["humanoid/kneeling", "humanoid/arms-raised"] and told["seeds"] == [3, 3]
    again = train.evaluate(second.folder)
    scale = float(np.abs(np.load(second.folder / "rollouts.npz")["reward"]).max())  # their mean is near 0
    assert again["reward"] == pytest.approx(second.result["reward_end"], abs=1e-5 * scale)
