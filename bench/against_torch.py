"""What benches against torch share: both libraries take turns in one run, on the same cores and weights.

Each figure is the best of `repeats` turns. Beside rates of wall time stand rates of processor time, which a
busy machine disturbs less: they tell most with `--cores 1`, where no library waits for threads of its own.
"""

import dataclasses
import json
import os
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import torch

from bench.timing import rate

Call = Callable[[], jax.Array]
TorchCall = Callable[[], torch.Tensor]


@dataclass(frozen=True)
class Settings:
    """How both are measured."""

    models: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ("float32", "bfloat16")
    repeats: int = 5
    seconds: float = 0.5
    """Least time of one turn; calls are repeated."""
    cores: int = os.cpu_count() or 1
    """Cores to use."""
    out: Path | None = None


def compare(ours: Call, theirs: TorchCall, things: int, settings: Settings) -> dict:
    """Rates of two calls that do the same `things`, after a look at how far what they give agrees."""
    a, b = np.asarray(ours(), np.float64), theirs().double().numpy()
    error = float(np.linalg.norm(a - b) / np.linalg.norm(b))
    mine, other = np.zeros(2), np.zeros(2)
    for _ in range(settings.repeats):  # in turns, so that a busy machine slows both
        mine = np.maximum(mine, rate(ours, things, settings.seconds))
        other = np.maximum(other, rate(theirs, things, settings.seconds))
    return {
        "jax": round(float(mine[0]), 2),
        "torch": round(float(other[0]), 2),
        "ratio": round(float(mine[0] / other[0]), 3),
        "jax_per_processor_second": round(float(mine[1]), 2),
        "torch_per_processor_second": round(float(other[1]), 2),
        "ratio_of_processor_time": round(float(mine[1] / other[1]), 3),
        "relative_difference": float(f"{error:.2g}"),
    }


def run(settings: Settings, measure: Callable[[str, str], Iterable[dict]]) -> None:
    """Prints a row each of `measure(model, dtype)`, and writes all where asked, so far as it has come."""
    load = os.getloadavg()[0]
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: settings.cores]))
    torch.set_num_threads(settings.cores)
    told = {k: v for k, v in dataclasses.asdict(settings).items() if k not in ("models", "dtypes", "out")}
    result = {
        "device": jax.devices()[0].device_kind,
        "processor": platform.processor() or platform.machine(),
        "load_average_before": round(load, 1),
        "versions": {"jax": jax.__version__, "torch": torch.__version__},
        **told,
        "rows": [],
    }
    for name in settings.models:
        for dtype in settings.dtypes:
            with torch.inference_mode():
                for row in measure(name, dtype):
                    result["rows"].append({"model": name, "dtype": dtype, **row})
                    print(result["rows"][-1], flush=True)
                    if settings.out is not None:
                        settings.out.write_text(json.dumps(result, indent=1) + "\n")
