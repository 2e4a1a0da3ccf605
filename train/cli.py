"""The command line: a program's name, then what tyro makes of its config."""

import contextlib
import dataclasses
import importlib
import os
import re
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any

import jax
import tyro

from jaxrm import programs
from train.rl import policies
from train.rl.config import PolicyConfig

_WAITING = 2  # threads of a device that may wait at once: a step of MJX has two factorisations side by side
_DEVICES = "xla_force_host_platform_device_count"
_LOOPS = "xla_cpu_multi_thread_eigen"
_CHOOSE = ("algo", "reward")

_USAGE = """\
usage: python -m train PROGRAM ...

programs:
  policy TASK   train a policy on a task        python -m train policy humanoid/kneeling
                or on a body of your own        python -m train policy --mjcf robot.xml --goal "a robot arm"
  eval RUN      judge a trained policy again    python -m train eval runs/humanoid-kneeling-seed0
  clip          train the small CLIP            python -m train clip
  judge DIR     renew the card of a small CLIP  python -m train judge checkpoints/scene-clip
                or judge it on policies' states python -m train judge --runs runs/humanoid-kneeling-seed0
  words         teach its text tower wordings   python -m train words
  lm            train the small decoder         python -m train lm
  interface     train frames into its words     python -m train interface --protocol contrastive
  suite DIR     what such interfaces reached    python -m train suite checkpoints/fomo-interface

`python -m train PROGRAM --help` tells more; after `policy TASK` it shows the defaults of task and --algo.
A mistake is told in one line; with JAXRM_TRACEBACK=1 it shows where."""


@dataclasses.dataclass(frozen=True)
class EvalConfig:
    """Judge the newest policy of a run again, from its task's own start."""

    run: tyro.conf.Positional[Path]
    """The run's folder."""


def main(arguments: list[str]) -> int:
    """Runs a program; see `jaxrm.programs.run`."""
    use_compilation_cache()
    return programs.run(_PROGRAMS, _USAGE, arguments)


def use_compilation_cache() -> None:
    """Keeps compiled programs where `JAX_COMPILATION_CACHE_DIR` says, and nowhere else."""
    if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)


def use_all_cores(shards: int = PolicyConfig.num_shards, *, foreign: bool = True) -> None:
    """Shows jax the cores of this machine as devices: XLA runs most of MJX on one core a device.

    Must come before jax looks for devices; without effect where an accelerator is used. A user's own
    settings (`JAX_NUM_CPU_DEVICES`, `NPROC`, XLA's flags) stand.

    Args:
      shards: what is spread over them in equal parts.
      foreign: see `threads_of`.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    given = os.environ.get("JAX_NUM_CPU_DEVICES") or _flag(_DEVICES, flags)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if given is None:
        given = max(n for n in range(1, cores + 1) if shards % n == 0)
        with contextlib.suppress(RuntimeError):  # jax already computes: its devices stay as they are
            jax.config.update("jax_num_cpu_devices", given)
    os.environ.setdefault("NPROC", str(max(cores, threads_of(int(given), foreign=foreign))))
    if int(given) > 1 and _flag(_LOOPS, flags) is None:
        # loops cut into parts for cores that other devices are using: a fifth slower
        os.environ["XLA_FLAGS"] = f"{flags} --{_LOOPS}=false".strip()


def threads_of(devices: int, *, foreign: bool) -> int:
    """The fewest threads of XLA with which so many CPU devices never stand still; each one more costs time.

    All devices share one pool, and one that waits for others in a sum keeps its thread.

    Args:
      foreign: whether environments are not ours. A thread that factors many matrices hands them to others of
        the pool and waits: where all wait, they do so forever. Ours factor few at once (`envs.physics`).
    """
    return _WAITING * devices + 1 if foreign else devices


def _flag(name: str, flags: str) -> str | None:
    """What XLA's flags say of one; None: nothing."""
    found = re.findall(rf"--{name}=(\S+)", flags)
    return found[-1] if found else None


def parse_policy(arguments: list[str]) -> PolicyConfig:
    """A config from the command line, what is not given being the task's own default.

    Raises:
      ValueError: the first argument is no task, whose recipe gives the other defaults, nor --mjcf.
    """
    task = arguments[0] if arguments and not arguments[0].startswith("-") else None
    mjcf = _option(arguments, "--mjcf", "")
    # other defaults depend on these
    chosen: Any = {name: _option(arguments, f"--{name}", getattr(PolicyConfig, name)) for name in _CHOOSE}
    fields: Any = PolicyConfig
    if task is None and mjcf:
        chosen["mjcf"] = Path(mjcf)
    elif task is None:
        if not {"-h", "--help"} & set(arguments):
            raise ValueError("name the task first: python -m train policy humanoid/kneeling --seed 1")
        task, fields = "humanoid/kneeling", Annotated[PolicyConfig, tyro.conf.arg(name="")]
    default = PolicyConfig(task=task or "", also=_values(arguments, "--also"), **chosen)
    return _parse(fields, "policy", arguments, default)


def _option(arguments: list[str], name: str, default: str) -> str:
    """The value of an option before anything is parsed."""
    for here, following in zip(arguments, [*arguments[1:], default], strict=True):
        if here == name:
            return following
        if here.startswith(f"{name}="):
            return here.partition("=")[2]
    return default


def _values(arguments: list[str], name: str) -> tuple[str, ...]:
    """Those of an option that takes several, before anything is parsed."""
    found: tuple[str, ...] = ()
    for place, word in enumerate(arguments):
        option, equals, value = word.partition("=")
        if option == name:
            following = takewhile(lambda word: not word.startswith("-"), arguments[place + 1 :])
            found = (value,) if equals else tuple(following)
    return found


def _parse(kind: Any, program: str, arguments: list[str], default: Any = None) -> Any:
    extra = {} if default is None else {"default": default}
    return tyro.cli(kind, prog=f"python -m train {program}", args=arguments, **extra)


def _policy(arguments: list[str]) -> None:
    config = parse_policy(arguments)
    use_all_cores(config.num_shards, foreign=any(":" in single.task for single in config.of_tasks()))
    policies.policy(config)


def _eval(arguments: list[str]) -> None:
    config = _parse(EvalConfig, "eval", arguments)
    use_all_cores()
    for name, value in policies.evaluate(config.run).items():
        print(f"{name:16} {'not defined' if value is None else f'{value:.4f}'}")


def _late(
    name: str, module: str, config: str, run: str = "main", *, sharded: bool = False
) -> Callable[[list[str]], None]:
    """A program of a module that is read when it is asked for: matplotlib is slow to import."""

    def program(arguments: list[str]) -> None:
        found: Any = importlib.import_module(module)
        parsed = _parse(getattr(found, config), name, arguments)
        if sharded:
            use_all_cores(foreign=False)
        getattr(found, run)(parsed)

    return program


_PROGRAMS: dict[str, Callable[[list[str]], None]] = {
    "policy": _policy,
    "eval": _eval,
    "clip": _late("clip", "train.clip.main", "ClipConfig", sharded=True),
    "judge": _late("judge", "train.clip.main", "JudgeConfig", "judge_again"),
    "words": _late("words", "train.clip.words", "WordsConfig"),
    "lm": _late("lm", "train.lm.main", "LmConfig"),
    "interface": _late("interface", "train.interface.main", "TrainingConfig", sharded=True),
    "suite": _late("suite", "train.interface.compare", "SuiteConfig", "suite"),
}
