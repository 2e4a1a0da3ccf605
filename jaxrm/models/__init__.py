"""Networks as values: arrays only, no tokenisers. Flax NNX modules used as plain pytrees."""

from jaxrm.models.attention import ATTENTIONS
from jaxrm.models.blocks import BlocksConfig
from jaxrm.models.clip import Clip, ClipConfig
from jaxrm.models.convnext import ConvNext, ConvNextConfig
from jaxrm.models.decoder import Decoder, DecoderConfig
from jaxrm.models.layers import ACTIVATIONS
from jaxrm.models.network import Network
from jaxrm.models.resnet import ResNet, ResNetConfig
from jaxrm.models.text import TextConfig, TextTower
from jaxrm.models.transformer import Transformer, TransformerConfig
from jaxrm.models.vit import VisionConfig, VisionTower

__all__ = [
    "ACTIVATIONS",
    "ATTENTIONS",
    "BlocksConfig",
    "Clip",
    "ClipConfig",
    "ConvNext",
    "ConvNextConfig",
    "Decoder",
    "DecoderConfig",
    "Network",
    "ResNet",
    "ResNetConfig",
    "TextConfig",
    "TextTower",
    "Transformer",
    "TransformerConfig",
    "VisionConfig",
    "VisionTower",
]
