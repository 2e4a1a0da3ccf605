"""The published networks: one table per family, name -> config.

A config says shapes and activations; weights come from a checkpoint. `Clip.create(CLIP["ViT-B-32"], key)`
draws random ones.
"""

from jaxrm.models.clip import ClipConfig
from jaxrm.models.convnext import ConvNextConfig
from jaxrm.models.resnet import ResNetConfig
from jaxrm.models.text import LEGACY_EOS, TextConfig
from jaxrm.models.transformer import TransformerConfig
from jaxrm.models.vit import VisionConfig

Four = tuple[int, int, int, int]
Blocks = Four  # width, layers, heads, width of the perceptron


def _clip(activation: str, image: Blocks, patch: int, text: Blocks, size: int, side: int = 224) -> ClipConfig:
    towers = (TransformerConfig(*blocks, activation) for blocks in (image, text))
    return ClipConfig(VisionConfig(next(towers), side, patch), TextConfig(next(towers)), size)


_TEXT_512, _TEXT_768 = (512, 12, 8, 2048), (768, 12, 12, 3072)
_TEXT_1024, _TEXT_1280 = (1024, 24, 16, 4096), (1280, 32, 20, 5120)
_B, _L = (768, 12, 12, 3072), (1024, 24, 16, 4096)

# OpenAI: Radford et al. 2021, arXiv 2103.00020, table 20. LAION: Schuhmann et al. 2022, arXiv 2210.08402, and
# open_clip's model cards; head widths of 80, 88 and 104.
CLIP: dict[str, ClipConfig] = {
    "ViT-B-32": _clip("quick_gelu", _B, 32, _TEXT_512, 512),
    "ViT-B-16": _clip("quick_gelu", _B, 16, _TEXT_512, 512),
    "ViT-L-14": _clip("quick_gelu", _L, 14, _TEXT_768, 768),
    "ViT-L-14-336": _clip("quick_gelu", _L, 14, _TEXT_768, 768, 336),
    "ViT-H-14": _clip("gelu", (1280, 32, 16, 5120), 14, _TEXT_1024, 1024),
    "ViT-g-14": _clip("gelu", (1408, 40, 16, 6144), 14, _TEXT_1024, 1024),
    "ViT-bigG-14": _clip("gelu", (1664, 48, 16, 8192), 14, _TEXT_1280, 1280),
}


def _resnet(
    layers: tuple[int, int, int, int], channels: int, size: int, output: int, text: int
) -> ClipConfig:
    tower = TransformerConfig(text, 12, text // 64, 4 * text, "quick_gelu")
    return ClipConfig(
        ResNetConfig(layers, channels, size, output),
        TextConfig(tower, eos_token_id=LEGACY_EOS),
        output,
        project_image=False,
    )


# Radford et al. 2021, arXiv 2103.00020, table 19.
RESNET: dict[str, ClipConfig] = {
    "RN50": _resnet((3, 4, 6, 3), 64, 224, 1024, 512),
    "RN101": _resnet((3, 4, 23, 3), 64, 224, 512, 512),
    "RN50x4": _resnet((4, 6, 10, 6), 80, 288, 640, 640),
    "RN50x16": _resnet((6, 8, 18, 8), 96, 384, 768, 768),
    "RN50x64": _resnet((3, 15, 36, 10), 128, 448, 1024, 1024),
}


def _siglip(image: Blocks, patch: int, side: int, text: Blocks, vocabulary: int) -> ClipConfig:
    towers = (TransformerConfig(*b, "gelu_pytorch_tanh", norm_eps=1e-6) for b in (image, text))
    vision = VisionConfig(next(towers), side, patch, pool="query", pre_norm=False, patch_bias=True)
    return ClipConfig(
        vision,
        TextConfig(next(towers), vocabulary, 64, -1, "last"),
        image[0],
        logit_scale=2.302585,
        logit_bias=-10.0,
        project_image=False,
        text_bias=True,
    )


_SO400M, _GIANT = (1152, 27, 16, 4304), (1536, 40, 16, 6144)
_C4, _GEMMA = 32_000, 256_000  # vocabularies of the first and the second edition

# Zhai et al. 2023, arXiv 2303.15343; shapes of so400m: Alabdulmohsin et al. 2023, arXiv 2305.13035.
# Second edition: Tschannen et al. 2025, arXiv 2502.14786.
SIGLIP: dict[str, ClipConfig] = {
    **{f"siglip-base-patch16-{s}": _siglip(_B, 16, s, _B, _C4) for s in (224, 256, 384, 512)},
    **{f"siglip-large-patch16-{s}": _siglip(_L, 16, s, _L, _C4) for s in (256, 384)},
    "siglip-so400m-patch14-224": _siglip(_SO400M, 14, 224, _SO400M, _C4),
    "siglip-so400m-patch14-384": _siglip(_SO400M, 14, 384, _SO400M, _C4),
    "siglip2-base-patch32-256": _siglip(_B, 32, 256, _B, _GEMMA),
    **{f"siglip2-base-patch16-{s}": _siglip(_B, 16, s, _B, _GEMMA) for s in (224, 256, 384, 512)},
    **{f"siglip2-large-patch16-{s}": _siglip(_L, 16, s, _L, _GEMMA) for s in (256, 384, 512)},
    **{f"siglip2-so400m-patch14-{s}": _siglip(_SO400M, 14, s, _SO400M, _GEMMA) for s in (224, 384)},
    **{f"siglip2-so400m-patch16-{s}": _siglip(_SO400M, 16, s, _SO400M, _GEMMA) for s in (256, 384, 512)},
    **{f"siglip2-giant-opt-patch16-{s}": _siglip(_GIANT, 16, s, _SO400M, _GEMMA) for s in (256, 384)},
}


def _dinov2(
    width: int, layers: int, heads: int, *, gated: bool = False, registers: bool = False
) -> VisionConfig:
    mlp, activation = (4096, "silu") if gated else (4 * width, "gelu")
    return VisionConfig(
        TransformerConfig(width, layers, heads, mlp, activation, 1e-6, gated=gated, layer_scale=1.0),
        518,
        14,
        pre_norm=False,
        patch_bias=True,
        registers=4 if registers else 0,
        mask_token=True,
        other_sizes="bicubic-antialias" if registers else "bicubic",
    )


# Oquab et al. 2023, arXiv 2304.07193, table 17; registers: Darcet et al. 2024, arXiv 2309.16588.
_DINOV2 = {"small": (384, 12, 6), "base": (768, 12, 12), "large": (1024, 24, 16), "giant": (1536, 40, 24)}
DINOV2: dict[str, VisionConfig] = {
    f"dinov2-{'with-registers-' if registers else ''}{size}": _dinov2(
        *shape, gated=size == "giant", registers=registers
    )
    for registers in (False, True)
    for size, shape in _DINOV2.items()
}

# Liu et al. 2022, arXiv 2201.03545, section 3 and appendix A.
_DEEP = (3, 3, 27, 3)
CONVNEXT: dict[str, ConvNextConfig] = {
    "convnext-tiny-224": ConvNextConfig((96, 192, 384, 768), (3, 3, 9, 3)),
    "convnext-small-224": ConvNextConfig((96, 192, 384, 768), _DEEP),
    "convnext-base-224": ConvNextConfig((128, 256, 512, 1024), _DEEP),
    "convnext-large-224": ConvNextConfig((192, 384, 768, 1536), _DEEP),
    "convnext-xlarge-224-22k": ConvNextConfig((256, 512, 1024, 2048), _DEEP),
}
