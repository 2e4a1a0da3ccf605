"""What the ray caster's cost depends on, and where it goes; part of `bench.render`.

Stages are told apart by timing programs that leave something out, through the public calls alone:

    frame    rays, sky and the packing of bytes: the scene with every geom invisible
    trace    which geom each ray meets, with the making of rays: the segmentation, and nothing else
    shading  lights, surface normals: the frame without textures, less `trace`
    texture  what textures add to it
    shadows  what shadows add to it

Programs are fused as a whole, so the parts need not sum to the whole.
"""

import copy
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from bench.cameras import pair
from bench.scenes import humanoid, many_geoms, random_pose
from bench.timing import Rate, rate
from jaxrm.render import Camera, Scene, View, render, render_all

EYE = (3.5, 120, -15, (0, 0, 1))
SIZES = (32, 64, 128, 256, 512)
GEOMS = (1, 2, 5, 10, 20, 50, 100, 200)
GEOM_SIZE = 128
STAGE_SIZES = (64, 224)
PIXELS_PER_CALL = {"cpu": 2**18, "gpu": 2**25, "tpu": 2**23}  # about: fills the device, fits its cache


def frames_per_call(size: int, factor: float = 1.0) -> int:
    """How many frames of a size make a good batch on this device."""
    return max(1, round(factor * PIXELS_PER_CALL[jax.default_backend()] / size**2))


def stacked_views(scene: Scene, poses: list[mujoco.MjData], camera: Camera | str) -> View:
    """Views of several poses: arrays [poses, ...]."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *[scene.view(pose, camera) for pose in poses])


def measure(seconds: float) -> dict[str, Any]:
    """Both sweeps and the stages, printed and returned; microseconds a frame, (wall, processor)."""
    result = {"pixels": _pixels(seconds), "geoms": _geoms(seconds), "stages": _stages(seconds)}
    for name, unit in (("pixels", "size"), ("geoms", "geoms")):
        sweep = result[name]
        exponents = f"{sweep['exponent']:.2f} by the clock, {sweep['exponent_cpu']:.2f} by processor time"
        print(f"\ncost against {name}: time grows with the power {exponents}")
        for row in sweep["rows"]:
            print(
                f"{row[unit]:>6} {row['us']:>10.1f} us a frame, {row['us_cpu']:>10.1f} us of processor time"
            )
    print("\nwhere the time goes, us a frame (processor time)")
    for size, stages in result["stages"].items():
        print(
            f"{size:>4}: " + ", ".join(f"{name} {us:.1f} ({cpu:.1f})" for name, (us, cpu) in stages.items())
        )
    return result


def _pixels(seconds: float) -> dict[str, Any]:
    m = humanoid()
    rows = [{"size": size, **_microseconds(_draw(m, size, seconds))} for size in SIZES]
    return {
        "scene": "humanoid",
        "shadows": False,
        **_exponents([size**2 for size in SIZES], rows),
        "rows": rows,
    }


def _geoms(seconds: float) -> dict[str, Any]:
    rows = [{"geoms": n, **_microseconds(_draw(many_geoms(n), GEOM_SIZE, seconds))} for n in GEOMS]
    return {"size": GEOM_SIZE, "shadows": False, **_exponents(GEOMS, rows), "rows": rows}


def _stages(seconds: float) -> dict[int, dict[str, tuple[float, float]]]:
    """Microseconds a frame of each stage, by size: (wall, processor)."""
    m = humanoid()
    bare, invisible = copy.copy(m), copy.copy(m)
    bare.mat_texid[:] = -1
    invisible.geom_rgba[:, 3] = 0
    found = {}
    for size in STAGE_SIZES:
        timed = {
            "frame": _draw(invisible, size, seconds),
            "trace": _draw(m, size, seconds, what="segmentation"),
            "bare": _draw(bare, size, seconds),
            "lit": _draw(m, size, seconds),
            "dark": _draw(m, size, seconds, shadows=True),
        }
        us = {name: np.array([1e6 / r.wall, 1e6 / r.cpu]) for name, r in timed.items()}
        parts = {
            "frame": us["frame"],
            "trace": us["trace"],
            "shading": us["bare"] - us["trace"],
            "texture": us["lit"] - us["bare"],
            "shadows": us["dark"] - us["lit"],
            "whole, no shadows": us["lit"],
            "whole": us["dark"],
        }
        found[size] = {name: (float(part[0]), float(part[1])) for name, part in parts.items()}
    return found


def _draw(m: mujoco.MjModel, size: int, seconds: float, shadows: bool = False, what: str = "rgb") -> Rate:
    """Frames per second of a model at random poses."""
    rng, scene = np.random.default_rng(0), Scene.from_mujoco(m)
    camera = pair(m, EYE)[0]
    batch = frames_per_call(size)
    views = stacked_views(scene, [random_pose(m, rng) for _ in range(min(batch, 16))], camera)
    views = jax.tree.map(lambda a: jnp.resize(a, (batch, *a.shape[1:])), views)

    def one(view: View) -> jax.Array:
        if what == "rgb":
            return render(scene, view, size, size, shadows)
        return getattr(render_all(scene, view, size, size, shadows), what)

    compiled = jax.jit(jax.vmap(one))
    return rate(lambda: compiled(views), batch, seconds)


def _microseconds(r: Rate) -> dict[str, float]:
    return {"us": 1e6 / r.wall, "us_cpu": 1e6 / r.cpu}


def _exponents(amounts: tuple[int, ...] | list[int], rows: list[dict[str, Any]]) -> dict[str, float]:
    """Slope of log time over log amount: 1 is linear; and between the two largest amounts alone."""
    x = np.log(amounts)
    found = {}
    for name, key in (("exponent", "us"), ("exponent_cpu", "us_cpu")):
        y = np.log([row[key] for row in rows])
        found[name] = float(np.polyfit(x, y, 1)[0])
        found[name + "_at_the_end"] = float((y[-1] - y[-2]) / (x[-1] - x[-2]))
    return found
