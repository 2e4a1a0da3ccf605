"""Trajectories a second, from the making to the training, for the interface of a likelihood reward.

    python -m bench.interface --out bench/results/interface.json

Each part is a compiled program of its own, timed after one call to warm up; the best call counts. Beside
trajectories a second of wall time stand those of processor time, which a busy machine disturbs less.
`everything` makes, draws and embeds in one program, half under physics, as training does. Training is an
epoch of each protocol over those that did what they should, with the program's own settings. Then what the
likelihood costs in the training loop, a step of all worlds, beside CLIP, and the memory of the one program:
`bench.rewards`, in a process of its own.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import tyro
from rich.console import Console
from rich.table import Table

import jaxrm
from bench.timing import rate
from envs.humanoid import tasks
from envs.humanoid.motion_truth import signs, truth
from envs.humanoid.motions import HARNESS, Motions
from train.films import films, trajectories
from train.films.spoil import spoil
from train.interface import main as interface
from train.interface.config import TrainingConfig
from train.interface.losses import PROTOCOLS, Protocol, Words

HOURS = 3600.0
WANTED = 270_000  # trajectories, as many as FoMo's


def parts(motions: Motions, model: str, count: int) -> dict[str, tuple[Callable[[], Any], int]]:
    """Compiled calls and how many trajectories each handles."""
    env, clip = motions.env, jaxrm.load_clip(model)
    images = clip.processor.images
    keys = jax.random.split(jax.random.key(0), count)
    which = trajectories.draw_instructions(jax.random.key(1), count)

    @jax.jit
    def kinematic(keys, which):
        plans = jax.vmap(motions.plan)(keys, which)
        return jax.vmap(motions.path)(plans), jax.vmap(motions.mask)(plans)

    qpos, mask = kinematic(keys, which)
    roll = jax.jit(jax.vmap(partial(motions.roll, harness=jnp.full(2, HARNESS[-1]))))
    judge = jax.jit(jax.vmap(lambda qpos, mask: truth(signs(env, qpos), mask)))
    film = jax.jit(
        lambda keys, qpos: jax.lax.map(
            lambda args: films.draw(env, *args, images.size), (keys, qpos), batch_size=16
        )
    )
    embed = jax.jit(lambda model, key, qpos: films.embed(env, model, images, key, qpos))

    @jax.jit
    def everything(model, key):
        batch = trajectories.make(motions, key, count)
        return batch, films.embed(env, model, images, key, batch.qpos)

    data = films.Dataset(*everything(clip.model, keys[0]))
    spoiling = jax.jit(spoil)
    trained = {f"training, {protocol}": training(protocol, data) for protocol in PROTOCOLS}
    return {
        "kinematic paths": (lambda: kinematic(keys, which), count),
        "physics": (lambda: roll(keys, qpos), count),
        "oracle, all instructions": (lambda: judge(qpos, mask), count),
        "drawing": (lambda: film(keys, qpos), count),
        "drawing and embedding": (lambda: embed(clip.model, keys[0], qpos), count),
        "everything": (lambda: everything(clip.model, keys[0]), count),
        "perturbations of the embedded": (lambda: spoiling(keys[0], data), count),
        **trained,
    }


def training(protocol: Protocol, data: films.Dataset) -> tuple[Callable[[], Any], int]:
    """A compiled epoch, and how many trajectories it learns from. Films of bodies that fail, which cost the
    same, are drawn from all."""
    config = TrainingConfig(protocol)
    lm, done = jaxrm.load_decoder(config.lm), data.done_only()
    new = interface.new_interface(config, lm, data, jax.random.key(2))
    said = Words.of(lm, protocol, config.wordings)
    count = len(done.embeddings) // config.batch * config.batch
    state = interface.start(config, new, count)
    learn = jax.jit(partial(interface.epoch, config))
    return lambda: learn(state, said, done, data, jax.random.key(3)), count


def main(
    model: str = "scene-clip-fine",
    count: int = 64,
    frames: int = 28,
    interval: int = 10,
    seconds: float = 1.0,
    rewards: bool = True,
    out: Path | None = None,
) -> None:
    """Measures.

    Args:
      model: the CLIP whose tower looks.
      count: trajectories a call.
      frames: of a trajectory, at most.
      interval: control steps between frames.
      seconds: for each part, at least one call.
      rewards: also what they cost in the loop, five more compiled programs.
      out: a JSON file for the figures.
    """
    motions = Motions(tasks.factory("standing")(), frames, interval)
    table = Table("part", "trajectories/s", "per second of processor time", f"hours for {WANTED:,}")
    rows = []
    for name, (call, things) in parts(motions, model, count).items():
        found = rate(call, things, seconds)
        hours = WANTED / found.wall / HOURS
        rows.append({"part": name, "wall": found.wall, "cpu": found.cpu, "hours": hours})
        table.add_row(name, f"{found.wall:,.1f}", f"{found.cpu:,.1f}", f"{hours:,.2f}")
    Console().print(table)
    device = jax.devices()[0]
    result = {
        "device": f"{device.platform}: {device.device_kind}, {os.cpu_count()} cores",
        "machine": platform.processor() or platform.machine(),
        "jax": jax.__version__,
        "model": model,
        "count": count,
        "frames": frames,
        "interval": interval,
        "rows": rows,
    }
    _write(result, out)  # before what may fail
    if rewards:
        _write(result | {"rewards": costs_of_rewards()}, out)


def _write(result: dict[str, Any], out: Path | None) -> None:
    if out:
        out.write_text(json.dumps(result, indent=2) + "\n")


def costs_of_rewards() -> dict[str, Any]:
    """What `bench.rewards` measures; it prints its table."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rewards.json"
        subprocess.run([sys.executable, "-m", "bench.rewards", "--out", str(file)], check=True)
        return json.loads(file.read_text())


if __name__ == "__main__":
    tyro.cli(main)
