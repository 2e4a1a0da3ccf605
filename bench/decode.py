"""Tokens a second of a decoder LLM: ours against the same weights in torch, in the same run.

    python -m bench.decode --out bench/results/decode.json     (needs the extra `parity`)

`instruct-lm` is the decoder that comes with us, on rows as a reward pass reads them. The other networks have
random weights; they are named after what they are like, with fewer layers and a smaller vocabulary, so that a
run fits into a small machine. `forward`: logits of all tokens. `span`: log-likelihood of the last quarter of
each row; torch too computes the logits of these positions alone (`logits_to_keep`).
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import torch
import transformers
import tyro

import jaxrm
from bench.against_torch import Settings, compare, run
from jaxrm.models.span import span_log_probs
from jaxrm.weights import files

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
OURS = "instruct-lm"
# Rows and tokens a row.
SHAPES = {OURS: ((64, 32), (1024, 32)), "smollm2": ((1, 128), (8, 128)), "mpt": ((1, 128), (8, 128))}
FORWARD = jax.jit(lambda model, tokens: model.logits(tokens))


@dataclass(frozen=True)
class Config(Settings):
    """What to measure."""

    models: tuple[str, ...] = tuple(SHAPES)
    unstacked: bool = True
    """Each layer's weights are arrays of their own (`Decoder.unstacked`)."""


@partial(jax.jit, static_argnames="count")
def ours_of_span(model, tokens: jax.Array, *, count: int) -> jax.Array:
    """Log-likelihood of the last `count` tokens of each row."""
    n, t = tokens.shape
    mask = jnp.ones((n, t), bool)
    return span_log_probs(model, tokens, mask, jnp.full(n, t - count), count).sum(axis=-1)


def theirs_of_all(model: torch.nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """Logits of all tokens in torch."""
    return model(tokens, use_cache=False).logits.float()


def theirs_of_span(model: torch.nn.Module, tokens: torch.Tensor, count: int) -> torch.Tensor:
    """The same in torch, with logits of these positions alone."""
    logits = model(tokens, logits_to_keep=count + 1, use_cache=False).logits[:, :-1].float()
    return torch.log_softmax(logits, -1).gather(-1, tokens[:, -count:, None])[..., 0].sum(-1)


@contextmanager
def weights_of(name: str) -> Iterator[str]:
    """A directory with the network's weights."""
    if name == OURS:
        yield str(files.find(name))
        return
    kind, fields = MODELS[name]
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as temporary:
        made = getattr(transformers, f"{kind}ForCausalLM")(getattr(transformers, f"{kind}Config")(**fields))
        made.save_pretrained(temporary)
        yield temporary


def measure(config: Config, name: str, dtype: str) -> Iterator[dict]:
    """Rows for one network in one dtype."""
    with weights_of(name) as directory:
        theirs = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=getattr(torch, dtype))
        model = jaxrm.load_decoder(directory, dtype=dtype, param_dtype=dtype).model
        model = model.unstacked() if config.unstacked else model
        for n, t in SHAPES[name]:
            tokens = np.random.default_rng(0).integers(0, model.config.vocabulary, (n, t))
            x, y, count = jnp.asarray(tokens), torch.tensor(tokens), t // 4
            ours = {
                "forward": partial(FORWARD, model, x),
                "span": partial(ours_of_span, model, x, count=count),
            }
            torchs = {
                "forward": partial(theirs_of_all, theirs, y),
                "span": partial(theirs_of_span, theirs, y, count),
            }
            for what in ours:
                found = compare(ours[what], torchs[what], n * t, config)
                yield {"what": what, "rows": n, "tokens": t, **found}


if __name__ == "__main__":
    config = tyro.cli(Config, description=__doc__)
    run(config, partial(measure, config))
