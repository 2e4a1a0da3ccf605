"""Programs around a policy: train it, load it, judge it again."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float
from rich.console import Console

import envs
import jaxrm
from envs.humanoid.env import Humanoid
from envs.types import Env, has_truth
from train.mesh import make_mesh
from train.rl import evaluation, many
from train.rl.checkpoint import Checkpoints
from train.rl.config import OUR_DECODER, PolicyConfig
from train.rl.folder import RunFolder
from train.rl.likelihood_update import numbers_of
from train.rl.networks import init_statistics
from train.rl.parts import Parts, build_actor, make_env
from train.rl.program import make_program
from train.rl.reading import read
from train.rl.session import Seat, Session, versions
from train.rl.status import announce
from train.rl.success import none_seen

__all__ = ["Run", "evaluate", "load_policy", "make_env", "policy", "versions"]


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run: where it lies, what was asked and what came out (`result.json`).

    With several tasks or seeds, `runs` are the single ones, and `result` is of all (see `train/rl/many.py`).
    """

    folder: Path
    config: PolicyConfig
    result: dict[str, Any]
    runs: tuple["Run", ...] = ()


def policy(config: PolicyConfig) -> Run:
    """Trains a policy, or one for each task and seed, and leaves everything in the run's folder.

    Raises:
      ValueError: a setting is unknown or does not fit; on `resume`, the config is another one, or weights of
        the reward or the body changed since.
      FileExistsError: the folder exists and `resume` is not set.
      FileNotFoundError: `resume` is set and there is no run.
    """
    began = time.monotonic()
    config.validate()
    many.check(config)
    parts = Parts.build(config)
    program = make_program(config, parts.env, parts.learner, parts.reward, tasks=parts.tasks)
    console = Console()
    singles = config.of_runs()
    with many.folders_of(config) as folders, contextlib.ExitStack() as stack:
        _introduce(console, parts)
        seats = [
            Seat(
                single,
                folder,
                stack.enter_context(Checkpoints(folder.checkpoints, writes=True)),
                number,
                parts.env_of(number),
            )
            for number, (single, folder) in enumerate(zip(singles, folders, strict=True))
        ]
        results = Session(parts, program, seats, console, began).train()
    runs = tuple(
        Run(folder.path, single, result)
        for folder, single, result in zip(folders, singles, results, strict=True)
    )
    if config.runs == 1:
        return runs[0]
    return Run(config.folder, config, many.report(config, results, console), runs)


def _introduce(console: Console, parts: Parts) -> None:
    config, goals = parts.config, parts.reward.goals
    told = " and ".join(f'"{goal}"' for goal in goals)
    if config.reward == "truth":
        told = f"the ground truth of {told}" if told else "the ground truth"
    if config.negatives:
        told += ", not " + " nor ".join(f'"{sentence}"' for sentence in config.negatives)
    several = f", {config.seeds} seeds" if config.seeds > 1 else ""
    announce(console, f"{', '.join(config.tasks)}: {told}{several} -> {config.folder}")
    each = zip(config.of_tasks(), parts.tasks, strict=True)
    for note in dict.fromkeys(note for alone, env in each for note in _notes(alone, env)):
        console.print(f"  note       {note}", highlight=False)


def _notes(config: PolicyConfig, env: Env) -> Iterator[str]:
    """What people may not expect."""
    if not has_truth(env):
        yield "success is not known for a body without a task"
    elif config.goals and env.goal not in config.goals:
        yield f"success is still that of {env.goal!r}"
    if config.reward != "truth" and config.task not in envs.names() and config.sees_with_ours:
        yield f"{config.model} never saw this body, only scenes that come with us: name another with --model"
    if config.reward == "clip" and config.sees_with_ours and isinstance(env, Humanoid):
        clip = jaxrm.load_clip(str(config.model))
        for goal in config.goals:
            heard = read(clip, goal)
            if not heard.as_said:
                yield (
                    f"{config.model} takes {goal!r} for {heard.sentence!r} (cosine {heard.cosine:.2f}): say "
                    "that, or what you want in other words, to be sure of it"
                )
    if config.reward == "likelihood" and config.lm == OUR_DECODER:
        for goal in config.goals or (env.goal,):
            if not numbers_of(goal):
                yield f"{OUR_DECODER} was taught to tell motions, as 'kneels down', and not {goal!r}"


def evaluate(run: str | Path) -> dict[str, float | None]:
    """Judges the newest policy of a run again and writes `rollouts.npz` and `eval.json` anew.

    Raises:
      FileNotFoundError: there is no run, or it has no checkpoint yet.
      ValueError: its `config.yaml` is broken, or weights of the reward or the body changed since.
    """
    folder = RunFolder(Path(run))
    config = folder.read_config()
    about, policy, stats = _load_actor(folder, config)
    parts = Parts.build(config)
    parts.check_origin(about, parts.origin_of(0), f"cannot judge {str(folder.path)!r} again")
    like = (parts.reward.state, none_seen(jnp.dtype(about["dtype"])))
    with Checkpoints(folder.checkpoints) as checkpoints:
        reward_state, success = checkpoints.restore_reward(_here(like))
    mesh = make_mesh()
    # restored to one device; episodes are spread over all
    judged = jax.device_put((policy, stats, reward_state), NamedSharding(mesh, PartitionSpec()))
    rollouts = parts.compile_evaluate(judged, mesh)(judged, config.seed, 0)
    known = has_truth(parts.env)
    evaluation.save(rollouts, folder.rollouts, has_truth=known)
    figures = evaluation.summary(
        rollouts, float(success.threshold), stride=parts.reward.stride, has_truth=known
    )
    folder.write_result(figures, "eval.json")
    return figures


def load_policy(run: str | Path) -> Callable[..., Float[Array, "*batch action"]]:
    """The newest policy of a run, as `policy(obs [*batch, observation], key) -> action [*batch, action]`.

    Without a key, or with None, the action is the mode of the policy's distribution.

    Raises:
      FileNotFoundError: there is no run, or it has no checkpoint yet.
    """
    folder = RunFolder(Path(run))
    config = folder.read_config()
    about, params, stats = _load_actor(folder, config)
    act = jax.jit(build_actor(config, about["observation_size"], about["action_size"]).act)

    def policy(obs: Float[Array, "*batch obs"], key: Array | None = None) -> Float[Array, "*batch action"]:
        return act(params, stats, obs, key)

    return policy


def _load_actor(folder: RunFolder, config: PolicyConfig) -> tuple[dict[str, Any], Any, Any]:
    """What the checkpoint says about itself, the policy's parameters and its observation statistics."""
    if not folder.checkpoints.is_dir():
        raise FileNotFoundError(f"no checkpoint in {str(folder.path)!r}")
    with Checkpoints(folder.checkpoints) as checkpoints:
        about = checkpoints.about()
        actor = build_actor(config, about["observation_size"], about["action_size"])
        obs = jax.ShapeDtypeStruct((about["observation_size"],), jnp.dtype(about["dtype"]))
        like = jax.eval_shape(lambda key: (actor.init(key), init_statistics(obs)), jax.random.PRNGKey(0))
        params, stats = checkpoints.restore_policy(_here(like))
    return about, params, stats


def _here(like: Any) -> Any:
    """Shapes, to lie on the first device."""
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), like)
