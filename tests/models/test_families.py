"""ResNet, SigLIP, DINOv2 and ConvNeXt against golden files of torch, and the published networks by shape."""

import time
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrm.models import Clip, ConvNext, VisionTower
from jaxrm.models.variants import CLIP, CONVNEXT, DINOV2, RESNET, SIGLIP
from jaxrm.weights import load_clip, load_tower

GOLDEN = Path(__file__).parents[1] / "golden"
DUAL, TOWERS = ("siglip", "clip-rn"), ("dinov2", "convnext")

pytestmark = pytest.mark.filterwarnings("ignore:.*no preprocessor_config.json")

encode = jax.jit(lambda m, pixels, tokens: (m.encode_pixels(pixels), m.encode_tokens(tokens)))
call = jax.jit(lambda m, pixels: m(pixels))


def pairs(name: str, dtype: str):
    """(got, wanted) for each output of a golden file."""
    with np.load(GOLDEN / name / "expected.npz") as expected:
        if name in DUAL:
            model = load_clip(GOLDEN / name, dtype=dtype).model
            outputs = encode(model, expected["pixels"], expected["tokens"])
            return list(zip(outputs, (expected["image"], expected["text"]), strict=True))
        model = load_tower(GOLDEN / name, dtype=dtype).model
        return [(call(model, expected[f"pixels{i}"]), expected[f"pooled{i}"]) for i in range(2)]


@pytest.mark.parametrize("name", [*DUAL, *TOWERS])
def test_float64_equals_torch_to_1e_9(name):
    with jax.enable_x64(True):
        for number, (got, want) in enumerate(pairs(name, "float64")):
            # Of DINOv2 torch resamples positions in float32.
            atol = 2e-6 if (name, number) == ("dinov2", 1) else 1e-9
            np.testing.assert_allclose(got, want, rtol=0, atol=atol)


@pytest.mark.parametrize("name", ["siglip", "clip-rn", "dinov2"])
def test_bfloat16_points_the_same_way(name):
    for got, want in pairs(name, "bfloat16")[:1]:
        assert got.dtype == jnp.bfloat16
        got = np.asarray(got, np.float64)
        cosine = (got * want).sum(-1) / np.linalg.norm(got, axis=-1) / np.linalg.norm(want, axis=-1)
        assert cosine.min() > 0.998


@pytest.mark.parametrize(
    ("change", "least"), [({"activation": "gelu"}, 1e-5), ({"norm_eps": 1e-5}, 1e-7), ({"heads": 1}, 1e-4)]
)
def test_siglips_golden_file_sees_a_wrong_activation_eps_or_head_width(change, least):
    with jax.enable_x64(True), np.load(GOLDEN / "siglip" / "expected.npz") as expected:
        model = load_clip(GOLDEN / "siglip", dtype="float64").model
        vision, text = model.config.vision, model.config.text
        wrong = model.with_config(
            replace(
                model.config,
                vision=replace(vision, transformer=replace(vision.transformer, **change)),
                text=replace(text, transformer=replace(text.transformer, **change)),
            )
        )
        for got, want in zip(
            encode(wrong, expected["pixels"], expected["tokens"]),
            (expected["image"], expected["text"]),
            strict=True,
        ):
            assert abs(got - want).max() > least


def test_siglips_padding_matters_and_rows_must_be_full():
    model = load_clip(GOLDEN / "siglip").model
    tokens = jnp.array([[3, 4, 1, 1, 1, 1], [3, 4, 1, 1, 1, 0]])
    a, b = model.encode_tokens(tokens)
    assert abs(a - b).max() > 1e-4
    with pytest.raises(ValueError, match=r"\(2, 5\), wanted \[n, 6\]"):
        model.encode_tokens(tokens[:, :5])


def test_logits_carry_siglips_bias():
    model = load_clip(GOLDEN / "siglip").model
    x = jnp.eye(3)
    want = jnp.exp(model.logit_scale[...]) * x + model.logit_bias[...]
    np.testing.assert_allclose(model.logits(x, x), want, rtol=1e-6)


def test_statistics_of_batch_norm_get_no_gradient():
    model = load_clip(GOLDEN / "clip-rn").model
    gradient = jax.jit(jax.grad(lambda m: m.encode_pixels(jnp.ones((1, 32, 32, 3))).sum()))(model)
    norm = gradient.vision.stem[0].norm
    assert (norm.mean[...] == 0).all() and (norm.variance[...] == 0).all()
    assert abs(norm.bias[...]).max() > 0


@pytest.mark.parametrize("name", DUAL)
def test_each_image_is_seen_by_itself(name):
    """Any order, and any company: each image gives the vector that it gives alone."""
    clip = load_clip(GOLDEN / name)
    frames = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    together = clip.embed_images(frames)
    for order in ([3, 0, 4, 2, 1], [2, 2, 2, 2, 2]):
        np.testing.assert_allclose(clip.embed_images(frames[order]), together[jnp.array(order)], atol=1e-5)


def test_towers_take_other_sizes_and_say_what_is_too_small():
    tower = load_tower(GOLDEN / "dinov2").model
    assert call(tower, jnp.zeros((1, 12, 20, 3))).shape == (1, 12)
    assert tower.features(jnp.zeros((1, 12, 20, 3))).shape == (1, 1 + 2 + 2 * 4, 12)
    with pytest.raises(ValueError, match=r"wanted \[n, 15, 15, 3\] or another size of at least 5"):
        tower(jnp.zeros((1, 4, 15, 3)))
    with pytest.raises(ValueError, match="at least 8"):
        load_tower(GOLDEN / "convnext").model(jnp.zeros((1, 7, 8, 3)))
    with pytest.raises(ValueError, match=r"\(1, 33, 32, 3\), wanted \[n, 32, 32, 3\]"):
        load_clip(GOLDEN / "clip-rn").model.encode_pixels(jnp.zeros((1, 33, 32, 3)))


def size(model) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(model))


def statistics(config) -> int:
    """Running means and variances of a ResNet, which are no parameters."""
    leaves = jax.tree_util.tree_leaves_with_path(Clip.abstract(config))
    names = [(jax.tree_util.keystr(path), leaf.size) for path, leaf in leaves]
    return sum(count for name, count in names if "norm" in name and ("mean" in name or "variance" in name))


# Numbers of parameters, counted from the models of open_clip and transformers; the live comparison with both
# goes through every name and shape.
@pytest.mark.parametrize(
    ("table", "name", "parameters"),
    [
        (CLIP, "ViT-B-32", 151_277_313),
        (CLIP, "ViT-B-16", 149_620_737),
        (CLIP, "ViT-L-14", 427_616_513),
        (CLIP, "ViT-L-14-336", 427_944_193),
        (CLIP, "ViT-H-14", 986_109_441),
        (CLIP, "ViT-g-14", 1_366_678_273),
        (CLIP, "ViT-bigG-14", 2_539_567_105),
        (RESNET, "RN50", 102_007_137),
        (RESNET, "RN101", 119_688_033),
        (RESNET, "RN50x4", 178_300_601),
        (RESNET, "RN50x16", 290_979_217),
        (RESNET, "RN50x64", 623_258_305),
        (SIGLIP, "siglip-base-patch16-224", 203_155_970),
        (SIGLIP, "siglip-so400m-patch14-384", 877_960_498),
    ],
)
def test_published_sizes(table, name, parameters):
    config = table[name]
    counted = size(Clip.abstract(config))
    assert counted - (statistics(config) if table is RESNET else 0) == parameters


@pytest.mark.parametrize(
    ("network", "config", "parameters"),
    [
        (VisionTower, DINOV2["dinov2-small"], 22_056_576),
        (VisionTower, DINOV2["dinov2-giant"], 1_136_480_768),
        (ConvNext, CONVNEXT["convnext-tiny-224"], 27_820_128),
    ],
)
def test_published_towers(network, config, parameters):
    assert size(network.abstract(config)) == parameters


@pytest.mark.parametrize(
    "config", [CLIP["ViT-bigG-14"], RESNET["RN50x64"], SIGLIP["siglip2-giant-opt-patch16-384"]]
)
def test_full_size_by_shapes_alone(config):
    side, text = config.vision.image_size, config.text.context
    pixels = jax.ShapeDtypeStruct((3, side, side, 3), jnp.float32)
    tokens = jax.ShapeDtypeStruct((3, text), jnp.int32)
    image, words = jax.eval_shape(encode, Clip.abstract(config), pixels, tokens)
    assert image.shape == words.shape == (3, config.projection)


@pytest.mark.slow
def test_all_published_networks_can_be_built():
    for table in (CLIP, RESNET, SIGLIP):
        for config in table.values():
            Clip.abstract(config)
    for config in DINOV2.values():
        VisionTower.abstract(config)
    for config in CONVNEXT.values():
        ConvNext.abstract(config)


@pytest.mark.slow
def test_compile_time_does_not_grow_with_depth():
    """48 layers of bigG against 12 of B/32: blocks are scanned."""
    seconds = {}
    for name in ("ViT-B-32", "ViT-bigG-14"):
        model = Clip.abstract(CLIP[name])
        pixels = jax.ShapeDtypeStruct((2, 224, 224, 3), jnp.float32)
        lowered = jax.jit(lambda m, x: m.encode_pixels(x)).lower(model, pixels)
        start = time.process_time()
        lowered.compile()
        seconds[name] = time.process_time() - start
    print(seconds)
    assert seconds["ViT-bigG-14"] < 3 * seconds["ViT-B-32"] + 1
