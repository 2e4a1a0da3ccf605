"""A dual encoder with its processor: loaded and used."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrm.models import Clip
from jaxrm.types import Embeddings, Frames
from jaxrm.weights import embed
from jaxrm.weights.checkpoint import Checkpoint, Options, read, save
from jaxrm.weights.embed import unit
from jaxrm.weights.preprocess import ImageSettings, ResizeMode
from jaxrm.weights.processor import Processor
from jaxrm.weights.tokens import TextProcessor, check_texts, read_training_words

__all__ = ["ClipCheckpoint", "embed_frames", "load_clip", "save", "unit"]


@dataclass(frozen=True, eq=False)
class ClipCheckpoint(Checkpoint):
    """What `load_clip` gives: `model` is a pytree of arrays, `processor` everything else."""

    model: Clip

    def embed_images(self, frames: Frames, *, batch: int | None = None) -> Embeddings:
        """uint8 [*b, h, w, 3] -> float32 [*b, d] of unit norm; resizes as the checkpoint says.

        For people: inside a compiled loop pass the model as an argument of `embed_frames` instead.

        Args:
          frames: any number of them.
          batch: how many are on the device at once; one compiled block serves all. None: all at once.

        Raises:
          TypeError, ValueError: frames of another dtype or shape.
        """
        return embed.in_blocks(_unit_image, self.model, frames, self.processor.images, batch)

    def embed_texts(self, texts: Sequence[str]) -> Float[Array, "n d"]:
        """Sentences -> float32 [n, d] of unit norm.

        Raises:
          TypeError, ValueError: not a list of sentences, or an empty one.
          FileNotFoundError: the checkpoint has no tokeniser.
        """
        check_texts(texts)
        return _embed_tokens(self.model, jnp.asarray(self.processor.tokenize(texts)))


def embed_frames(
    model: Clip, frames: Frames, settings: ImageSettings, batch: int | None = None
) -> Embeddings:
    """Preprocess, encode, scale to unit norm: uint8 [*b, h, w, 3] -> float32 [*b, d]. Pure.

    `batch`: how many frames are in work at once; None: all of them.
    """
    return embed.run(_unit_image, model, frames, settings, batch)


def _unit_image(model: Any, pixels: Float[Array, "n h w 3"], /) -> Float[Array, "n d"]:
    return unit(model.encode_pixels(pixels))


_embed_tokens = jax.jit(lambda model, tokens: unit(model.encode_tokens(tokens)))


def load_clip(
    name: str | os.PathLike,
    *,
    dtype: str = "float32",
    param_dtype: str | None = None,
    resize: ResizeMode = "pil",
    attention: str = "einsum",
) -> ClipCheckpoint:
    """Load a dual encoder: a directory, the name of a model that comes with us, or a hub id ("org/name").

    The family is read from the config files: CLIP and SigLIP (the second edition too, where its resolution
    is fixed) of Hugging Face, CLIP of open_clip, ResNets included.

    Args:
      name: what to load; only safetensors are read.
      dtype: what is computed in (float64 only under x64).
      param_dtype: what the weights are kept in; None: the dtype of their file.
      resize: how frames of another size are resized, see `ImageSettings`.
      attention: how attention is computed: "einsum" everywhere, "xla", or "cudnn" on NVIDIA in bfloat16.

    Raises:
      FileNotFoundError: nothing of that name, or a directory without a config file or safetensors.
      ValueError: another family of models, or weights that do not fit the config.
    """
    options = Options(dtype, param_dtype, resize, attention)
    directory, model, images, others = read(name, options, "load_clip")
    assert isinstance(model, Clip)
    texts = TextProcessor(directory, model.config.text)
    return ClipCheckpoint(model, Processor(images, texts, read_training_words(directory)), others)
