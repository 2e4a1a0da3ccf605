"""Networks as values: arrays only, no tokenisers. Flax NNX modules used as plain pytrees."""

from jaxrm.models.clip import Clip, ClipConfig
from jaxrm.models.text import TextConfig, TextTower
from jaxrm.models.transformer import ACTIVATIONS, Transformer, TransformerConfig
from jaxrm.models.vit import VisionConfig, VisionTower

__all__ = [
    "ACTIVATIONS",
    "Clip",
    "ClipConfig",
    "TextConfig",
    "TextTower",
    "Transformer",
    "TransformerConfig",
    "VisionConfig",
    "VisionTower",
]
