"""Several seeds in one program: what each single run gives, a folder for each, killed and resumed."""

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import train
from train.rl import many
from train.rl.checkpoint import Checkpoints
from train.rl.folder import RunFolder
from train.rl.parts import Parts
from train.rl.program import make_program, split_runs, state_like

TIMES = ("wall_seconds", "train_seconds", "compile_seconds", "env_steps_per_second", "runs_in_program")


def small(out: Path | None = None, **changes) -> train.PolicyConfig:
    settings = dict(
        task="pendulum",
        reward="truth",
        algo="sac",
        steps=6 * 16 * 4,
        num_envs=16,
        unroll_length=4,
        updates_per_step=1 / 16,
        batch_size=16,
        learning_starts=64,
        replay_size=160,  # the ring wraps
        policy_hidden=(8,),
        value_hidden=(8,),
        eval_episodes=2,
        video_episodes=0,
        seconds_per_call=0.0,
        calls_per_checkpoint=2,
        out=out,
    )
    return train.PolicyConfig(**{**settings, **changes})


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> train.Run:
    return train.policy(small(tmp_path_factory.mktemp("runs") / "both", seed=3, seeds=2))


def final_state(run: Path):
    config = RunFolder(run).read_config()
    parts = Parts.build(config)
    program = make_program(config, parts.env, parts.learner, parts.reward)
    with Checkpoints(run / "checkpoints") as checkpoints:
        return checkpoints.restore(state_like(program))[0]


def test_each_seed_has_a_run_of_its_own_and_all_have_one_table(both):
    assert [run.config.seed for run in both.runs] == [3, 4]
    assert [run.folder.name for run in both.runs] == ["seed3", "seed4"]
    table = json.loads((both.folder / "result.json").read_text())
    assert table == json.loads(json.dumps(both.result)) and table["seeds"] == [3, 4]
    ends = [json.loads((run.folder / "result.json").read_text())["success_end"] for run in both.runs]
    assert table["success_end"] == {"mean": np.mean(ends), "values": ends}
    liked = max(both.runs, key=lambda run: run.result["reward_end"])
    assert table["best_seeds"] == {liked.config.task: liked.config.seed}
    policies = [train.load_policy(run.folder) for run in both.runs]
    actions = [policy(np.ones((2, 3), np.float32)) for policy in policies]
    assert not np.allclose(*actions)
    rows = [RunFolder(run.folder).read_metrics() for run in both.runs]
    assert [len(of_seed) for of_seed in rows] == [7, 7] and rows[0][6]["reward"] != rows[1][6]["reward"]


def test_the_best_seed_of_each_task_is_the_one_that_the_reward_likes_best():
    rows = [("a", 0, 0.1), ("b", 0, 0.9), ("a", 1, 0.3), ("b", 1, -0.2), ("a", 2, 0.2), ("c", 0, None)]
    results = [{"seed": seed, "reward_end": reward} for _, seed, reward in rows]
    assert many.best_liked([name for name, *_ in rows], results) == {"a": 1, "b": 0}


def test_judged_again_gives_the_same(both):
    figures = train.evaluate(both.runs[1].folder)
    for name, value in figures.items():
        assert value == both.runs[1].result[f"{name}_end"], name


def test_a_seed_of_many_is_the_run_of_that_seed_alone(both, tmp_path):
    """Up to the order of additions in batched products."""
    single = train.policy(small(tmp_path / "single", seed=4))
    for a, b in zip(
        *(jax.tree.leaves(final_state(run.folder)) for run in (both.runs[1], single)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    for name in set(single.result) - set(TIMES):
        if isinstance(single.result[name], float):
            np.testing.assert_allclose(
                single.result[name], both.runs[1].result[name], rtol=1e-3, err_msg=name
            )


def test_killed_between_the_checkpoints_of_two_seeds_and_resumed_ends_in_the_same_bits(
    both, tmp_path, monkeypatch
):
    class Killed(Exception):
        pass

    saves, save = [], Checkpoints.save

    def save_and_die(self, state, about):
        if len(saves) == 3:
            raise Killed
        saves.append(int(state.iteration))
        save(self, state, about)

    config = small(tmp_path / "killed", seed=3, seeds=2)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Checkpoints, "save", save_and_die)
        train.policy(config)
    assert saves == [2, 2, 4]  # the first seed is ahead
    with pytest.raises(FileExistsError, match="--resume"):
        train.policy(config)
    resumed = train.policy(dataclasses.replace(config, resume=True))
    for whole, again in zip(both.runs, resumed.runs, strict=True):
        leaves = (jax.tree.leaves(final_state(run.folder)) for run in (whole, again))
        for a, b in zip(*leaves, strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
        texts = [(run.folder / "metrics.jsonl").read_text() for run in (whole, again)]
        assert texts[0] == texts[1]


def test_ppo_of_several_seeds_is_that_of_each():
    config = small(algo="ppo", seeds=2, epochs=2, minibatches=2)
    single = dataclasses.replace(config, seeds=1)
    parts = Parts.build(config)
    keys = [jax.random.PRNGKey(seed) for seed in (0, 1)]
    program, alone = (make_program(c, parts.env, parts.learner, parts.reward) for c in (config, single))
    state, figures = program.run(program.init(jnp.stack(keys)), program.frozen, 3)
    assert figures["reward"].shape[1:] == (2,)
    for key, of_seed in zip(keys, split_runs(state, 2), strict=True):
        expected, _ = alone.run(alone.init(key), alone.frozen, 3)
        for a, b in zip(jax.tree.leaves(of_seed), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
