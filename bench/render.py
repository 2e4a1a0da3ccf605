"""Frames per second of the ray caster, of MuJoCo's own renderer and of MJX-Warp's, in one run.

    python -m bench.render --seconds 2 --out bench/results/render-2-core-cpu.json

Scene: brax's humanoid (17 capsules and spheres, a checkered plane, headlight, one directional light)
at random poses. Features are equal on all sides: shadows, reflections and multisampling off, then
shadows on, the rest still off. The ray caster draws batches on all devices, as in training (on a CPU
every core is one), MJX-Warp batches on one device, each of the size that is fastest for it; MuJoCo draws
one frame after the other, handed over as arrays.

Then what the cost depends on (pixels, geoms) and where it goes (see `bench.render_cost`).

Share of the arithmetic limit: the operations of testing every ray against every geom (and every
point that is hit, if shadows are on), over those that a matrix product of the same precision reaches
in this run. A floating point operation is an addition, product, comparison, selection, division or
square root. Shading is not counted, so this is useful intersection work alone; where culling skips
tests the share says what brute force would have needed.
"""

import dataclasses
import json
import os
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import tyro

from bench import render_cost
from bench.cameras import CameraPair, pair
from bench.peers import Peer
from bench.scenes import humanoid, random_pose
from bench.timing import Rate, matmul_flops, rate
from jaxrm.render import Scene, View, render, warp
from jaxrm.render.source import Source
from train import cli

SIZES = (64, 128, 224)
EYE = (3.5, 120, -15, (0, 0, 1))
POSES = 64
PLANE_FLOPS, CAPSULE_FLOPS, SHADOW_FLOPS = 30, 44, 20  # per ray and geom; the humanoid has no others
CLOCKS = ("wall", "cpu")
BATCH_FACTORS = (0.5, 1, 2, 4)  # of a call's usual size: the fastest is taken


@dataclasses.dataclass(frozen=True)
class Stage:
    """The humanoid at many poses, for all renderers."""

    model: mujoco.MjModel
    scene: Scene
    poses: list[mujoco.MjData]
    views: View  # of all poses, [POSES, ...]
    camera: CameraPair

    @classmethod
    def build(cls) -> "Stage":
        model, rng = humanoid(), np.random.default_rng(0)
        camera, scene = pair(model, EYE), Scene.from_mujoco(model)
        poses = [random_pose(model, rng) for _ in range(POSES)]
        return cls(model, scene, poses, render_cost.stacked_views(scene, poses, camera[0]), camera)


def main(
    seconds: float = 2.0, sizes: tuple[int, ...] = SIZES, cost: bool = True, out: Path | None = None
) -> None:
    """Measures and prints; every figure is the best of repeated calls.

    Args:
      seconds: per measurement.
      sizes: of square frames, pixels.
      cost: also how cost grows with pixels and geoms, and where it goes.
      out: a JSON file for the results.
    """
    cli.use_all_cores(foreign=False)
    stage, limit, device = Stage.build(), matmul_flops(seconds), jax.devices()[0]
    result: dict[str, Any] = {
        "device": f"{device.platform} {device.device_kind}",
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "versions": _versions(),
        "warp_missing": warp.why_not(),
        "matmul_gflops": round(limit.wall / 1e9, 1),
        "matmul_gflops_per_cpu_second": round(limit.cpu / 1e9, 1),
        "rows": [],
    }
    for size in sizes:
        for shadows in (False, True):
            result["rows"].append(_measure(stage, size, shadows, limit, seconds))
    _print_table(result)
    if cost:
        result["cost"] = render_cost.measure(seconds)
    if out:
        out.write_text(json.dumps(result, indent=1) + "\n")


def _measure(stage: Stage, size: int, shadows: bool, limit: Rate, seconds: float) -> dict[str, Any]:
    ours = _best(_on_all_devices, lambda v: render(stage.scene, v, size, size, shadows), stage, size, seconds)
    theirs = _mujoco(stage, size, shadows, seconds)
    row = {"size": size, "shadows": shadows, "ours": ours, "mujoco": theirs}
    if warp.why_not() is None:
        source = Source(stage.model)
        row["warp"] = _best(
            _on_one, lambda v: warp.draw(source, v, size, size, shadows), stage, size, seconds
        )
    for peer in ("mujoco", "warp"):
        if row.get(peer):
            row[f"times_{peer}"] = {clock: ours[clock] / row[peer][clock] for clock in CLOCKS}
    flops = _intersection_flops(stage.model, size * size, shadows)
    row["share_of_limit"] = {clock: ours[clock] * flops / getattr(limit, clock) for clock in CLOCKS}
    return row


Draw = Callable[[View], jax.Array]


def _on_all_devices(draw: Draw) -> tuple[Draw, jax.sharding.Sharding]:
    """A program for batches, and where its argument lies."""
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("data",))
    split = jax.sharding.PartitionSpec("data")
    one = jax.shard_map(jax.vmap(draw), mesh=mesh, in_specs=split, out_specs=split, check_vma=False)
    return jax.jit(one), jax.sharding.NamedSharding(mesh, split)


def _on_one(draw: Draw) -> tuple[Draw, jax.sharding.Sharding]:
    return jax.jit(jax.vmap(draw)), jax.sharding.SingleDeviceSharding(jax.devices()[0])


def _best(
    spread: Callable[[Draw], tuple[Draw, jax.sharding.Sharding]],
    draw: Draw,
    stage: Stage,
    size: int,
    seconds: float,
) -> dict[str, float]:
    """Rates of drawing in the batch that is fastest by the clock."""
    found: dict[str, float] = {}
    for batch in sorted({render_cost.frames_per_call(size, factor) for factor in BATCH_FACTORS}):
        batch = -(-batch // len(jax.devices())) * len(jax.devices())
        views = jax.tree.map(lambda a, n=batch: jnp.resize(a, (n, *a.shape[1:])), stage.views)
        compiled, place = spread(draw)
        views, start = jax.device_put(views, place), time.perf_counter()
        compiled(views).block_until_ready()
        first = time.perf_counter() - start
        one = rate(lambda c=compiled, v=views: c(v), batch, seconds / 2)
        if not found or one.wall > found["wall"]:
            found = {**one._asdict(), "batch": batch, "first_call_seconds": first}
    return found


def _mujoco(stage: Stage, size: int, shadows: bool, seconds: float) -> dict[str, float] | None:
    try:
        peer = Peer(stage.model, size, size)
    except RuntimeError as error:
        print(error)
        return None

    def draw_some() -> None:
        for pose in stage.poses[:4]:
            peer.rgb(pose, stage.camera[1], shadows)

    found = rate(draw_some, 4, seconds)
    peer.close()
    return found._asdict()


def _intersection_flops(m: mujoco.MjModel, pixels: int, shadows: bool) -> int:
    planes = int(np.sum(m.geom_type == mujoco.mjtGeom.mjGEOM_PLANE))
    return pixels * ((m.ngeom - planes) * (CAPSULE_FLOPS + SHADOW_FLOPS * shadows) + planes * PLANE_FLOPS)


def _versions() -> dict[str, str]:
    found = {}
    for package in ("jax", "mujoco", "mujoco-mjx", "warp-lang"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def _print_table(result: dict[str, Any]) -> None:
    print(f"{result['device']}, {result['cores']} cores, load {result['load']:.1f}, ", end="")
    print(f"{result['matmul_gflops']} GFLOP/s in a float32 matrix product")
    header = f"{'ours':>8} {'MuJoCo':>8} {'Warp':>8} {'x MuJoCo':>9} {'x Warp':>7} {'share':>6}"
    print(f"{'':22}{'frames/s':^52}  {'frames per second of processor time':^52}")
    print(f"{'size':>5} {'shadows':>8} {'batch':>6} {header}  {header}")
    for row in result["rows"]:
        print(f"{row['size']:>5} {'on' if row['shadows'] else 'off':>8} {row['ours']['batch']:>6}", end="")
        for clock in CLOCKS:
            names = ("ours", "mujoco", "warp", "times_mujoco", "times_warp", "share_of_limit")
            a, b, c, x, y, share = ((row.get(name) or {}).get(clock, float("nan")) for name in names)
            print(f" {a:>8.0f} {b:>8.1f} {c:>8.1f} {x:>9.1f} {y:>7.1f} {share:>6.3f} ", end="")
        print()
    if result["warp_missing"]:
        print(f"MJX-Warp: {result['warp_missing']}")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
