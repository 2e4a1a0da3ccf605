"""A CLIP checkpoint: its network and its processor, loaded, used and saved."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrm.models import Clip
from jaxrm.types import Embeddings, Frames
from jaxrm.weights import clip_hf, files
from jaxrm.weights.preprocess import (
    ImageSettings,
    ResizeMode,
    check_frames,
    default_settings,
    parse_settings,
    preprocess,
    warn_about_defaults,
)
from jaxrm.weights.processor import PREPROCESSOR, Processor
from jaxrm.weights.table import to_tensors, to_tree
from jaxrm.weights.tokens import TextProcessor, read_training_words


@dataclass(frozen=True, eq=False)
class ClipCheckpoint:
    """What `load_clip` gives: `model` is a pytree of arrays, `processor` everything else."""

    model: Clip
    processor: Processor

    def embed_images(self, frames: Frames) -> Embeddings:
        """uint8 [*b, h, w, 3] -> float32 [*b, d] of unit norm; resizes as the checkpoint says.

        For people: inside a compiled loop pass the model as an argument of `embed_frames` instead.

        Raises:
          TypeError, ValueError: frames of another dtype or shape.
        """
        check_frames(frames)
        return _embed_frames(self.model, frames, self.processor.images)

    def embed_texts(self, texts: Sequence[str]) -> Float[Array, "n d"]:
        """Sentences -> float32 [n, d] of unit norm.

        Raises:
          TypeError, ValueError: not a list of sentences, an empty one, or one longer than the context.
          FileNotFoundError: the checkpoint has no tokeniser.
        """
        return _embed_tokens(self.model, jnp.asarray(self.processor.tokenize(texts)))


def unit(x: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
    """Vectors of length one, in float32 at least."""
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


def embed_frames(model: Clip, frames: Frames, settings: ImageSettings) -> Embeddings:
    """Preprocess, encode, scale to unit norm: uint8 [*b, h, w, 3] -> float32 [*b, d]. Pure."""
    check_frames(frames)
    batch = frames.shape[:-3]
    pixels = preprocess(jnp.reshape(frames, (math.prod(batch), *frames.shape[-3:])), settings)
    embedded = unit(model.encode_pixels(pixels))
    return embedded.reshape(*batch, embedded.shape[-1])


_embed_frames = partial(jax.jit, static_argnums=2)(embed_frames)
_embed_tokens = jax.jit(lambda model, tokens: unit(model.encode_tokens(tokens)))


def load_clip(
    name: str | os.PathLike, *, dtype: str = "float32", resize: ResizeMode = "pil"
) -> ClipCheckpoint:
    """Load a CLIP: a directory, the name of a model that comes with us, or a hub id ("org/name").

    Args:
      name: what to load; only safetensors are read.
      dtype: what is computed in; weights keep the dtype of their file (float64 only under x64).
      resize: how frames of another size are resized, see `ImageSettings`.

    Raises:
      FileNotFoundError: nothing of that name, or a directory without config.json or safetensors.
      ValueError: another family of models, or weights that do not fit the config.
    """
    directory = files.find(name)
    config = clip_hf.parse_config(files.read_config(directory), dtype)
    tensors = files.read_tensors(directory)
    model = to_tree(clip_hf.table(config), Clip.abstract(config), tensors, clip_hf.IGNORED)
    size = config.vision.image_size
    if (directory / PREPROCESSOR).is_file():
        images = parse_settings(files.read_json(directory / PREPROCESSOR), size, resize)
    else:
        warn_about_defaults(directory, size)
        images = default_settings(size, resize)
    texts = TextProcessor(directory, config.text)
    return ClipCheckpoint(model, Processor(images, texts, read_training_words(directory)))


def save(clip: ClipCheckpoint, directory: str | os.PathLike) -> None:
    """Write a checkpoint in Hugging Face's format; torch's `CLIPModel.from_pretrained` reads it.

    Each file is replaced in one step; config.json comes last.
    """
    directory = Path(directory).expanduser()
    directory.mkdir(parents=True, exist_ok=True)
    config = clip.model.config
    tensors = to_tensors(clip_hf.table(config), clip.model)
    files.write_tensors(directory, tensors)
    clip.processor.save(directory)
    dtype = clip.model.vision.patch_kernel.dtype.name
    files.write_json(directory / "config.json", clip_hf.format_config(config, dtype))
