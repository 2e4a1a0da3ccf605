"""Frames -> the pixels that a vision tower wants, inside the compiled program."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxrm.models.layers import check_sizes
from jaxrm.types import Frames
from jaxrm.weights.fields import present
from jaxrm.weights.resize import FILTERS, pil_resize, torch_bicubic

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_WARP_SIDE = 384  # ConvNeXt's images of this side and above are squashed, smaller ones cropped
_CROP_PCT = 224 / 256  # ConvNeXt's, where its file does not say
_RESAMPLE = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers

ResizeMode = Literal["pil", "vlmrm"]


@dataclass(frozen=True)
class ImageSettings:
    """How frames become pixels. Hashable, so it is a static argument of compiled functions.

    Attributes:
      size: side of the square that the model takes, in pixels.
      mode: "pil" resizes as Pillow does (OpenAI, open_clip, Hugging Face), then crops; "vlmrm" squashes
        to the square by bicubic without antialias on floats, as VLM-RM's published code did.
      resize_to: what "pil" resizes to: the shorter edge, or (height, width); None: frames keep their size.
        DINOv2 and ConvNeXt resize to 256 and crop to 224, so a frame of 224 is enlarged and cropped too.
      crop: cut the middle square of `size` out after resizing.
      resample: "bicubic" or "bilinear".
      mean, std: per channel, of values in 0..1.
      scale: what a uint8 value is multiplied by first.
    """

    size: int
    mode: ResizeMode = "pil"
    resize_to: int | tuple[int, int] | None = None
    crop: bool = True
    resample: str = "bicubic"
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD
    scale: float = 1 / 255

    def __post_init__(self) -> None:
        check_mode(self.mode)
        edges = self.resize_to if isinstance(self.resize_to, tuple) else (self.resize_to,)
        for edge in (self.size, *(edge for edge in edges if edge is not None)):
            check_sizes(size=edge)
        check_numbers("image_mean", self.mean, 3)
        check_numbers("image_std", self.std, 3, nonzero=True)
        check_numbers("rescale_factor", (self.scale,), 1, nonzero=True)

    @property
    def keeps_own_size(self) -> bool:
        """Whether a frame of the model's size reaches it as it is."""
        return self.mode == "vlmrm" or self.resize_to in (None, self.size, (self.size, self.size))


def check_mode(mode: str) -> None:
    """Raise a ValueError that lists the ways to resize."""
    if mode not in ("pil", "vlmrm"):
        raise ValueError(f"unknown resize mode {mode!r}; known: pil, vlmrm")


def check_numbers(name: str, values: Any, count: int, *, nonzero: bool = False) -> None:
    """Raise a ValueError unless these are so many finite numbers."""
    numbers = isinstance(values, tuple) and all(isinstance(x, int | float) for x in values)
    if not numbers or len(values) != count or not np.isfinite(values).all() or (nonzero and 0 in values):
        kind = "nonzero " if nonzero else ""
        raise ValueError(f"{name} is {values!r}, wanted finite {kind}numbers: {count} of them")


def default_settings(
    size: int,
    mode: ResizeMode = "pil",
    mean: tuple[float, ...] = CLIP_MEAN,
    std: tuple[float, ...] = CLIP_STD,
) -> ImageSettings:
    """CLIP's: shorter edge to the model's size, the middle square, CLIP's mean and std."""
    return ImageSettings(size=size, mode=mode, resize_to=size, mean=mean, std=std)


def parse_settings(
    given: Mapping[str, Any], size: int, mode: ResizeMode = "pil", *, any_size: bool = False
) -> ImageSettings:
    """preprocessor_config.json -> settings for a model of `size` pixels.

    `any_size`: the model takes other sizes too, and gets what the file says.

    Raises:
      ValueError: a filter that we do not have, or settings that do not lead to the model's size.
    """
    given = present(given)
    kind = str(given.get("image_processor_type", given.get("feature_extractor_type", "")))
    resample = given.get("resample", 3)
    if resample not in _RESAMPLE:
        raise ValueError(f"preprocessor_config.json asks for Pillow's filter {resample}; known: {_RESAMPLE}")
    resize_to = _size(given.get("size", size)) if given.get("do_resize", True) else None
    # SigLIP and ConvNeXt never crop by themselves, and their files do not say so.
    crops = given.get("do_center_crop", not kind.startswith("Siglip"))
    crop, cropped = crops, _size(given.get("crop_size", size)) if crops else resize_to
    if ("crop_pct" in given or kind.startswith("ConvNext")) and isinstance(resize_to, int):
        resize_to, crop, cropped = _convnext(resize_to, given.get("crop_pct", _CROP_PCT))
    if any_size and cropped is not None:
        size = cropped if isinstance(cropped, int) else cropped[0]
    if cropped is not None and cropped not in (size, (size, size)):
        raise ValueError(f"preprocessor_config.json leads to images of {cropped}, but the model takes {size}")
    normalize = given.get("do_normalize", True)
    return ImageSettings(
        size=size,
        mode=mode,
        resize_to=resize_to,
        crop=crop,
        resample=_RESAMPLE[resample],
        mean=tuple(given.get("image_mean", CLIP_MEAN)) if normalize else (0.0,) * 3,
        std=tuple(given.get("image_std", CLIP_STD)) if normalize else (1.0,) * 3,
        scale=given.get("rescale_factor", 1 / 255) if given.get("do_rescale", True) else 1.0,
    )


def _convnext(size: int, crop_pct: float) -> tuple[int | tuple[int, int], bool, int]:
    """ConvNeXt's: cut the middle `crop_pct` out, or squash large images -> resize_to, crop, the side left."""
    return ((size, size), False, size) if size >= _WARP_SIDE else (int(size / crop_pct), True, size)


def _size(value: int | Mapping[str, int]) -> int | tuple[int, int]:
    if isinstance(value, int):
        return value
    if "shortest_edge" in value:
        return value["shortest_edge"]
    if "height" in value and "width" in value:
        return value["height"], value["width"]
    raise ValueError(
        f"preprocessor_config.json has a size of {dict(value)}: wanted shortest_edge, or height and width"
    )


def format_settings(settings: ImageSettings) -> dict[str, Any]:
    """The preprocessor_config.json that transformers reads."""
    to = settings.resize_to
    size = {"shortest_edge": to} if isinstance(to, int) else {"height": to[0], "width": to[1]} if to else None
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": to is not None,
        "size": size or {"shortest_edge": settings.size},
        "resample": {name: number for number, name in _RESAMPLE.items()}[settings.resample],
        "do_center_crop": settings.crop,
        "crop_size": {"height": settings.size, "width": settings.size},
        "do_rescale": True,
        "rescale_factor": settings.scale,
        "do_normalize": True,
        "image_mean": list(settings.mean),
        "image_std": list(settings.std),
    }


def check_frames(frames: Any) -> None:
    """Frames are uint8 [*batch, height, width, 3], concrete or traced.

    Raises:
      TypeError: another dtype, or no array.
      ValueError: another shape.
    """
    shape, dtype = getattr(frames, "shape", None), getattr(frames, "dtype", None)
    if shape is None or dtype is None:
        raise TypeError(
            f"frames are a {type(frames).__name__}, wanted an array, uint8 [*batch, height, width, 3]"
        )
    if dtype != jnp.uint8:
        raise TypeError(f"frames have dtype {dtype}, wanted uint8 with values 0 to 255{_range(frames)}")
    if len(shape) < 3 or shape[-1] != 3 or 0 in shape[-3:]:
        first = len(shape) >= 3 and shape[-3] == 3
        hint = ": channels come last, so move them: np.moveaxis(frames, -3, -1)" if first else ""
        raise ValueError(f"frames have shape {list(shape)}, wanted [*batch, height, width, 3]{hint}")


def _range(frames: Any) -> str:
    """What a user with floats in hand needs to know: how to convert them, or that they are no colours."""
    if (
        isinstance(frames, jax.core.Tracer)
        or not jnp.issubdtype(frames.dtype, jnp.floating)
        or not frames.size
    ):
        return ""
    low, high = float(np.min(frames)), float(np.max(frames))
    if 0 <= low <= high <= 1:
        return "; values in 0..1 become that by (frames * 255).round().astype(np.uint8)"
    if 0 <= low <= high <= 255:
        return "; values in 0..255 become that by frames.round().astype(np.uint8)"
    return f"; values from {low:.3g} to {high:.3g} are out of range, as if normalised before: give the frames"


def preprocess(frames: Frames, settings: ImageSettings) -> Float[Array, "*batch size size 3"]:
    """uint8 frames of any size -> normalised float32 pixels of the model's size. Pure."""
    check_frames(frames)
    frames, size = jnp.asarray(frames), settings.size
    if settings.mode == "vlmrm":
        pixels = torch_bicubic(frames.astype(jnp.float32) * settings.scale, size, size)
    else:
        pixels = _resize_and_crop(frames, settings).astype(jnp.float32) * settings.scale
    mean, std = jnp.asarray(settings.mean, jnp.float32), jnp.asarray(settings.std, jnp.float32)
    return (pixels - mean) / std


def _resize_and_crop(frames: jax.Array, settings: ImageSettings) -> jax.Array:
    height, width = frames.shape[-3:-1]
    if settings.resample not in FILTERS:
        raise ValueError(f"unknown filter {settings.resample!r}; known: {', '.join(FILTERS)}")
    if isinstance(settings.resize_to, int):
        # transformers rounds the longer edge down
        short, long = sorted((height, width))
        edge, other = settings.resize_to, int(settings.resize_to * long / short)
        height, width = (edge, other) if height <= width else (other, edge)
    elif settings.resize_to is not None:
        height, width = settings.resize_to
    frames = pil_resize(frames, height, width, settings.resample)
    size = settings.size
    if (not settings.crop and (height, width) != (size, size)) or min(height, width) < size:
        raise ValueError(f"frames of {height}x{width} pixels reach a model that takes {size}x{size}")
    top, left = (height - size) // 2, (width - size) // 2
    return frames[..., top : top + size, left : left + size, :]


@cache
def warn_about_defaults(directory: Any, size: int, family: str) -> None:
    """Say once per directory that the family's own preprocessing stands in."""
    warnings.warn(
        f"{directory} has no preprocessor_config.json: frames are prepared for {size}x{size} pixels "
        f"with {family}'s mean and std",
        stacklevel=4,
    )
