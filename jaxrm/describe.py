"""What a checkpoint is, in words and numbers. `jaxrm inspect` prints it."""

import dataclasses
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jaxrm.flops import count_flops
from jaxrm.models import Clip, Decoder
from jaxrm.weights import ImageSettings, files, load_clip, load_decoder, load_tower
from jaxrm.weights.family import Family, read_family

_SHOWN_CAPTIONS = 3


def print_description(name: str, console: Console | None = None) -> None:
    """Prints a table of what lies under a directory, the name of a model that comes with us, or a hub id.

    Raises:
      FileNotFoundError, ValueError: what loading raises.
    """
    table = Table(title=escape(name), show_header=False, title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in describe(name):
        table.add_row(label, escape(text))
    (console or Console()).print(table)


def describe(name: str | os.PathLike) -> list[tuple[str, str]]:
    """Pairs of a label and a text, in the order in which one would ask.

    Loads the checkpoint, so that what is described is also known to load.
    """
    directory = files.find(name)
    family, given = read_family(directory)
    if family.network is Decoder:
        return _decoder_rows(directory, family, given)
    checkpoint = load_clip(directory) if family.network is Clip else load_tower(directory)
    model, processor = checkpoint.model, checkpoint.processor
    encode = model.encode_pixels if family.network is Clip else model
    size = processor.images.size
    pixels = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    embedding = jax.eval_shape(encode, pixels)
    return [
        ("directory", str(directory)),
        ("family", _family(family, given)),
        ("image", f"{size} x {size} pixels -> {embedding.shape[-1]} numbers"),
        *_config_rows(model.config),
        *_parameter_rows(model),
        ("FLOPs a frame", _amount(count_flops(encode, pixels)) + " (matrix products and convolutions)"),
        *_text_rows(model, processor),
        ("preprocessing", _preprocessing(processor.images)),
        *_word_rows(processor),
    ]


def _decoder_rows(directory: Path, family: Family, given: dict[str, Any]) -> list[tuple[str, str]]:
    checkpoint = load_decoder(directory)
    model, config = checkpoint.model, checkpoint.model.config
    tokens = jax.ShapeDtypeStruct((1, config.context), jnp.int32)
    flops = count_flops(model.logits, tokens) / config.context
    return [
        ("directory", str(directory)),
        ("family", _family(family, given)),
        ("text", f"{config.vocabulary:,} token ids, context of {config.context:,} tokens"),
        *_config_rows(config),
        *_parameter_rows(model),
        ("FLOPs a token", f"{_amount(flops)} in a full context, logits included"),
        *_tokenizer_rows(checkpoint.processor),
    ]


def _tokenizer_rows(processor: Any) -> Iterator[tuple[str, str]]:
    try:
        tokenizer = processor.tokenizer
    except FileNotFoundError:
        yield "tokeniser", "none: it reads token ids only"
        return
    yield "tokeniser", f"{type(tokenizer.model).__name__}, {tokenizer.get_vocab_size():,} entries"


def _family(family: Family, given: dict[str, Any]) -> str:
    names = [given.get("model_type"), *(given.get("architectures") or [])]
    said = ", ".join(str(name) for name in names if name)
    return f"{family.name} ({family.config_file}{': ' + said if said else ''})"


def _config_rows(config: Any) -> Iterator[tuple[str, str]]:
    """A row for the config and one for each config in it, whatever the family calls its fields."""
    own, parts = _split(config)
    yield "config", own
    for name, part in parts:
        inner, deeper = _split(part)
        yield f"  {name}", "; ".join([inner, *(_split(deep)[0] for _, deep in deeper)])


def _split(config: Any) -> tuple[str, list[tuple[str, Any]]]:
    values = [(field.name, getattr(config, field.name)) for field in dataclasses.fields(config)]
    shown = [(name, value) for name, value in values if not dataclasses.is_dataclass(value)]
    own = ", ".join(f"{name} {_short(v)}" for name, v in shown if v is not None and v is not False)
    return own, [(name, value) for name, value in values if dataclasses.is_dataclass(value)]


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _parameter_rows(model: Any) -> Iterator[tuple[str, str]]:
    leaves = jax.tree_util.tree_leaves_with_path(model)
    dtypes = sorted({str(leaf.dtype) for _, leaf in leaves})
    stored = sum(leaf.size * leaf.dtype.itemsize for _, leaf in leaves)
    total = sum(leaf.size for _, leaf in leaves)
    yield "parameters", f"{_amount(total)} in {', '.join(dtypes)}, {stored / 2**20:,.1f} MiB"
    parts: dict[str, int] = {}
    for path, leaf in leaves:
        part = str(getattr(path[0], "name", path[0]))
        parts[part] = parts.get(part, 0) + leaf.size
    yield "  of them", ", ".join(f"{part} {_amount(size)}" for part, size in parts.items())


def _text_rows(model: Any, processor: Any) -> Iterator[tuple[str, str]]:
    if not hasattr(model, "encode_tokens"):
        return
    tokens = jax.ShapeDtypeStruct((1, processor.context), jnp.int32)
    yield "FLOPs a text", f"{_amount(count_flops(model.encode_tokens, tokens))} at {processor.context} tokens"
    try:
        tokenizer = processor.tokenizer
    except FileNotFoundError:
        yield "tokeniser", "none: it embeds images only"
        return
    kind = type(tokenizer.model).__name__
    yield (
        "tokeniser",
        f"{kind}, {tokenizer.get_vocab_size():,} entries, context of {processor.context} tokens",
    )


def _preprocessing(images: ImageSettings) -> str:
    """In the order in which it happens."""
    steps = []
    if images.mode == "vlmrm":
        steps.append(f"bicubic to {images.size} x {images.size} without antialias")
    elif images.resize_to is not None:
        to = images.resize_to
        aim = f"shorter edge {to}" if isinstance(to, int) else f"{to[0]} x {to[1]}"
        steps.append(f"Pillow's {images.resample} to {aim}")
    if images.crop and images.mode != "vlmrm":
        steps.append(f"middle {images.size} x {images.size}")
    steps.append(f"mean {_numbers(images.mean)}, std {_numbers(images.std)}")
    own = f" (frames of {images.size} x {images.size} are not resized)" if images.keeps_own_size else ""
    return "; ".join(steps) + own


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.4g}" for value in values)


def _word_rows(processor: Any) -> Iterator[tuple[str, str]]:
    known = processor.training_words
    if known is None:
        return
    yield "training words", f"{len(known.words)}: {', '.join(sorted(known.words))}"
    if known.captions:
        yield "  captions", "; ".join(known.captions[:_SHOWN_CAPTIONS])


def _amount(number: float) -> str:
    """Three digits and a unit: 1.42 M, 8.73 G."""
    exponent = min(int(math.log10(number) // 3), 4) if number >= 1 else 0
    return f"{number / 1000**exponent:.3g}{('', ' k', ' M', ' G', ' T')[exponent]}"
