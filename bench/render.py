"""Frames per second of the ray caster, beside MuJoCo's own renderer, in one run.

    python -m bench.render [--out results.json] [--seconds 2]

Scene: brax's humanoid (17 capsules and spheres, a checkered plane, headlight, one directional
light) at random poses. Ours draws batches by `jit(vmap(render))`; MuJoCo draws one after the
other, once with its effects off (no shadows, multisampling or reflections: the fair peer of a
caster without them) and once with its defaults.

Share of the arithmetic limit: a ray against a capsule costs 44 floating point operations (12 for
two dot products, 9 for the cylinder's quadratic, 7 for the height, 10 for the sphere's quadratic,
6 comparisons and selections; a square root or division counts as one), against a plane 30; a
shadow test of a point against a capsule costs 20. Shading is left out, so the share is that of
useful intersection work alone: share = frames/s x pixels x operations / (operations/s that a
matrix product of the same precision reaches in this run).
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from bench.cameras import pair
from bench.peers import Peer
from bench.scenes import humanoid, random_pose
from jaxrm.render import Scene, View, render

CAPSULE_FLOPS, PLANE_FLOPS, SHADOW_FLOPS = 44, 30, 20
BATCH = {64: 64, 128: 32, 224: 16}  # frames per call: enough for two cores, small enough for their cache


def rate(call: Callable[[], Any], frames: int, seconds: float) -> tuple[float, float]:
    """Best frames per second of repeated calls, by the clock and by this process's processor time.

    The latter, all threads together, hardly changes when other programs keep the machine busy.
    """
    call()
    best, best_cpu, end = float("inf"), float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start, start_cpu = time.perf_counter(), time.process_time()
        call()
        best, best_cpu = (
            min(best, time.perf_counter() - start),
            min(best_cpu, time.process_time() - start_cpu),
        )
    return frames / best, frames / best_cpu


def matmul_flops(seconds: float) -> float:
    """Operations per second of a float32 matrix product on this device."""
    a = jnp.ones((2048, 2048))
    product = jax.jit(lambda x: jnp.dot(x, x, precision="highest"))
    return rate(lambda: product(a).block_until_ready(), 1, seconds)[0] * 2 * 2048**3


def intersection_flops(scene: Scene, pixels: int, shadows: bool) -> int:
    capsules, planes = len(scene.capsules), len(scene.planes)
    return pixels * (capsules * (CAPSULE_FLOPS + SHADOW_FLOPS * shadows) + planes * PLANE_FLOPS)


def main() -> None:
    parser = argparse.ArgumentParser(description="Frames per second of the ray caster")
    parser.add_argument("--out", help="write the results as json")
    parser.add_argument("--seconds", type=float, default=2.0, help="per measurement")
    parser.add_argument("--batch", type=int, help="frames per call (default: by size)")
    options = parser.parse_args()
    m, rng = humanoid(), np.random.default_rng(0)
    scene = Scene.from_mujoco(m)
    ours, theirs = pair(m, (3.5, 120, -15, (0, 0, 1)))
    poses = [random_pose(m, rng) for _ in range(64)]
    limit = matmul_flops(options.seconds)
    rows = []
    for size, default_batch in BATCH.items():
        batch = options.batch or default_batch
        views = [scene.view(poses[i % len(poses)], ours) for i in range(batch)]
        views = jax.tree.map(lambda *leaves: jnp.stack(leaves), *views)
        for shadows in (False, True):
            rows.append(_measure(m, scene, views, poses[0], theirs, size, shadows, limit, options.seconds))
    device = jax.devices()[0]
    result = {
        "device": f"{device.platform} {device.device_kind}",
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "matmul_gflops": round(limit / 1e9, 1),
        "rows": rows,
    }
    _print_table(result)
    if options.out:
        with open(options.out, "w") as file:
            json.dump(result, file, indent=1)


def _print_table(result: dict[str, Any]) -> None:
    print(f"{result['device']}, {result['cores']} cores, load {result['load']:.1f}, ", end="")
    print(f"{result['matmul_gflops']} GFLOP/s in a float32 matrix product")
    print("                 frames/s                   frames per second of processor time")
    print("size  effects    ours   MuJoCo  ratio          ours   MuJoCo  ratio   share of limit  compile s")
    for row in result["rows"]:
        print(f"{row['size']:>4}  {'on' if row['shadows'] else 'off':>7}", end="")
        for ours, peer in ((row["ours"], row["mujoco"]), (row["ours_cpu"], row["mujoco_cpu"])):
            print(f" {ours:>7.0f} {peer:>8.1f} {ours / peer:>6.1f}       ", end="")
        print(f" {row['share']:>10.3f}  {row['compile_seconds']:>9.1f}")


def _measure(
    m: mujoco.MjModel,
    scene: Scene,
    views: View,
    pose: mujoco.MjData,
    camera: mujoco.MjvCamera,
    size: int,
    shadows: bool,
    limit: float,
    seconds: float,
) -> dict[str, Any]:
    batch = views.fovy.shape[0]
    draw = jax.jit(lambda s, v: jax.vmap(lambda one: render(s, one, size, size, shadows=shadows))(v))
    start = time.perf_counter()
    draw(scene, views).block_until_ready()
    compile_seconds = time.perf_counter() - start
    ours, ours_cpu = rate(lambda: draw(scene, views).block_until_ready(), batch, seconds)
    try:
        peer = Peer(m, size, size, multisampling=4 if shadows else 0)
        mujoco_rate, mujoco_cpu = rate(
            lambda: peer.rgb(pose, camera, shadows, reflections=shadows), 1, seconds
        )
        peer.close()
    except RuntimeError as error:
        print(error)
        mujoco_rate = mujoco_cpu = float("nan")
    share = ours * intersection_flops(scene, size * size, shadows) / limit
    return {
        "size": size,
        "shadows": shadows,
        "batch": batch,
        "ours": ours,
        "mujoco": mujoco_rate,
        "ours_cpu": ours_cpu,
        "mujoco_cpu": mujoco_cpu,
        "share": share,
        "compile_seconds": compile_seconds,
    }


if __name__ == "__main__":
    main()
