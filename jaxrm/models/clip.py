"""Dual encoders: two towers that meet in one space.

CLIP (Radford et al. 2021, arXiv 2103.00020) with a vision transformer or a ResNet, and SigLIP (Zhai et al.
2023, arXiv 2303.15343; second edition Tschannen et al. 2025, arXiv 2502.14786).
"""

import math
from dataclasses import dataclass, replace

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from jaxrm.models.layers import check_sizes, linear
from jaxrm.models.network import Network
from jaxrm.models.resnet import ResNet, ResNetConfig
from jaxrm.models.text import TextConfig, TextTower
from jaxrm.models.vit import VisionConfig, VisionTower


@dataclass(frozen=True)
class ClipConfig:
    """Two towers and the size of the space they meet in. The defaults are those of CLIP.

    Attributes:
      vision, text: the towers.
      projection: size of the common space.
      logit_scale: the initial value, a logarithm.
      logit_bias: SigLIP's, the initial value; None: there is none.
      project_image: a linear map behind the vision tower; without it the tower is `projection` wide.
      text_bias: the linear map behind the text tower has a bias (SigLIP).
    """

    vision: VisionConfig | ResNetConfig
    text: TextConfig
    projection: int = 512
    logit_scale: float = math.log(1 / 0.07)
    logit_bias: float | None = None
    project_image: bool = True
    text_bias: bool = False

    def __post_init__(self) -> None:
        check_sizes(projection=self.projection)
        if not self.project_image and self.vision.width != self.projection:
            raise ValueError(f"vision gives {self.vision.width} numbers, text {self.projection}")

    @property
    def dtype(self) -> str:
        return self.text.dtype

    def with_dtype(self, dtype: str) -> "ClipConfig":
        """The same network, computed in another dtype."""
        return replace(self, vision=self.vision.with_dtype(dtype), text=self.text.with_dtype(dtype))

    def with_attention(self, attention: str) -> "ClipConfig":
        """The same network, with attention computed in another way."""
        vision, text = (tower.with_attention(attention) for tower in (self.vision, self.text))
        return replace(self, vision=vision, text=text)


class Clip(Network):
    """The dual encoder; its weights are drawn as OpenAI's are."""

    config: ClipConfig

    def __init__(self, config: ClipConfig, *, rngs: nnx.Rngs):
        super().__init__(config, rngs=rngs)
        vision = config.vision
        is_resnet = isinstance(vision, ResNetConfig)
        self.vision = ResNet(vision, rngs=rngs) if is_resnet else VisionTower(vision, rngs=rngs)
        self.text = TextTower(config.text, rngs=rngs)
        size, dtype = config.projection, config.dtype
        image_width, text_width = config.vision.width, config.text.transformer.width
        projected = config.project_image
        project = linear(image_width, size, image_width**-0.5, dtype, rngs, bias=False) if projected else None
        self.vision_projection = project
        self.text_projection = linear(text_width, size, text_width**-0.5, dtype, rngs, bias=config.text_bias)
        self.logit_scale = nnx.Param(jnp.asarray(config.logit_scale, jnp.float32))
        bias = config.logit_bias
        self.logit_bias = None if bias is None else nnx.Param(jnp.asarray(bias, jnp.float32))

    def encode_pixels(self, pixels: Float[Array, "n h w 3"]) -> Float[Array, "n d"]:
        """Normalised pixels of the model's size -> projections, before they get unit norm."""
        x = self.vision(pixels)
        return x if self.vision_projection is None else self.vision_projection(x)

    def encode_tokens(self, tokens: Int[Array, "n length"]) -> Float[Array, "n d"]:
        """Token ids with their end-of-text -> projections, before they get unit norm."""
        return self.text_projection(self.text(tokens))

    def logits(self, images: Float[Array, "n d"], texts: Float[Array, "m d"]) -> Float[Array, "n m"]:
        """Unit vectors -> what the loss saw: scaled cosines, shifted by SigLIP's bias where there is one.

        For CLIP softmax over texts (or images) gives probabilities, for SigLIP a sigmoid of each.
        """
        scaled = jnp.exp(self.logit_scale[...].astype(images.dtype)) * (images @ texts.T)
        return scaled if self.logit_bias is None else scaled + self.logit_bias[...].astype(images.dtype)
