"""Directories of every family there and back, memory bounded by blocks, weights spread over devices."""

import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import jaxrm
from jaxrm.models import Clip
from jaxrm.models.variants import CLIP, CONVNEXT, DINOV2, RESNET, SIGLIP
from jaxrm.weights import WeightsError, clip_open, embed, files, preprocess
from jaxrm.weights.family import FAMILIES, family_of, read_family
from jaxrm.weights.preprocess import parse_settings
from jaxrm.weights.table import names_and_shapes

GOLDEN = Path(__file__).parents[1] / "golden"
LOADERS = {
    "siglip": jaxrm.load_clip,
    "clip-rn": jaxrm.load_clip,
    "dinov2": jaxrm.load_tower,
    "convnext": jaxrm.load_tower,
}
FRAMES = np.random.default_rng(0).integers(0, 256, (7, 20, 24, 3), dtype=np.uint8)

pytestmark = pytest.mark.filterwarnings("ignore:.*no preprocessor_config.json")


@pytest.mark.parametrize("name", LOADERS)
def test_load_save_load_is_bit_equal(name, tmp_path):
    first = LOADERS[name](GOLDEN / name)
    jaxrm.save(first, tmp_path)
    second = LOADERS[name](tmp_path)
    assert second.model.config == first.model.config and second.processor.images == first.processor.images
    given, saved = files.read_tensors(GOLDEN / name), files.read_tensors(tmp_path)
    assert given.keys() == saved.keys()
    for key, tensor in given.items():
        assert saved[key].dtype == tensor.dtype and saved[key].shape == tensor.shape, key
        assert saved[key].tobytes() == tensor.tobytes(), key


def test_counters_of_batch_norm_are_kept_and_may_be_missing(tmp_path):
    clip = jaxrm.load_clip(GOLDEN / "clip-rn")
    assert clip.others["visual.bn1.num_batches_tracked"] == 7
    shutil.copytree(GOLDEN / "clip-rn", tmp_path / "copy")
    kept = {n: t for n, t in load_file(tmp_path / "copy" / files.OPEN_CLIP).items() if "num_batches" not in n}
    save_file(kept, tmp_path / "copy" / files.OPEN_CLIP)
    assert not jaxrm.load_clip(tmp_path / "copy").others


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_named(bad, tmp_path):
    directory = Path(shutil.copytree(GOLDEN / "siglip", tmp_path / "copy"))
    tensors = load_file(directory / files.SINGLE)
    tensors["vision_model.head.mlp.fc1.weight"][2, 1:3] = bad
    tensors["logit_bias"] = np.array([1])
    save_file(tensors, directory / files.SINGLE)
    with pytest.raises(WeightsError) as error:
        jaxrm.load_clip(directory)
    assert "not finite: vision_model.head.mlp.fc1.weight holds 2 nan or inf" in str(error.value)
    assert "not floating: logit_bias holds int64" in str(error.value)


def test_a_missing_layer_of_a_resnet_is_named(tmp_path):
    directory = Path(shutil.copytree(GOLDEN / "clip-rn", tmp_path / "copy"))
    tensors = load_file(directory / files.OPEN_CLIP)
    del tensors["visual.layer2.1.bn2.running_var"]
    save_file(tensors, directory / files.OPEN_CLIP)
    with pytest.raises(WeightsError, match=r"missing: visual.layer2.1.bn2.running_var \[4\]"):
        jaxrm.load_clip(directory)


@pytest.mark.parametrize(
    ("table", "count"), [(CLIP, 7), (RESNET, 5), (SIGLIP, 20), (DINOV2, 8), (CONVNEXT, 5)]
)
def test_configs_there_and_back(table, count):
    assert len(table) >= count
    for config in table.values():
        family = family_of(config)
        given = family.format_config(config, "float32")
        again = family.parse_config(given, "float32")
        if family.name == "CLIP":  # the initial value is a matter of training
            again = again.__class__(again.vision, again.text, again.projection)
        assert again == config


@pytest.mark.parametrize("name", ["RN50x64", "RN101"])
def test_every_name_of_a_full_size_resnet_is_told_apart(name):
    config = RESNET[name]
    names = names_and_shapes(clip_open.table(config), Clip.abstract(config))
    per_block = sum(config.vision.layers) * 3 + 4 + 3  # convolutions: blocks, shortcuts, stem
    assert len(names) == 5 * per_block + 9 + 6 + 12 * config.text.transformer.layers
    last = f"visual.layer3.{config.vision.layers[2] - 1}.conv2.weight"
    assert names[last] == (config.vision.channels * 4, config.vision.channels * 4, 3, 3)


def test_config_json_of_timm_beside_open_clips_does_not_count(tmp_path):
    directory = Path(shutil.copytree(GOLDEN / "clip-rn", tmp_path / "copy"))
    files.write_json(directory / "config.json", {"architecture": "resnet50_clip"})
    assert read_family(directory)[0].name == "open_clip"


@pytest.mark.parametrize(
    ("part", "field", "message"),
    [
        ("vision_cfg", {"timm_model_name": "x"}, "vision_cfg has timm_model_name = 'x'"),
        ("text_cfg", {"hf_model_name": "x"}, "text_cfg has hf_model_name = 'x'"),
        ("text_cfg", {"pool_type": "last"}, "pool_type = 'last'"),
        ("vision_cfg", {"attentional_pool": True}, "attentional_pool = True"),
    ],
)
def test_fields_of_open_clip_that_we_cannot_build_are_refused(part, field, message):
    given = files.read_json(GOLDEN / "clip-rn" / "open_clip_config.json")
    given["model_cfg"][part] |= field
    with pytest.raises(ValueError, match=message):
        clip_open.parse_config(given)


def test_open_clips_preprocessing_is_read():
    images = clip_open.parse_images(
        {"preprocess_cfg": {"mean": [0.5] * 3, "resize_mode": "squash"}}, 32, "pil"
    )
    assert images.mean == (0.5,) * 3 and images.resize_to == (32, 32) and not images.crop
    with pytest.raises(ValueError, match="'longest'"):
        clip_open.parse_images({"preprocess_cfg": {"resize_mode": "longest"}}, 32, "pil")


def test_convnext_cuts_the_middle_of_small_images_and_squashes_large_ones():
    small = parse_settings({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, 224, any_size=True)
    assert (small.resize_to, small.crop, small.size) == (256, True, 224)
    large = parse_settings({"size": {"shortest_edge": 384}, "crop_pct": 1.0}, 224, any_size=True)
    assert (large.resize_to, large.crop, large.size) == ((384, 384), False, 384)


def test_dinov2_takes_the_size_of_its_preprocessor_not_of_its_positions():
    given = {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}}
    assert parse_settings(given, 518, any_size=True).size == 224


def test_defaults_are_the_familys():
    assert jaxrm.load_clip(GOLDEN / "siglip").processor.images.mean == (0.5, 0.5, 0.5)
    assert jaxrm.load_tower(GOLDEN / "dinov2").processor.images.mean == (0.485, 0.456, 0.406)
    with pytest.raises(ValueError, match="reads no texts"):
        jaxrm.load_tower(GOLDEN / "dinov2").processor.tokenize(["a"])


@pytest.mark.parametrize("batch", [1, 3, 7, 20])
def test_blocks_give_the_same_vectors(batch):
    tower = jaxrm.load_tower(GOLDEN / "convnext")
    whole = tower.embed_images(FRAMES)
    np.testing.assert_allclose(tower.embed_images(FRAMES, batch=batch), whole, atol=1e-5)
    np.testing.assert_allclose(tower.embed_images(FRAMES[3], batch=batch), whole[3], atol=1e-5)
    inside = jax.jit(lambda frames: tower.embed_images(frames, batch=batch))
    np.testing.assert_allclose(inside(FRAMES), whole, atol=1e-5)


def test_one_compiled_block_serves_any_number_of_frames():
    tower = jaxrm.load_tower(GOLDEN / "convnext")
    tower.embed_images(FRAMES, batch=2)
    compiled = embed._run._cache_size()
    for count in (1, 2, 5, 0):
        assert tower.embed_images(FRAMES[:count], batch=2).shape == (count, 8)
    assert embed._run._cache_size() == compiled
    with pytest.raises(ValueError, match="batch is 0"):
        tower.embed_images(FRAMES, batch=0)


def test_weights_in_bfloat16_compute_in_either():
    for dtype in ("float32", "bfloat16"):
        clip = jaxrm.load_clip(GOLDEN / "siglip", dtype=dtype, param_dtype="bfloat16")
        assert {leaf.dtype.name for leaf in jax.tree.leaves(clip.model)} == {"bfloat16"}
        assert clip.embed_images(FRAMES).dtype == np.float32
        want = jaxrm.load_clip(GOLDEN / "siglip").embed_images(FRAMES)
        assert (clip.embed_images(FRAMES) * want).sum(-1).min() > 0.999


def test_attention_of_xla_agrees():
    clip = jaxrm.load_clip(GOLDEN / "clip-quick-gelu", attention="xla")
    want = jaxrm.load_clip(GOLDEN / "clip-quick-gelu")
    np.testing.assert_allclose(clip.embed_images(FRAMES), want.embed_images(FRAMES), atol=1e-5)
    words = ["a humanoid robot kneeling"]
    np.testing.assert_allclose(clip.embed_texts(words), want.embed_texts(words), atol=1e-5)
    for attention, message in (("flash", "known: einsum"), ("cudnn", "needs bfloat16")):
        with pytest.raises(ValueError, match=message):
            jaxrm.load_clip(GOLDEN / "clip-quick-gelu", attention=attention)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.full((16, 16, 3), 0.5, np.float32), r"values in 0\.\.1 become that by"),
        (np.full((16, 16, 3), 99.0), r"values in 0\.\.255 become that by"),
        (np.full((16, 16, 3), -2.1), "values from -2.1 to -2.1 are out of range"),
    ],
)
def test_float_frames_are_told_how_to_become_uint8(frames, message):
    with pytest.raises(TypeError, match=message):
        preprocess(frames, jaxrm.load_clip(GOLDEN / "clip-quick-gelu").processor.images)


def test_channels_first_are_told_where_they_belong():
    with pytest.raises(ValueError, match="channels come last, so move them"):
        jaxrm.load_clip(GOLDEN / "clip-quick-gelu").embed_images(np.zeros((2, 3, 16, 16), np.uint8))


SHARDED = """
import jax, jax.numpy as jnp, numpy as np, jaxrm
from jaxrm.models.sharding import shard
mesh = jax.make_mesh((2, 4), ("data", "model"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
encode = jax.jit(lambda m, x: m.encode_pixels(x))
for name in ("siglip", "clip-rn"):
    model = jaxrm.load_clip(f"tests/golden/{name}").model
    spread = shard(model, mesh)
    side = model.config.vision.image_size
    pixels = np.random.default_rng(0).normal(size=(2, side, side, 3)).astype(np.float32)
    np.testing.assert_allclose(encode(spread, pixels), encode(model, pixels), atol=1e-5)
    held = [leaf for leaf in jax.tree.leaves(spread) if not leaf.sharding.is_fully_replicated]
    assert all(leaf.addressable_shards[0].data.size * 4 == leaf.size for leaf in held)
    print(name, sum(leaf.size for leaf in held) / sum(leaf.size for leaf in jax.tree.leaves(model)))
try:
    shard(model, mesh, "rows")
except ValueError as error:
    print(error)
"""


def test_weights_are_spread_over_devices(on_devices):
    """Over eight: the same vectors, large weights in quarters.

    In these tiny networks some widths are no multiple of four, and such weights stay whole.
    """
    code = "import jax; jax.config.update('jax_default_matmul_precision', 'highest')" + SHARDED
    lines = on_devices(code).splitlines()
    assert all(float(line.split()[1]) > 0.35 for line in lines[:2])
    assert lines[2] == "the mesh has the axes ('data', 'model'), not 'rows'"


def test_every_family_is_total():
    """A table has one row per leaf, no name twice."""
    for name in LOADERS:
        family, _ = read_family(GOLDEN / name)
        assert family in FAMILIES
        model = LOADERS[name](GOLDEN / name).model
        rows = family.table(model.config)
        names = [tensor for row in rows for layer in row.names() for tensor in layer]
        assert len(names) == len(set(names)) == len(names_and_shapes(rows, model))
