"""`jaxrm inspect`: what it says is what is there."""

from pathlib import Path

import jax
import pytest

import jaxrm
from jaxrm import cli
from jaxrm.describe import describe

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
