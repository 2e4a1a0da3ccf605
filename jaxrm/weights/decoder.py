"""A decoder LLM with its tokeniser: loaded and used."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxrm.models.decoder import Decoder, DecoderConfig
from jaxrm.models.span import span_log_probs
from jaxrm.weights import files
from jaxrm.weights.checkpoint import Checkpoint, Options
from jaxrm.weights.decoder_fields import parse_ends
from jaxrm.weights.decoder_text import GENERATION_CONFIG, DecoderProcessor, read_told, special_id
from jaxrm.weights.embed import check_batch
from jaxrm.weights.family import Family, read_family, require
from jaxrm.weights.table import WeightsError, to_tree
from jaxrm.weights.tokens import TOKENIZER, read_tokenizer

_HEADS = ("lm_head.weight", "embed_out.weight")


@dataclass(frozen=True, eq=False)
class DecoderCheckpoint(Checkpoint):
    """What `load_decoder` gives: `model` is a pytree of arrays, `processor` the tokeniser."""

    model: Decoder
    processor: DecoderProcessor

    def logits(
        self,
        tokens: Int[Array, "b t"] | None = None,
        *,
        embeds: Float[Array, "b t width"] | None = None,
        mask: Bool[Array, "b t"] | None = None,
    ) -> Float[Array, "b t vocabulary"]:
        """int32 [b, t] -> float32 [b, t, vocabulary], logits of the token after each.

        For people: inside a compiled loop pass the model as an argument of its own `logits` instead.

        Args:
          tokens: ids, or
          embeds: vectors of the input space in their place.
          mask: which are no padding, bool [b, t]; None: all.

        Raises:
          ValueError: no arrays, ids outside the vocabulary, or what `Decoder.logits` raises.
        """
        for name, given in (("tokens", tokens), ("embeds", embeds), ("mask", mask)):
            if given is not None and not isinstance(given, (jax.Array, np.ndarray)):
                raise ValueError(f"{name} given as a {type(given).__name__}, wanted an array")
        if tokens is not None and not isinstance(tokens, jax.core.Tracer):
            self._check_ids(np.asarray(tokens))
        return _logits(self.model, tokens, embeds, mask)

    def log_likelihood(
        self, prompts: Sequence[str], continuations: Sequence[str], *, batch: int = 16
    ) -> Float[Array, "n"]:
        """log p(continuation | prompt), summed over the continuation's tokens, float32 [n].

        Prompt and continuation are tokenised apart, the prompt with what the tokeniser puts at the beginning
        of a sequence; a space between them is the continuation's own. `batch` rows are on the device at once.

        Raises:
          TypeError: one string instead of several.
          ValueError: not equally many, an empty continuation, more tokens than the context holds, or a
            tokeniser of another model.
          FileNotFoundError: the checkpoint has no tokeniser.
        """
        rows = self.processor.rows(prompts, continuations)
        n, blocks = len(rows.tokens), []
        for start in range(0, n, check_batch(batch)):
            block = [array[start : start + batch] for array in (rows.tokens, rows.mask, rows.starts)]
            missing = min(batch, n) - len(block[0])
            padded = [np.pad(a, [(0, missing)] + [(0, 0)] * (a.ndim - 1), mode="edge") for a in block]
            blocks.append(_likelihood(self.model, *padded, count=rows.count)[: len(block[0])])
        return jnp.concatenate(blocks)

    def _check_ids(self, tokens: np.ndarray) -> None:
        size = self.model.config.vocabulary
        if tokens.ndim != 2 or not np.issubdtype(tokens.dtype, np.integer):
            raise ValueError(f"tokens are {tokens.dtype} {list(tokens.shape)}, wanted integers [b, t]")
        if tokens.size and not 0 <= tokens.min() <= tokens.max() < size:
            raise ValueError(
                f"token ids run from {tokens.min()} to {tokens.max()}, the vocabulary to {size - 1}"
            )


_logits = jax.jit(lambda model, tokens, embeds, mask: model.logits(tokens, embeds=embeds, mask=mask))


@partial(jax.jit, static_argnames="count")
def _likelihood(model: Decoder, tokens, mask, starts, *, count: int) -> Float[Array, "n"]:
    return span_log_probs(model, tokens, mask, starts, count).sum(axis=-1)


def load_decoder(
    name: str | os.PathLike,
    *,
    dtype: str = "float32",
    param_dtype: str | None = None,
    attention: str = "einsum",
) -> DecoderCheckpoint:
    """Load a decoder LLM: a directory, the name of a model that comes with us, or a hub id ("org/name").

    Llama (SmolLM2 and others of its format), Qwen2, Qwen3, GPT-2, GPT-NeoX (Pythia) and MPT of Hugging Face,
    the latter in the format of MosaicGPT too.

    Args:
      name: what to load; only safetensors are read.
      dtype: what is computed in (float64 only under x64); softmax, norms and logits in float32 at least.
      param_dtype: what the weights are kept in; None: the dtype of their file.
      attention: how attention is computed: "einsum" everywhere, "xla", or "cudnn" on NVIDIA in bfloat16;
        where there is a context to read on from, it is "einsum" in any case.

    Raises:
      FileNotFoundError: nothing of that name, or a directory without a config file or safetensors.
      ValueError: another family of models, an option of it that we cannot build, fields of config.json that
        cannot be used, an unknown dtype, or weights that do not fit.
    """
    options = Options(dtype, param_dtype, attention=attention)
    directory = files.find(name)
    family, given = read_family(directory)
    require(family, directory, "load_decoder")
    with files.naming(directory / family.config_file):
        config = family.parse_config(given, options.dtype)
    config = _with_ends(config.with_attention(options.attention), given, directory)
    weights, others = family.sort(files.read_tensors(directory, (family.weights_file,)))
    weights = _without_tied_head(family, config, weights)
    model = to_tree(family.table(config), Decoder.abstract(config), weights)
    if options.param_dtype is not None:
        model = model.with_param_dtype(options.param_dtype)
    return DecoderCheckpoint(model, DecoderProcessor(directory, config), others)


def _with_ends(config: DecoderConfig, given: Mapping[str, Any], directory: Path) -> DecoderConfig:
    """What begins and ends a text where config.json does not speak of it, as MPT's does not: what
    generation_config.json says or, failing that, the tokeniser's config."""
    had = {"bos_token_id": config.bos_token_id, "eos_token_id": list(config.eos_token_ids) or None}
    missing = [name for name, value in had.items() if value is None and name not in given]
    if not missing:
        return config
    path = directory / GENERATION_CONFIG
    generation = files.read_json(path) if path.is_file() else {}
    had |= {name: generation.get(name) for name in missing}
    tokens = {name: name.removesuffix("_id") for name in missing if had[name] is None}
    told = read_told(directory) if tokens else {}
    # a tokeniser of a real size takes a second to read
    if any(told.get(token) for token in tokens.values()) and (directory / TOKENIZER).is_file():
        tokenizer = read_tokenizer(directory / TOKENIZER)
        had |= {name: special_id(told, token, tokenizer) for name, token in tokens.items()}
    with files.naming(path):
        return replace(config, **parse_ends(had, config.vocabulary))


def _without_tied_head(
    family: Family, config: DecoderConfig, tensors: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Some files repeat the table of embeddings as the head that is tied to it."""
    heads = [name for name in _HEADS if name in tensors]
    if not config.tied or not heads:
        return tensors
    embedding = next(row.theirs for row in family.table(config) if row.ours == "embedding")
    if embedding not in tensors or not np.array_equal(tensors[heads[0]], tensors[embedding]):
        raise WeightsError(
            f"tie_word_embeddings is true, but {heads[0]} is not {embedding}: "
            "correct config.json or the weights"
        )
    return {name: tensor for name, tensor in tensors.items() if name != heads[0]}
