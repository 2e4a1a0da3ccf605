"""`jaxrm inspect`: what it says is what is there."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxrm
from jaxrm import cli
from jaxrm.describe import describe
from jaxrm.models import (
    Clip,
    ClipConfig,
    ConvNext,
    ConvNextConfig,
    ResNetConfig,
    TextConfig,
    TransformerConfig,
    VisionConfig,
    VisionTower,
)
from jaxrm.weights import Checkpoint, Processor, TextProcessor, default_settings

GOLDEN = Path(__file__).parent / "golden"

pytestmark = pytest.mark.filterwarnings("ignore:.*no preprocessor_config.json")


def test_what_a_checkpoint_is():
    told = dict(describe(GOLDEN / "clip-quick-gelu"))
    clip = jaxrm.load_clip(GOLDEN / "clip-quick-gelu")
    count = sum(leaf.size for leaf in jax.tree.leaves(clip.model))
    assert told["image"] == "16 x 16 pixels -> 12 numbers"
    assert told["parameters"].startswith(f"{count / 1000:.3g} k in float32")
    assert "model_type" not in told["family"] and "clip" in told["family"]
    assert (
        "width 24" in told["  vision"]
        and "quick_gelu" in told["  vision"]
        and "vocabulary 61" in told["  text"]
    )
    assert told["tokeniser"] == "BPE, 61 entries, context of 16 tokens"
    assert told["training words"].startswith("13: a, arms, both")
    assert "bicubic to shorter edge 16; middle 16 x 16" in told["preprocessing"]


def test_a_checkpoint_without_tokeniser_and_words():
    told = dict(describe(GOLDEN / "clip-gelu-odd"))
    assert told["tokeniser"] == "none: it embeds images only" and "training words" not in told


def test_inspect_prints_it(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert cli.main(["inspect", str(GOLDEN / "clip-quick-gelu")]) == 0
    out = capsys.readouterr().out
    assert "FLOPs a frame" in out and "training words" in out and "16 x 16 pixels" in out


BLOCKS = TransformerConfig(width=24, layers=2, heads=3, mlp_width=48, activation="gelu_pytorch_tanh")
TEXT = TextConfig(BLOCKS, vocabulary=40, context=9, eos_token_id=2)
QUICK = TextConfig(replace(BLOCKS, activation="quick_gelu"), vocabulary=40, context=9, eos_token_id=2)
RESNET = ResNetConfig((1, 1, 1, 1), channels=8, image_size=64, width=14)
DINOV2 = VisionConfig(
    replace(BLOCKS, layer_scale=1.0, activation="gelu"),
    20,
    5,
    pre_norm=False,
    patch_bias=True,
    mask_token=True,
    other_sizes="bicubic",
)
OTHERS = {
    "CLIP's ResNet": (Clip, ClipConfig(RESNET, QUICK, 14, project_image=False), "open_clip"),
    "ConvNeXt": (ConvNext, ConvNextConfig((8, 12), (1, 2), image_size=16), "convnext"),
    "DINOv2": (VisionTower, DINOV2, "dinov2"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_families(name, tmp_path):
    network, config, kind = OTHERS[name]
    size = getattr(config, "vision", config).image_size
    texts = TextProcessor(tmp_path, config.text) if network is Clip else None
    # drawing random weights would take longer than all else here
    model = jax.tree.map(lambda leaf: np.full(leaf.shape, 0.01, leaf.dtype), network.abstract(config))
    jaxrm.save(Checkpoint(model, Processor(default_settings(size), texts)), tmp_path)
    told = dict(describe(tmp_path))
    assert kind in told["family"] and told["image"].startswith(f"{size} x {size} pixels -> ")
    assert told["FLOPs a frame"] and told["parameters"] and told["preprocessing"]
    assert ("FLOPs a text" in told) == (network is Clip)
