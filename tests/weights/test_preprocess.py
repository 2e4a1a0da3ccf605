"""Frames -> pixels: 0 values away from Pillow, equal to transformers, and errors that say what is wanted."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxrm.weights import default_settings, load_clip, preprocess
from jaxrm.weights.preprocess import format_settings, parse_settings
from jaxrm.weights.resize import pil_resize, torch_bicubic

GOLDEN = Path(__file__).parents[1] / "golden"
PILLOW = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
SETTINGS = default_settings(16)


def frames(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 256, (*shape, 3), dtype=np.uint8)


resize = jax.jit(pil_resize, static_argnums=(1, 2, 3))


@pytest.mark.parametrize("resample", PILLOW)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((480, 480), (224, 224)),
        ((336, 336), (224, 224)),
        ((256, 256), (224, 224)),
        ((128, 128), (224, 224)),
        ((64, 64), (224, 224)),
        ((240, 320), (224, 298)),
        ((100, 300), (224, 672)),
        ((400, 600), (64, 96)),
        ((7, 5), (9, 7)),
    ],
)
def test_no_value_differs_from_pillow(old, new, resample):
    frame = frames(*old)
    want = Image.fromarray(frame).resize(new[::-1], PILLOW[resample])
    assert (np.asarray(resize(frame, *new, resample)) != np.asarray(want)).sum() == 0


@pytest.mark.parametrize(("old", "new"), [((500, 31), (64, 64)), ((31, 500), (64, 64)), ((50, 60), (70, 20))])
def test_a_squash_is_horizontal_first(old, new):
    """Each of Pillow's passes by itself: which goes first in one call depends on its version."""
    frame = frames(*old)
    across = Image.fromarray(frame).resize((new[1], old[0]), Image.Resampling.BICUBIC)
    want = across.resize(new[::-1], Image.Resampling.BICUBIC)
    assert (np.asarray(resize(frame, *new, "bicubic")) != np.asarray(want)).sum() == 0


def test_extremes_are_clipped_and_not_wrapped():
    """Bicubic overshoots at an edge between 0 and 255."""
    frame = np.where(np.arange(40)[:, None, None] < 20, 0, 255) * np.ones((40, 40, 3), int)
    frame = frame.astype(np.uint8)
    want = Image.fromarray(frame).resize((56, 56), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(resize(frame, 56, 56, "bicubic"), want)


def test_equals_transformers_processor():
    with np.load(GOLDEN / "clip-quick-gelu" / "expected.npz") as expected:
        settings = load_clip(GOLDEN / "clip-quick-gelu").processor.images
        got = preprocess(expected["frames"], settings)
        np.testing.assert_allclose(got, expected["frame_pixels"], rtol=0, atol=2e-6)


def test_a_frame_of_the_models_size_is_not_resized():
    frame = frames(16, 16)
    for change in ({}, {"mode": "vlmrm"}, {"mode": "vlmrm", "resize_to": 18}, {"resize_to": None}):
        settings = replace(SETTINGS, **change)
        assert settings.keeps_own_size
        want = (frame / 255 - np.array(settings.mean)) / np.array(settings.std)
        np.testing.assert_allclose(preprocess(frame, settings), want, atol=1e-5)


@pytest.mark.parametrize(
    "given",
    [
        {"size": {"shortest_edge": 18}, "crop_size": {"height": 16, "width": 16}},  # DINOv2's kind
        {"size": {"shortest_edge": 16}, "crop_pct": 16 / 18},  # ConvNeXt's
    ],
)
def test_a_frame_of_the_models_size_is_enlarged_and_cropped_where_the_file_says_so(given):
    """As torch's processors do, which do not look at the model's size before they resize."""
    settings = parse_settings(given, 16, any_size=True)
    frame = frames(16, 16)
    large = Image.fromarray(frame).resize((18, 18), Image.Resampling.BICUBIC)
    want = (np.asarray(large)[1:17, 1:17] / 255 - np.array(settings.mean)) / np.array(settings.std)
    assert (settings.size, settings.resize_to, settings.keeps_own_size) == (16, 18, False)
    np.testing.assert_allclose(preprocess(frame, settings), want, atol=1e-5)


PUBLISHED = {
    "convnext": {"size": {"shortest_edge": 224}, "crop_pct": 0.875, "resample": 3},
    "convnext ": {"size": {"shortest_edge": 384}, "crop_pct": 0.875, "resample": 2},
    "bit": {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}, "resample": 3},
}


@pytest.mark.parity
@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("shape", [(224, 224), (256, 256), (300, 200), (64, 80)])
def test_towers_get_what_torch_gives_them(name, shape):
    """ConvNeXt's and DINOv2's own processors (DINOv2 has that of BiT)."""
    pytest.importorskip("torch", reason="the extra `parity` is not installed")
    name, given = name.strip(), PUBLISHED[name]
    theirs = pytest.importorskip(f"transformers.models.{name}.image_processing_pil_{name}")
    kind = theirs.ConvNextImageProcessorPil if name == "convnext" else theirs.BitImageProcessorPil
    frame = frames(1, *shape)
    want = kind(**given)(list(frame), return_tensors="np")["pixel_values"].transpose(0, 2, 3, 1)
    both = {"image_mean": kind.image_mean, "image_std": kind.image_std}
    settings = parse_settings(given | both, 224, any_size=True)
    np.testing.assert_allclose(preprocess(frame, settings), want, rtol=0, atol=2e-6)


def test_convnext_crops_by_its_default_where_the_file_does_not_say():
    for key in ("image_processor_type", "feature_extractor_type"):
        settings = parse_settings({"size": 224, "crop_pct": None, key: "ConvNextFeatureExtractor"}, 224)
        assert (settings.resize_to, settings.crop, settings.size) == (256, True, 224)


def test_the_middle_is_cut_out():
    frame = np.zeros((16, 25, 3), np.uint8)
    frame[:, 4:20] = 255  # (25 - 16) // 2 = 4
    plain = replace(SETTINGS, mean=(0.0,) * 3, std=(1.0,) * 3)
    np.testing.assert_array_equal(preprocess(frame, plain), np.ones((16, 16, 3)))


def test_vlmrm_squashes_without_antialias():
    """Closed form: shrinking by an odd factor, plain bicubic picks the middle pixel of each block."""
    image = jnp.asarray(frames(30, 60), jnp.float32)
    np.testing.assert_allclose(torch_bicubic(image, 10, 20), image[1::3, 1::3], atol=1e-3)
    settings = replace(default_settings(10), mode="vlmrm", mean=(0.0,) * 3, std=(1.0,) * 3)
    frame = frames(30, 50)
    np.testing.assert_allclose(preprocess(frame, settings), frame[1::3, 2::5] / 255, atol=1e-5)


def test_jit_vmap_and_batches_agree():
    many = frames(2, 3, 20, 24)
    plain = preprocess(many, SETTINGS)
    assert plain.shape == (2, 3, 16, 16, 3) and plain.dtype == jnp.float32
    one = jax.jit(preprocess, static_argnums=1)
    np.testing.assert_allclose(one(many, SETTINGS), plain, atol=1e-6)
    np.testing.assert_allclose(jax.vmap(lambda x: preprocess(x, SETTINGS))(many), plain, atol=1e-6)
    np.testing.assert_allclose(one(many[1, 2], SETTINGS), plain[1, 2], atol=1e-6)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (np.zeros((16, 16, 3), np.float32), TypeError, "float32, wanted uint8"),
        (np.zeros((16, 16, 3), np.int32), TypeError, "int32, wanted uint8"),
        ([[0, 0, 0]], TypeError, "are a list, wanted an array"),
        (np.zeros((16, 16), np.uint8), ValueError, r"\[16, 16\], wanted \[\*batch, height, width, 3\]"),
        (np.zeros((3, 16, 16), np.uint8), ValueError, r"\[3, 16, 16\], wanted"),
        (np.zeros((16, 16, 4), np.uint8), ValueError, r"\[16, 16, 4\], wanted"),
        (np.zeros((0, 16, 3), np.uint8), ValueError, r"\[0, 16, 3\], wanted"),
    ],
)
def test_frames_of_another_kind_say_what_is_wanted(given, error, message):
    with pytest.raises(error, match=message):
        preprocess(given, SETTINGS)
    if not isinstance(given, list):
        with pytest.raises(error, match=message):
            jax.jit(lambda x: preprocess(x, SETTINGS))(given)


def test_settings_there_and_back():
    for settings in (SETTINGS, replace(SETTINGS, resize_to=(16, 16), crop=False, mean=(0.5,) * 3)):
        assert parse_settings(format_settings(settings), 16) == settings


@pytest.mark.parametrize("size", [20, {"shortest_edge": 20}])
def test_old_and_new_spellings_of_a_size(size):
    settings = parse_settings({"size": size, "crop_size": 16}, 16)
    assert (settings.resize_to, settings.crop) == (20, True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"crop_size": 20}, "images of 20, but the model takes 16"),
        ({"do_center_crop": False, "size": {"height": 20, "width": 16}}, r"\(20, 16\), but"),
        ({"resample": 1}, "filter 1"),
        ({"size": {"longest_edge": 3}}, "longest_edge"),
    ],
)
def test_settings_that_do_not_fit_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        parse_settings(given, 16)


def test_a_frame_that_cannot_reach_the_models_size_is_refused():
    with pytest.raises(ValueError, match="20x24 pixels reach a model that takes 16x16"):
        preprocess(frames(20, 24), replace(SETTINGS, resize_to=None, crop=False))
