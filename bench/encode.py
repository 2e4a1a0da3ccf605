"""Images a second of an image encoder: ours against the same weights in torch, in the same run.

    python -m bench.encode --out bench/results/encode.json     (needs the extra `parity`)

Networks have random weights at their published sizes. Each row is the best of `repeats` runs, the two
libraries taking turns on the same cores. Outputs are compared before anything is timed. Beside images a
second of wall time stand images a second of processor time, which a busy machine disturbs less: it tells
most with `--cores 1`, where no library waits for threads of its own.

Weights of a bfloat16 row are rounded to it in both libraries; ours keeps them in float32 (`--param-dtype`),
since XLA for CPUs slices stacked bfloat16 slowly.
"""

import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import torch
import transformers
import tyro
from safetensors.torch import save_file

import jaxrm
from jaxrm.models import Clip
from jaxrm.models.variants import RESNET
from jaxrm.weights import files
from tests.weights import clip_resnet

ENCODE = jax.jit(lambda model, pixels: model.encode_pixels(pixels))


@dataclass(frozen=True)
class Config:
    """What to measure."""

    models: tuple[str, ...] = ("ViT-B-32", "RN50")
    dtypes: tuple[str, ...] = ("float32", "bfloat16")
    batches: tuple[int, ...] = (1, 8, 64)
    repeats: int = 5
    seconds: float = 0.5
    """Least time of one run; short calls are repeated."""
    attention: str = "einsum"
    param_dtype: str = "float32"
    cores: int = os.cpu_count() or 1
    """Cores to use."""
    out: Path | None = None


def vit(directory: Path, dtype: torch.dtype) -> Callable:
    """ViT-B/32 of transformers, as it runs by default."""
    torch.manual_seed(0)
    model = transformers.CLIPModel(transformers.CLIPConfig()).eval()
    model.save_pretrained(directory)
    model = model.to(dtype)

    def call(x: torch.Tensor) -> torch.Tensor:
        seen = model.get_image_features(x)
        return getattr(seen, "pooler_output", seen)

    return call


def resnet(directory: Path, dtype: torch.dtype) -> Callable:
    """CLIP's RN50 in plain torch, channels last, as is best on CPUs."""
    text = {"context_length": 77, "vocab_size": 64, "width": 64, "heads": 1, "layers": 1}
    vision = RESNET["RN50"].vision
    shapes = clip_resnet.shapes(vision.layers, vision.channels, vision.image_size, vision.width, text)
    tensors = clip_resnet.random_tensors(shapes)
    save_file(tensors, directory / files.OPEN_CLIP)
    tower = {"layers": list(vision.layers), "width": vision.channels, "image_size": vision.image_size}
    config = {"embed_dim": vision.width, "quick_gelu": True, "vision_cfg": tower, "text_cfg": text}
    files.write_json(directory / "open_clip_config.json", {"model_cfg": config})
    cast = {n: t.to(dtype) if t.is_floating_point() else t for n, t in tensors.items()}
    cast = {n: t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t for n, t in cast.items()}
    return lambda x: clip_resnet.image_features(cast, x.contiguous(memory_format=torch.channels_last))


MODELS = {"ViT-B-32": vit, "RN50": resnet}


def rate(call: Callable[[], object], batch: int, seconds: float) -> np.ndarray:
    """Images a second of wall time and of processor time, over at least `seconds`."""
    count, wall, processor = 0, time.perf_counter(), time.process_time()
    while (spent := time.perf_counter() - wall) < seconds or not count:
        call()
        count += 1
    return count * batch / np.array([spent, time.process_time() - processor])


def measure(config: Config, name: str, dtype: str) -> list[dict]:
    """Rows for one network in one dtype."""
    rows, torch_dtype = [], getattr(torch, dtype)
    with tempfile.TemporaryDirectory() as temporary, torch.inference_mode():
        theirs = MODELS[name](Path(temporary), torch_dtype)
        clip = jaxrm.load_clip(temporary, dtype=dtype, param_dtype=dtype, attention=config.attention)
        model = clip.model.with_param_dtype(config.param_dtype)
        side = clip.model.config.vision.image_size
        for batch in config.batches:
            pixels = np.random.default_rng(0).normal(size=(batch, side, side, 3)).astype(np.float32)
            x, y = jnp.asarray(pixels, dtype), torch.tensor(pixels).permute(0, 3, 1, 2).to(torch_dtype)
            start = time.perf_counter()
            got = np.asarray(ENCODE(model, x), np.float64)
            compile_seconds = time.perf_counter() - start
            agreement = _cosine(got, theirs(y).double().numpy())
            ours, torchs = _best(model, x, lambda y=y: theirs(y), config)
            rows.append(
                {
                    "model": name,
                    "dtype": dtype,
                    "batch": batch,
                    "jax": round(float(ours[0]), 2),
                    "torch": round(float(torchs[0]), 2),
                    "ratio": round(float(ours[0] / torchs[0]), 3),
                    "jax_per_processor_second": round(float(ours[1]), 2),
                    "torch_per_processor_second": round(float(torchs[1]), 2),
                    "ratio_of_processor_time": round(float(ours[1] / torchs[1]), 3),
                    "compile_seconds": round(compile_seconds, 1),
                    "least_cosine": round(agreement, 6),
                }
            )
            print(rows[-1], flush=True)
    return rows


def _best(model: Clip, x: jax.Array, theirs: Callable[[], object], config: Config) -> tuple:
    """The best rates of ours and of torch's."""
    ours, torchs = np.zeros(2), np.zeros(2)
    for _ in range(config.repeats):  # in turns, so that a busy machine slows both
        ours = np.maximum(ours, rate(lambda: ENCODE(model, x).block_until_ready(), len(x), config.seconds))
        torchs = np.maximum(torchs, rate(theirs, len(x), config.seconds))
    return ours, torchs


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(((a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)).min())


def main(config: Config) -> None:
    """Measure, print a row each, write all of it where asked, so far as it has come."""
    load = os.getloadavg()[0]
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: config.cores]))
    torch.set_num_threads(config.cores)
    result = {
        "device": jax.devices()[0].device_kind,
        "processor": platform.processor() or platform.machine(),
        "cores": config.cores,
        "load_average_before": round(load, 1),
        "versions": {"jax": jax.__version__, "torch": torch.__version__},
        "attention": config.attention,
        "param_dtype": config.param_dtype,
        "rows": [],
    }
    for name in config.models:
        for dtype in config.dtypes:
            result["rows"] += measure(config, name, dtype)
            if config.out is not None:
                config.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Config))
