"""Images a second of an image encoder: ours against the same weights in torch, in the same run.

    python -m bench.encode --out bench/results/encode.json     (needs the extra `parity`)

Networks have random weights at their published sizes.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import torch
import transformers
import tyro
from safetensors.torch import save_file

import jaxrm
from bench.against_torch import Settings, compare, run
from jaxrm.models.variants import RESNET
from jaxrm.weights import files
from tests.weights import clip_resnet

ENCODE = jax.jit(lambda model, pixels: model.encode_pixels(pixels))


@dataclass(frozen=True)
class Config(Settings):
    """What to measure."""

    models: tuple[str, ...] = ("ViT-B-32", "RN50")
    batches: tuple[int, ...] = (1, 8, 64)
    attention: str = "einsum"
    param_dtype: str = "float32"
    """Of our weights in a bfloat16 row, whose values are rounded to it in both libraries: XLA for CPUs
    slices stacked bfloat16 slowly."""


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


def measure(config: Config, name: str, dtype: str) -> Iterator[dict]:
    """Rows for one network in one dtype."""
    torch_dtype = getattr(torch, dtype)
    with tempfile.TemporaryDirectory() as temporary:
        theirs = MODELS[name](Path(temporary), torch_dtype)
        clip = jaxrm.load_clip(temporary, dtype=dtype, param_dtype=dtype, attention=config.attention)
        model = clip.model.with_param_dtype(config.param_dtype)
        side = clip.model.config.vision.image_size
        for batch in config.batches:
            pixels = np.random.default_rng(0).normal(size=(batch, side, side, 3)).astype(np.float32)
            x, y = jnp.asarray(pixels, dtype), torch.tensor(pixels).permute(0, 3, 1, 2).to(torch_dtype)
            start = time.perf_counter()
            ENCODE(model, x).block_until_ready()
            compiling = round(time.perf_counter() - start, 1)
            found = compare(partial(ENCODE, model, x), partial(theirs, y), batch, config)
            yield {"batch": batch, **found, "compile_seconds": compiling}


if __name__ == "__main__":
    config = tyro.cli(Config, description=__doc__)
    run(config, partial(measure, config))
