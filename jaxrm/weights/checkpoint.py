"""Directories <-> networks, for every family alike."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxrm.models import Network, VisionConfig
from jaxrm.models.convnext import ConvNextConfig
from jaxrm.weights import clip_open, files
from jaxrm.weights.family import OPEN_CLIP, Family, family_of, read_family, require
from jaxrm.weights.preprocess import (
    ImageSettings,
    ResizeMode,
    check_mode,
    default_settings,
    parse_settings,
    warn_about_defaults,
)
from jaxrm.weights.processor import PREPROCESSOR, Processor
from jaxrm.weights.table import leaves_by_path, to_tensors, to_tree

DTYPES = ("float32", "bfloat16", "float16", "float64")


@dataclass(frozen=True)
class Options:
    """How to load.

    Attributes:
      dtype: what is computed in; float64 only under x64.
      param_dtype: what the weights are kept in; None: the dtype of their file.
      resize: how frames of another size are resized, see `ImageSettings`.
      attention: "einsum", "xla" or "cudnn", see `jaxrm.models.attention`.
    """

    dtype: str = "float32"
    param_dtype: str | None = None
    resize: ResizeMode = "pil"
    attention: str = "einsum"

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES or self.param_dtype not in (None, *DTYPES):
            wrong = self.param_dtype if self.dtype in DTYPES else self.dtype
            raise ValueError(f"unknown dtype {wrong!r}; known: {', '.join(DTYPES)}")
        check_mode(self.resize)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What the loaders give: `model` is a pytree of arrays, `processor` everything else.

    Attributes:
      model: the network.
      processor: the host side.
      others: tensors of the file that are no weights, such as counters of batches; saved again.
    """

    model: Any
    processor: Processor
    others: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)


def read(
    name: str | os.PathLike, options: Options, loader: Literal["load_clip", "load_tower"]
) -> tuple[Path, Network, ImageSettings, dict[str, np.ndarray]]:
    """Find a checkpoint, read it, and check all of it -> directory, network, image settings, other tensors.

    Raises:
      FileNotFoundError, ValueError: see `load_clip`.
    """
    directory = files.find(name)
    family, given = read_family(directory)
    require(family, directory, loader)
    with files.naming(directory / family.config_file):
        config = family.parse_config(given, options.dtype)
    config = config.with_attention(options.attention)
    weights, others = family.sort(files.read_tensors(directory, (family.weights_file,)))
    model = to_tree(family.table(config), family.network.abstract(config), weights)
    if options.param_dtype is not None:
        model = model.with_param_dtype(options.param_dtype)
    return directory, model, _read_images(directory, family, config, given, options.resize), others


def _read_images(
    directory: Path, family: Family, config: Any, given: Mapping[str, Any], mode: ResizeMode
) -> ImageSettings:
    vision = getattr(config, "vision", config)
    size = vision.image_size
    any_size = isinstance(vision, ConvNextConfig) or (
        isinstance(vision, VisionConfig) and vision.other_sizes is not None
    )
    if family is OPEN_CLIP:
        with files.naming(directory / family.config_file):
            return clip_open.parse_images(given, size, mode)
    if (path := directory / PREPROCESSOR).is_file():
        with files.naming(path):
            return parse_settings(files.read_json(path), size, mode, any_size=any_size)
    warn_about_defaults(directory, size, family.name)
    return default_settings(size, mode, family.mean, family.std)


def save(checkpoint: Checkpoint, directory: str | os.PathLike) -> None:
    """Write a checkpoint in the format of its family, which torch reads: Hugging Face's, or open_clip's
    for CLIP's ResNets.

    Each file is replaced in one step; the config comes last. Loading it again gives the same bits.
    """
    model = checkpoint.model
    family = family_of(model.config)
    tensors = to_tensors(family.table(model.config), model)
    directory = Path(directory).expanduser()
    directory.mkdir(parents=True, exist_ok=True)
    belongs = family.sort(checkpoint.others)[1]
    files.write_tensors(directory, tensors | belongs, family.weights_file)
    checkpoint.processor.save(directory)
    dtype = next(iter(leaves_by_path(model).values())).dtype.name
    written = family.format_config(model.config, dtype)
    if family is OPEN_CLIP:
        written["preprocess_cfg"] = clip_open.format_images(checkpoint.processor.images)
    files.write_json(directory / family.config_file, written)
