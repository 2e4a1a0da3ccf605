"""Tokens a second of a decoder LLM: ours against the same weights in torch, in the same run.

    python -m bench.decode --out bench/results/decode.json     (needs the extra `parity`)

Networks have random weights; shapes are named after what they are like, with fewer layers and a smaller
vocabulary, so that a run fits into a small machine. Each row is the best call of `repeats` runs, the two
libraries taking turns on the same cores. Outputs are compared before anything is timed. `forward`: logits of
all tokens. `span`: log-likelihood of the last quarter of each row; torch too computes the logits of these
positions alone (`logits_to_keep`). Beside tokens a second of wall time stand tokens a second of processor
time, which a busy machine disturbs less.

Weights of a bfloat16 row are rounded to it in both libraries; ours keeps them in float32 (`--param-dtype`),
since XLA for CPUs slices stacked bfloat16 slowly.
"""

import json
import os
import platform
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import torch
import transformers
import tyro

import jaxrm
from bench.timing import rate
from jaxrm.models.span import span_log_probs

LLAMA = {"hidden_act": "silu", "tie_word_embeddings": True, "max_position_embeddings": 2048}
MODELS = {
    # SmolLM2-135M's width, 8 of its 30 layers
    "smollm2": (
        "Llama",
        LLAMA
        | {
            "vocab_size": 16384,
            "hidden_size": 576,
            "intermediate_size": 1536,
            "num_hidden_layers": 8,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
        },
    ),
    # MPT-1B's head width, half of its width, 4 of its 24 layers
    "mpt": (
        "Mpt",
        {"vocab_size": 16384, "d_model": 1024, "n_heads": 8, "n_layers": 4, "max_seq_len": 2048},
    ),
}
FORWARD = jax.jit(lambda model, tokens: model.logits(tokens))


@dataclass(frozen=True)
class Config:
    """What to measure."""

    models: tuple[str, ...] = ("smollm2", "mpt")
    dtypes: tuple[str, ...] = ("float32", "bfloat16")
    shapes: tuple[tuple[int, int], ...] = ((1, 128), (8, 128))
    """Rows and tokens a row."""
    repeats: int = 5
    seconds: float = 0.5
    """Least time of one run; calls are repeated."""
    param_dtype: str = "float32"
    cores: int = os.cpu_count() or 1
    """Cores to use."""
    out: Path | None = None


@partial(jax.jit, static_argnames="count")
def ours_of_span(model, tokens: jax.Array, *, count: int) -> jax.Array:
    """Log-likelihood of the last `count` tokens of each row."""
    n, t = tokens.shape
    mask = jnp.ones((n, t), bool)
    return span_log_probs(model, tokens, mask, jnp.full(n, t - count), count).sum(axis=-1)


def theirs_of_span(model: torch.nn.Module, tokens: torch.Tensor, count: int) -> torch.Tensor:
    """The same in torch, with logits of these positions alone."""
    logits = model(tokens, logits_to_keep=count + 1, use_cache=False).logits[:, :-1].float()
    return torch.log_softmax(logits, -1).gather(-1, tokens[:, -count:, None])[..., 0].sum(-1)


def measure(config: Config, name: str, dtype: str) -> list[dict]:
    """Rows for one network in one dtype."""
    rows, (kind, fields) = [], MODELS[name]
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as temporary, torch.inference_mode():
        made = getattr(transformers, f"{kind}ForCausalLM")(getattr(transformers, f"{kind}Config")(**fields))
        made.eval().save_pretrained(temporary)
        theirs = made.to(getattr(torch, dtype))
        model = jaxrm.load_decoder(temporary, dtype=dtype, param_dtype=dtype).model
        model = model.with_param_dtype(config.param_dtype)
        for n, t in config.shapes:
            tokens = np.random.default_rng(0).integers(0, fields["vocab_size"], (n, t))
            x, y, count = jnp.asarray(tokens), torch.tensor(tokens), t // 4
            calls = {
                "forward": (
                    lambda x=x: FORWARD(model, x),
                    lambda y=y: theirs(y, use_cache=False).logits.float(),
                ),
                "span": (
                    lambda x=x, count=count: ours_of_span(model, x, count=count),
                    lambda y=y, count=count: theirs_of_span(theirs, y, count),
                ),
            }
            for what, (mine, other) in calls.items():
                row = {"model": name, "dtype": dtype, "what": what, "rows": n, "tokens": t}
                rows.append(row | compare(mine, other, n * t, config))
                print(rows[-1], flush=True)
    return rows


def compare(mine: Callable, other: Callable, tokens: int, config: Config) -> dict:
    """The best rates of both, after a look at how far their outputs agree."""
    a, b = np.asarray(mine(), np.float64), other().double().numpy()
    error = float(np.linalg.norm(a - b) / np.linalg.norm(b))
    ours, theirs = np.zeros(2), np.zeros(2)
    for _ in range(config.repeats):  # in turns, so that a busy machine slows both
        ours = np.maximum(ours, rate(mine, tokens, config.seconds))
        theirs = np.maximum(theirs, rate(other, tokens, config.seconds))
    return {
        "jax": round(float(ours[0]), 1),
        "torch": round(float(theirs[0]), 1),
        "ratio": round(float(ours[0] / theirs[0]), 3),
        "jax_per_processor_second": round(float(ours[1]), 1),
        "torch_per_processor_second": round(float(theirs[1]), 1),
        "ratio_of_processor_time": round(float(ours[1] / theirs[1]), 3),
        "relative_difference": float(f"{error:.2g}"),
    }


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
