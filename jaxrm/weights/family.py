"""The families of models that we load and save: which files each has, and how they map to our networks."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxrm.models import Clip, ConvNext, ConvNextConfig, Network, ResNetConfig, VisionConfig, VisionTower
from jaxrm.models.decoder import Decoder, DecoderConfig
from jaxrm.weights import (
    clip_hf,
    clip_open,
    convnext_hf,
    decoder_gpt2,
    decoder_llama,
    decoder_mpt,
    decoder_neox,
    dinov2_hf,
    files,
    siglip_hf,
)
from jaxrm.weights.preprocess import CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD
from jaxrm.weights.table import Row

CONFIG, OPEN_CLIP_CONFIG = "config.json", "open_clip_config.json"
_HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Family:
    """One published format.

    Attributes:
      name: what people call it.
      network: our class; `Clip` is for `load_clip`, `Decoder` for `load_decoder`, others for `load_tower`.
      table, parse_config, format_config: see the modules `clip_hf` and so on.
      model_types: what config.json calls it; none: the format is open_clip's.
      ignored: names of tensors that are no weights; they are kept aside and written back.
      dropped: names of tensors of a head that is not ours to keep.
      prefix: what names begin with where the network was published inside a larger one.
      rename: names that a file may have -> those of the table.
      mean, std: of its images, where a checkpoint does not say.
    """

    name: str
    network: type[Network]
    table: Callable[[Any], tuple[Row, ...]]
    parse_config: Callable[[Mapping[str, Any], str], Any]
    format_config: Callable[[Any, str], dict[str, Any]]
    model_types: tuple[str, ...] = ()
    ignored: str = r"(?!)"
    dropped: str = r"(?!)"
    prefix: str = ""
    rename: Callable[[str], str] = str
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD

    @property
    def config_file(self) -> str:
        return CONFIG if self.model_types else OPEN_CLIP_CONFIG

    @property
    def loader(self) -> str:
        return {Clip: "load_clip", Decoder: "load_decoder"}.get(self.network, "load_tower")

    @property
    def weights_file(self) -> str:
        return files.SINGLE if self.model_types else files.OPEN_CLIP

    def sort(self, tensors: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """All tensors of a file -> weights, and what is no weight but belongs to the format."""
        weights, others = {}, {}
        for name, tensor in tensors.items():
            name = self.rename(name.removeprefix(self.prefix))
            if not re.search(self.dropped, name):
                (others if re.search(self.ignored, name) else weights)[name] = tensor
        return weights, others


CLIP = Family(
    "CLIP",
    Clip,
    clip_hf.table,
    clip_hf.parse_config,
    clip_hf.format_config,
    ("clip",),
    ignored=clip_hf.IGNORED,
)
OPEN_CLIP = Family(
    "open_clip",
    Clip,
    clip_open.table,
    clip_open.parse_config,
    clip_open.format_config,
    ignored=r"\.num_batches_tracked$",
)
SIGLIP = Family(
    "SigLIP",
    Clip,
    siglip_hf.table,
    siglip_hf.parse_config,
    siglip_hf.format_config,
    ("siglip",),
    ignored=clip_hf.IGNORED,
    mean=_HALF,
    std=_HALF,
)
DINOV2 = Family(
    "DINOv2",
    VisionTower,
    dinov2_hf.table,
    dinov2_hf.parse_config,
    dinov2_hf.format_config,
    ("dinov2", dinov2_hf.WITH_REGISTERS),
    dropped=r"^classifier\.",
    prefix="dinov2.",
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
)
CONVNEXT = Family(
    "ConvNeXt",
    ConvNext,
    convnext_hf.table,
    convnext_hf.parse_config,
    convnext_hf.format_config,
    ("convnext",),
    dropped=r"^classifier\.",
    prefix="convnext.",
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
)
LLAMA = Family(
    "Llama",
    Decoder,
    decoder_llama.table,
    decoder_llama.parse_config,
    decoder_llama.format_config,
    decoder_llama.MODEL_TYPES,
    dropped=r"\.rotary_emb\.inv_freq$",
)
GPT2 = Family(
    "GPT-2",
    Decoder,
    decoder_gpt2.table,
    decoder_gpt2.parse_config,
    decoder_gpt2.format_config,
    ("gpt2",),
    dropped=decoder_gpt2.DROPPED,
    rename=decoder_gpt2.rename,
)
GPT_NEOX = Family(
    "GPT-NeoX",
    Decoder,
    decoder_neox.table,
    decoder_neox.parse_config,
    decoder_neox.format_config,
    ("gpt_neox",),
    dropped=decoder_neox.DROPPED,
    rename=decoder_neox.rename,
)
MPT = Family(
    "MPT",
    Decoder,
    decoder_mpt.table,
    decoder_mpt.parse_config,
    decoder_mpt.format_config,
    decoder_mpt.MODEL_TYPES,
)
DECODERS = (LLAMA, GPT2, GPT_NEOX, MPT)
FAMILIES = (CLIP, OPEN_CLIP, SIGLIP, DINOV2, CONVNEXT, *DECODERS)


def read_family(directory: Path) -> tuple[Family, dict[str, Any]]:
    """The family of a directory, and its config file.

    config.json counts where it names a type of transformers'; timm's has none, and open_clip's repositories
    carry that too.

    Raises:
      FileNotFoundError: no config file.
      ValueError: a family that we do not have.
    """
    has_open_clip = (directory / OPEN_CLIP_CONFIG).is_file()
    given = {} if has_open_clip and not (directory / CONFIG).is_file() else files.read_config(directory)
    if has_open_clip and "model_type" not in given:
        return OPEN_CLIP, files.read_json(directory / OPEN_CLIP_CONFIG)
    kind = given.get("model_type", "clip")
    for family in FAMILIES:
        if kind in family.model_types:
            return family, given
    known = ", ".join(kind for family in FAMILIES for kind in family.model_types)
    hint = "; only SigLIP 2 of one resolution, 'siglip', is supported" if kind == "siglip2" else ""
    raise ValueError(
        f"{directory / CONFIG} is of a {kind!r} model{hint}; known: {known}, and open_clip's CLIP"
    )


_HOLDS = {"load_clip": "a dual encoder", "load_tower": "an image tower", "load_decoder": "a decoder LLM"}


def require(family: Family, directory: Path, loader: str) -> None:
    """Raise a ValueError that names the right loader where a directory was given to the wrong one."""
    if family.loader != loader:
        what = f"{_HOLDS[family.loader]}, {family.name}"
        raise ValueError(f"{directory} holds {what}: load it with `jaxrm.{family.loader}`")


def family_of(config: Any) -> Family:
    """The format that a network of ours is saved in."""
    if isinstance(config, DecoderConfig):
        return next(family for family in DECODERS if config.format in family.model_types)
    if isinstance(config, ConvNextConfig):
        return CONVNEXT
    if isinstance(config, VisionConfig):
        return DINOV2
    if config.logit_bias is not None:
        return SIGLIP
    return OPEN_CLIP if isinstance(config.vision, ResNetConfig) else CLIP
