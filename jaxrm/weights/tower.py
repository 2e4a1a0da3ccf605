"""An image tower alone, with its processor: a backbone for rewards that learn."""

import os
from dataclasses import dataclass
from typing import Any

from jaxtyping import Array, Float

from jaxrm.models import ConvNext, VisionTower
from jaxrm.types import Embeddings, Frames
from jaxrm.weights import embed
from jaxrm.weights.checkpoint import Checkpoint, Options, read
from jaxrm.weights.preprocess import ResizeMode
from jaxrm.weights.processor import Processor


@dataclass(frozen=True, eq=False)
class TowerCheckpoint(Checkpoint):
    """What `load_tower` gives: `model` is a pytree of arrays, `processor` everything else.

    `model(pixels)` gives one vector an image, `model.features(pixels)` all tokens or places.
    """

    model: VisionTower | ConvNext

    def embed_images(self, frames: Frames, *, batch: int | None = None) -> Embeddings:
        """uint8 [*b, h, w, 3] -> float32 [*b, d]; torch's `pooler_output`, not of unit norm.

        Args:
          frames: any number of them; resized as the checkpoint says.
          batch: how many are on the device at once; one compiled block serves all. None: all at once.

        Raises:
          TypeError, ValueError: frames of another dtype or shape.
        """
        return embed.in_blocks(_image, self.model, frames, self.processor.images, batch)


def _image(model: Any, pixels: Float[Array, "n h w 3"], /) -> Float[Array, "n d"]:
    x = model(pixels)
    return x.astype("float32") if x.dtype.itemsize < 4 else x


def load_tower(
    name: str | os.PathLike,
    *,
    dtype: str = "float32",
    param_dtype: str | None = None,
    resize: ResizeMode = "pil",
    attention: str = "einsum",
) -> TowerCheckpoint:
    """Load DINOv2, with or without registers, or ConvNeXt from a directory or a hub id ("org/name").

    A classifier's last layer is left out. The arguments are those of `load_clip`.

    Raises:
      FileNotFoundError: nothing of that name, or a directory without a config file or safetensors.
      ValueError: another family of models, or weights that do not fit the config.
    """
    options = Options(dtype, param_dtype, resize, attention)
    _, model, images, others = read(name, options, "load_tower")
    assert isinstance(model, (VisionTower, ConvNext))
    return TowerCheckpoint(model, Processor(images), others)
