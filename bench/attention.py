"""The ways to compute attention, against each other: in a tower's own shapes, and in the whole tower.

    python -m bench.attention --out bench/results/attention.json

The default of `jaxrm.load_clip` is what wins here on the device at hand. Each figure is the best of `repeats`
rounds, in which the ways take turns, in milliseconds of wall time; on CPUs the process's own time stands
beside it, which other programs disturb less. cuDNN's is measured in bfloat16 on NVIDIA alone.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import numpy as np
import tyro

from jaxrm.models import ATTENTIONS, VisionTower
from jaxrm.models.attention import attend
from jaxrm.models.variants import CLIP


@dataclass(frozen=True)
class Config:
    """What to measure."""

    models: tuple[str, ...] = ("ViT-B-32", "ViT-L-14")
    dtypes: tuple[str, ...] = ("float32", "bfloat16")
    batch: int = 8
    repeats: int = 10
    towers: bool = True
    """Measure whole towers too, not attention alone."""
    out: Path | None = None


def ways(dtype: str) -> tuple[str, ...]:
    """Those that this device has."""
    cudnn = jax.default_backend() == "gpu" and dtype == "bfloat16"
    return tuple(way for way in ATTENTIONS if way != "cudnn" or cudnn)


def attention_calls(config: Config, name: str, dtype: str) -> dict[str, Callable[[], jax.Array]]:
    """One layer's attention in the shapes of a vision tower."""
    vision = CLIP[name].vision
    blocks = vision.transformer
    shape = (config.batch, vision.grid**2 + 1, blocks.heads, blocks.width // blocks.heads)
    q, k, v = (jax.random.normal(key, shape, dtype) for key in jax.random.split(jax.random.key(0), 3))
    return {way: partial(jax.jit(partial(attend, how=way)), q, k, v) for way in ways(dtype)}


def tower_calls(config: Config, name: str, dtype: str) -> dict[str, Callable[[], jax.Array]]:
    """The whole vision tower with random weights."""
    vision = CLIP[name].vision.with_dtype(dtype)
    tower = VisionTower.create(vision, jax.random.key(0))
    side = vision.image_size
    pixels = jax.random.normal(jax.random.key(1), (config.batch, side, side, 3), dtype)
    encode = jax.jit(lambda model, x: model(x))
    return {
        way: partial(encode, tower.with_config(vision.with_attention(way)), pixels) for way in ways(dtype)
    }


def compare(calls: dict[str, Callable[[], jax.Array]], repeats: int) -> dict[str, dict[str, float]]:
    """Best milliseconds of each, wall and processor, the calls taking turns."""
    best = {way: np.full(2, np.inf) for way in calls}
    for call in calls.values():
        call().block_until_ready()
    for _ in range(repeats):
        for way, call in calls.items():
            wall, processor = time.perf_counter(), time.process_time()
            call().block_until_ready()
            spent = time.perf_counter() - wall, time.process_time() - processor
            best[way] = np.minimum(best[way], spent)
    return {
        way: dict(zip(("wall_ms", "processor_ms"), np.round(1e3 * times, 3).tolist(), strict=True))
        for way, times in best.items()
    }


def main(config: Config) -> None:
    """Measure, print a row each, write all of it where asked, so far as it has come."""
    load = round(os.getloadavg()[0], 1)
    result = {
        "device": jax.devices()[0].device_kind,
        "cores": os.cpu_count(),
        "load_average_before": load,
        "jax": jax.__version__,
        "batch": config.batch,
        "rows": [],
    }
    parts = {"attention": attention_calls} | ({"tower": tower_calls} if config.towers else {})
    for what, make in parts.items():
        for name in config.models:
            for dtype in config.dtypes:
                row = {"what": what, "model": name, "dtype": dtype}
                result["rows"].append(row | compare(make(config, name, dtype), config.repeats))
                print(result["rows"][-1], flush=True)
                if config.out is not None:
                    config.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Config))
