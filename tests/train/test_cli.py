"""What people see: help, suggestions, one line for a mistake."""

import dataclasses
import importlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import tyro

import envs
import jaxrm
from bench import study
from envs.pendulum import Pendulum
from jaxrm.weights import files
from train import cli
from train.rl import policies, recipes
from train.rl.config import PolicyConfig
from train.rl.parts import make_env

ROOT = Path(__file__).parents[2]


def output(capsys, *arguments: str) -> tuple[int, str, str]:
    try:
        code = cli.main(list(arguments))
    except SystemExit as stop:
        code = int(stop.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_help_names_the_programs(capsys):
    code, out, _ = output(capsys, "--help")
    assert code == 0 and all(name in out for name in ("policy", "eval", "clip"))
    assert output(capsys)[0] == 2


def test_help_of_policy_shows_the_defaults_of_its_task(capsys):
    code, out, _ = output(capsys, "policy", "--help")
    assert code == 0 and "--goal" in out and "--resume" in out and "TASK" in out.upper()
    _, pendulum, _ = output(capsys, "policy", "pendulum", "--help")
    assert pendulum != out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["polcy"], "did you mean 'policy'"),
        (["policy", "humanoid/kneelin"], "did you mean humanoid/kneeling"),
        (["policy", "pendulum", "--reward", "thruth"], "did you mean 'truth'"),
        (["eval", "runs/none-of-that-name"], "no run in"),
    ],
)
def test_a_mistake_is_one_line(capsys, arguments, message):
    code, _, err = output(capsys, *arguments)
    assert code == 2 and message in err and err.count("\n") == 1


@pytest.mark.parametrize("error", [ValueError("odd"), FileNotFoundError("odd"), PermissionError("odd")])
def test_a_mistake_shows_where_when_asked(capsys, monkeypatch, error):
    def fail(config):
        raise error

    monkeypatch.setattr(policies, "policy", fail)
    assert output(capsys, "policy", "pendulum")[::2] == (2, "error: odd\n")
    monkeypatch.setenv("JAXRM_TRACEBACK", "1")
    with pytest.raises(type(error), match="odd"):
        cli.main(["policy", "pendulum"])


def test_faults_of_ours_keep_their_traceback(monkeypatch):
    monkeypatch.setattr(policies, "policy", lambda config: config.none_of_that_name)
    with pytest.raises(AttributeError, match="none_of_that_name"):
        cli.main(["policy", "pendulum"])


def test_settings_not_given_come_from_the_recipe():
    assert cli.parse_policy(["pendulum"]).policy_hidden == (64, 64)
    assert cli.parse_policy(["humanoid/kneeling"]).reward_every == 4
    asked = cli.parse_policy(["humanoid/kneeling", "--reward-every", "1", "--gamma", "0.9"])
    assert asked.reward_every == 1 and asked.gamma == 0.9


def test_tasks_on_the_floor_are_judged_from_both_sides_unless_told_otherwise():
    assert cli.parse_policy(["humanoid/lotus"]).both_sides
    assert cli.parse_policy(["humanoid/splits"]).both_sides
    assert not cli.parse_policy(["humanoid/splits", "--no-both-sides"]).both_sides
    assert not cli.parse_policy(["humanoid/kneeling"]).both_sides
    assert cli.parse_policy(["humanoid/splits", "--algo", "sac"]).both_sides
    for reward in ("truth", "likelihood"):  # where the recipe's does nothing it is no mistake of the user's
        cli.parse_policy(["humanoid/splits", "--reward", reward]).validate()


def test_tasks_of_one_program_train_as_long_and_are_seen_as_well_as_each_asks_for():
    splits = cli.parse_policy(["humanoid/splits"])
    for also in (["--also", "humanoid/standing", "humanoid/splits"], ["--also=humanoid/splits"]):
        together = cli.parse_policy(["humanoid/kneeling", *also, "--seed", "1"])
        assert (together.also[-1], together.steps) == ("humanoid/splits", splits.steps)
        assert together.both_sides
    told = cli.parse_policy(["humanoid/kneeling", "--also", "humanoid/splits", "--steps", "800000"])
    assert (told.steps, told.both_sides) == (800_000, True)


def test_the_learner_has_recipes_of_its_own():
    assert cli.parse_policy(["humanoid/kneeling"]).num_envs == 256
    for given in (["--algo", "sac"], ["--algo=sac"]):
        config = cli.parse_policy(["humanoid/kneeling", *given])
        assert config.algo == "sac" and config.num_envs == 64
    config.validate()


def test_each_reward_has_eyes_of_its_own():
    """The interface that comes with us fits one of our towers only."""
    task = "humanoid/raise-and-lower-left-arm"
    for given in ([], ["--reward", "truth"]):
        assert cli.parse_policy([task, *given]).model == "scene-clip"
    for given in (["--reward", "likelihood"], ["--algo", "sac", "--reward=likelihood"]):
        config = cli.parse_policy([task, *given])
        tower, _, _ = jaxrm.load_interface(config.interface).config.tower.partition(":")
        assert config.model == tower == "scene-clip-fine"
    assert cli.parse_policy([task, "--reward", "likelihood", "--model", "scene-clip"]).model == "scene-clip"


def test_several_goals_and_negatives():
    assert cli.parse_policy(["pendulum", "--goal", "a rod"]).goal == "a rod"
    config = cli.parse_policy(["pendulum", "--goal", "a rod", "a stick", "--negatives", "a ball"])
    assert config.goals == ("a rod", "a stick") and config.negatives == ("a ball",)
    assert PolicyConfig("pendulum", goal=["a rod"]).goal == "a rod"


def test_the_settings_of_the_paper_are_understood():
    """Those that the study's page names: 100 gradient steps for every 3,200 transitions."""
    words = next(words for words in commands() if {"--resize", "vlmrm"} <= set(words))
    config = cli.parse_policy(words)
    config.validate()
    assert (config.steps_per_iteration, config.updates_per_iteration) == (3_200, 100)
    assert {name: getattr(config, name) for name in recipes.VLM_RM} == recipes.VLM_RM


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("pendulum --tau 0.1", "tau is of no use to algo 'ppo', only to 'sac'"),
        ("pendulum --updates-per-step 0.5", "only to 'sac'"),
        ("pendulum --algo sac --epochs 3", "epochs is of no use to algo 'sac', only to 'ppo'"),
        ("pendulum --algo sac --clip 0.1", "only to 'ppo'"),
        ("pendulum --reward truth --model scene-clip-fine", "only to 'clip' or 'likelihood'"),
        (
            "pendulum --reward truth --allow-unknown-words",
            "allow_unknown_words is of no use to reward 'truth'",
        ),
        ("pendulum --reward truth --both-sides", "both_sides is of no use to reward 'truth', only to 'clip'"),
        ("pendulum --resize vlmrm", "resize is of no use without frame_size"),
        (
            "pendulum --reward truth --frame-size 96",
            "frame_size is of no use to reward 'truth'",
        ),
        ("pendulum --frame-size 0", "frame_size is 0; it must be at least 1"),
        ("pendulum --reward truth --reward-every 5", "reward_every is of no use"),
        ("cartpole --reward truth --reward-between hold", "reward_between is of no use"),
        ("pendulum --reward truth --alpha 0.5", "alpha is of no use to reward 'truth', only to 'clip'"),
        ("pendulum --baseline rod", "baseline is of no use with alpha 0"),
        ("pendulum --reward-between hold", "reward_between is of no use with reward_every 1"),
        ("pendulum --lm other", "lm is of no use to reward 'clip', only to 'likelihood'"),
        ("pendulum --likelihood-form ask", "only to 'likelihood'"),
        ("pendulum --reward likelihood --interface-films 9", "no use with update_interface_every 0"),
        ("pendulum --num-envs 100", "no multiple of num_shards"),
    ],
)
def test_what_would_do_nothing_is_refused(words, message):
    config = cli.parse_policy(words.split())
    with pytest.raises(ValueError, match=message):
        config.validate()
    if "of no use" in message:  # a run that an earlier version began
        dataclasses.replace(config, resume=True).validate()


def test_what_a_study_says_of_reward_without_success():
    steps = [100, 200, 300]
    rewards = [list(zip(steps, (-0.2, 0.0, 0.3), strict=True))] * 3
    shares = [list(zip(steps, found, strict=True)) for found in ((0.1, 0.8, 0.5), (0.0, 0.0, 0.0))] + [[]]
    first, second, unknown = study.since_best({"success_over_steps": shares, "reward_over_steps": rewards})
    np.testing.assert_allclose(first, (0.3, 0.3))
    np.testing.assert_allclose(second, (np.nan, 0.5))
    assert unknown is None


def commands() -> list[list[str]]:
    """The policies of the README, of the pages beside it and of the studies, as words: whole lines, and what
    stands in the text; a word in capitals stands for others."""
    page = "\n".join(path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))))
    page = page.replace("\\\n", "")  # a command's next line
    lines = re.findall(r"^(?:pip .*&& )?python -m train policy ([^#\n]+)", page, re.MULTILINE)
    within = re.findall(r"`python -m train\s+policy ([^`]+)`", page)
    told = [shlex.split(words) for words in lines + within]
    studies = [list(words) for rows in study.STUDIES.values() for words in rows.values()]
    return [words for words in told + studies if not {"--help", "ALGO", "SEED", "N"} & set(words)]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_that_we_name_are_taken(words):
    cli.parse_policy(words).validate()


def measurements() -> list[list[str]]:
    """The programs of `bench` that the pages name with options, but for the peer's, which need torch."""
    page = "\n".join(path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))))
    told = [shlex.split(words) for words in re.findall(r"`python -m\s+bench\.([^`]+ [^`]+)`", page)]
    return [words for words in told if "..." not in words and words[0] not in ("encode", "decode")]


@pytest.mark.parametrize("words", measurements(), ids=" ".join)
def test_measurements_that_we_name_are_taken(words):
    program = importlib.import_module(f"bench.{words[0]}")
    if words[0] == "loop":
        program.parse(words[1:])
    else:
        tyro.cli(program.Config, args=words[1:])


@pytest.mark.parametrize(("cores", "shards", "devices"), [(6, 8, 4), (2, 8, 2), (4, 1, 1), (3, 2, 2)])
def test_as_many_devices_as_cores_and_shards_allow(monkeypatch, cores, shards, devices):
    for name in ("JAX_NUM_CPU_DEVICES", "XLA_FLAGS", "NPROC"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name, "")  # restored afterwards, whatever is set meanwhile
        monkeypatch.delenv(name)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)), raising=False)
    seen = {}
    monkeypatch.setattr(cli.jax.config, "update", seen.__setitem__)
    cli.use_all_cores(shards)
    assert seen == {"jax_num_cpu_devices": devices}


FACTORS = """
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec as P

def factor(m):
    return jax.scipy.linalg.cho_factor(m)[0]

def steps(m):
    def step(_, c):
        one, other = jax.vmap(factor)(m + 1e-3 * c[0]), jax.vmap(factor)(2 * m + 1e-3 * c[1])
        everywhere = jax.lax.psum(one.sum(), "data") / len(jax.devices())
        return jnp.tanh(one + 1e-9 * everywhere), jnp.tanh(other)
    one, other = jax.lax.fori_loop(0, 2000, step, (m, m))
    return one + other

m = np.random.default_rng(0).normal(size=(256, 23, 46)).astype(np.float32)
mesh = Mesh(np.array(jax.devices()), ("data",))
run = jax.jit(jax.shard_map(steps, mesh=mesh, in_specs=P("data"), out_specs=P("data"), check_vma=False))
print(np.isfinite(run(m @ m.transpose(0, 2, 1))).all())
"""


def test_devices_that_factor_matrices_leave_each_other_a_thread(on_devices):
    """With one thread fewer they stood still within seconds."""
    threads = cli.threads_of(2, foreign=True)
    assert on_devices(FACTORS, devices=2, NPROC=str(threads)).strip() == "True"


def test_one_sentence_is_one_sentence():
    config = PolicyConfig("cartpole", alpha=0.5, negatives="a pole hanging down", also="cartpole/swing-up")
    assert config.negatives == ("a pole hanging down",) and config.also == ("cartpole/swing-up",)


def test_the_task_comes_first(capsys):
    code, _, err = output(capsys, "policy", "--reward", "truth", "pendulum")
    assert code == 2 and "name the task first" in err


def test_gamma_below_one():
    with pytest.raises(ValueError, match="gamma is 1"):
        PolicyConfig("pendulum", reward="truth", gamma=1.0).validate()


def test_the_skin_is_the_tasks_choice():
    with pytest.raises(ValueError, match="scene-clip never saw the skin 'plain'"):
        PolicyConfig("humanoid/kneeling", skin="plain").validate()
    plain = PolicyConfig("humanoid/kneeling", reward="truth", skin="plain")
    plain.validate()
    own = make_env(PolicyConfig("humanoid/kneeling")).mj_model
    assert make_env(plain).mj_model.ngeom != own.ngeom  # the robot wears marks
    ours = str(files.find("scene-clip") / ".." / "scene-clip")
    with pytest.raises(ValueError, match="never saw the skin 'plain'"):
        PolicyConfig("humanoid/kneeling", skin="plain", model=ours).validate()
    with pytest.raises(ValueError, match="'pendulum' has no choice of skin"):
        make_env(PolicyConfig("pendulum", skin="plain"))


@pytest.mark.parametrize(
    ("settings", "notes"),
    [
        (
            {"goal": "a humanoid robot standing on its head"},
            ["success is still", "scene-clip takes"],
        ),
        ({"goal": "a humanoid robot not kneeling"}, ["success is still"]),
        ({"goal": "a humanoid robot kneeling"}, []),
        ({"reward": "likelihood"}, ["instruct-lm was taught"]),
        ({"reward": "likelihood", "goal": "kneels down"}, ["success is still"]),
    ],
)
def test_a_sentence_that_our_models_never_heard_is_told(settings, notes):
    env = envs.make("humanoid/kneeling")
    found = list(policies._notes(PolicyConfig("humanoid/kneeling", **settings), env))
    assert len(found) == len(notes) and all(map(str.startswith, found, notes)), found


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"mjcf": "robot.xml"}, True),
        ({"task": "my.tasks:walk"}, True),
        ({"task": "my.tasks:walk", "reward": "truth"}, False),
        ({"task": "my.tasks:walk", "model": "organisation/clip"}, False),
        ({"task": "pendulum"}, False),
    ],
)
def test_a_body_that_our_clip_never_saw_is_told(settings, told):
    notes = policies._notes(PolicyConfig(**settings), Pendulum())
    assert [note.partition(",")[0] for note in notes] == ["scene-clip never saw this body"] * told
