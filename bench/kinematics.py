"""Forward kinematics of the humanoid against `mjx.kinematics`: poses a second, slopes a second, compilation.

    python -m bench.kinematics --out bench/results/kinematics-2-core-cpu.json

Each call handles `poses` random poses and gives the frames of all bodies and geoms; `slope` is the gradient
of their sum of squares. Rates are those of the best call, by wall time and by processor time, which a busy
machine disturbs less; compilation is one, without a cache.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import tyro
from jaxtyping import Array
from mujoco import mjx
from rich.console import Console
from rich.table import Table

from bench.timing import rate
from envs.humanoid import body
from envs.kinematics import Kinematics


@dataclass(frozen=True)
class Config:
    """Compare forward kinematics."""

    poses: int = 4096
    seconds: float = 5.0
    """Of each measurement."""
    out: Path | None = None


def main(config: Config) -> None:
    jax.config.update("jax_enable_compilation_cache", False)
    m = body.make_spec().compile()
    qpos = jax.random.normal(jax.random.key(0), (config.poses, m.nq))
    model, data = mjx.put_model(m), mjx.make_data(m)

    def theirs(qpos: Array) -> Any:
        placed = mjx.kinematics(model, data.replace(qpos=qpos))
        return placed.xpos, placed.xmat, placed.geom_xpos, placed.geom_xmat

    figures = {
        name: measure(config, frames, qpos) for name, frames in (("ours", Kinematics(m)), ("mjx", theirs))
    }
    device = f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    show(figures)
    if config.out is not None:
        config.out.write_text(
            json.dumps({"poses": config.poses, "device": device, **figures}, indent=1) + "\n"
        )


def measure(config: Config, frames: Callable[[Array], Any], qpos: Array) -> dict[str, float]:
    """Figures of one way; operations are lines of the lowered program's text."""

    def squares(qpos: Array) -> Array:
        return sum((part**2).sum() for part in frames(qpos))

    found: dict[str, float] = {}
    for name, of_one in (("frames", frames), ("slope", jax.grad(squares))):
        began = time.perf_counter()
        lowered = jax.jit(jax.vmap(of_one)).lower(qpos)
        call = lowered.compile()
        found[f"{name}_compile_seconds"] = round(time.perf_counter() - began, 2)
        found[f"{name}_operations"] = lowered.as_text().count("\n")
        wall, cpu = rate(lambda call=call: call(qpos), config.poses, config.seconds)
        found |= {f"{name}_per_second": round(wall), f"{name}_per_cpu_second": round(cpu)}
    return found


def show(figures: dict[str, dict[str, float]]) -> None:
    table = Table("", "ours", "mjx", "ours / mjx")
    for name, ours in figures["ours"].items():
        theirs = figures["mjx"][name]
        table.add_row(name, f"{ours:,}", f"{theirs:,}", f"{ours / theirs:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main(tyro.cli(Config, prog="python -m bench.kinematics"))
