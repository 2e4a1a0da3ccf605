"""The towers against golden files of torch, in float64; each test of a trap names it."""

import math
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrm.models import ACTIVATIONS, Clip, ClipConfig, TextConfig, TransformerConfig, VisionConfig
from jaxrm.models.text import end_of_text
from jaxrm.weights import clip_hf, load_clip

GOLDEN = Path(__file__).parents[1] / "golden"
NAMES = ("clip-quick-gelu", "clip-gelu-odd", "clip-tanh-legacy")
BLOCKS = TransformerConfig(width=12, layers=2, heads=3, mlp_width=20, activation="gelu")
CONFIG = ClipConfig(
    VisionConfig(BLOCKS, image_size=8, patch_size=4), TextConfig(BLOCKS, 30, 7, 29), projection=5
)

pytestmark = pytest.mark.filterwarnings("ignore:.*no preprocessor_config.json")


@pytest.fixture(scope="module")
def model() -> Clip:
    draw = np.random.default_rng(0).normal  # compiling jax's own draws takes longer than all tests here
    return jax.tree.map(lambda x: jnp.asarray(0.3 * draw(size=x.shape), x.dtype), Clip.abstract(CONFIG))


def outputs(model: Clip, expected) -> tuple[jax.Array, jax.Array]:
    run = jax.jit(lambda m, pixels, tokens: (m.encode_pixels(pixels), m.encode_tokens(tokens)))
    return run(model, expected["pixels"], expected["tokens"])


@pytest.mark.parametrize("name", NAMES)
def test_float64_equals_torch_to_1e_9(name):
    with jax.enable_x64(True), np.load(GOLDEN / name / "expected.npz") as expected:
        image, text = outputs(load_clip(GOLDEN / name, dtype="float64").model, expected)
        assert image.dtype == text.dtype == np.float64
        np.testing.assert_allclose(image, expected["image"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(text, expected["text"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_float32_equals_torch(name):
    with np.load(GOLDEN / name / "expected.npz") as expected:
        image, text = outputs(load_clip(GOLDEN / name).model, expected)
        assert image.dtype == text.dtype == np.float32
        np.testing.assert_allclose(image, expected["image"], rtol=0, atol=1e-4)
        np.testing.assert_allclose(text, expected["text"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_points_the_same_way(name):
    with np.load(GOLDEN / name / "expected.npz") as expected:
        for got, want in zip(
            outputs(load_clip(GOLDEN / name, dtype="bfloat16").model, expected),
            (expected["image"], expected["text"]),
            strict=True,
        ):
            assert got.dtype == jnp.bfloat16
            got = np.asarray(got, np.float64)
            cosine = (got * want).sum(-1) / np.linalg.norm(got, axis=-1) / np.linalg.norm(want, axis=-1)
            assert cosine.min() > 0.998  # so narrow that one rounding turns a vector by 3 degrees


@pytest.mark.parametrize(
    ("change", "least"), [({"activation": "gelu"}, 1e-3), ({"norm_eps": 1e-3}, 1e-4), ({"heads": 1}, 1e-3)]
)
def test_the_golden_files_see_a_wrong_activation_eps_or_head_width(change, least):
    directory = GOLDEN / "clip-quick-gelu"
    with jax.enable_x64(True), np.load(directory / "expected.npz") as expected:
        model = load_clip(directory, dtype="float64").model
        vision, text = model.config.vision, model.config.text
        wrong = replace(
            model.config,
            vision=replace(vision, transformer=replace(vision.transformer, **change)),
            text=replace(text, transformer=replace(text.transformer, **change)),
        )
        model = jax.tree.unflatten(jax.tree.structure(Clip.abstract(wrong)), jax.tree.leaves(model))
        image, text = outputs(model, expected)
        assert abs(image - expected["image"]).max() > least
        assert abs(text - expected["text"]).max() > least


def test_activations_are_the_ones_of_their_names():
    x = np.linspace(-4, 4, 81)
    erf = np.vectorize(math.erf)
    with jax.enable_x64(True):
        got = {name: np.asarray(function(jnp.asarray(x))) for name, function in ACTIVATIONS.items()}
    exact = 0.5 * x * (1 + erf(x / np.sqrt(2)))
    tanh = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    for name in ("gelu", "gelu_python"):
        np.testing.assert_allclose(got[name], exact, atol=1e-12)
    for name in ("gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python_tanh"):
        np.testing.assert_allclose(got[name], tanh, atol=1e-12)
    np.testing.assert_allclose(got["quick_gelu"], x / (1 + np.exp(-1.702 * x)), atol=1e-12)


def test_an_unknown_activation_is_named():
    with pytest.raises(ValueError, match=r"'mish'.*quick_gelu"):
        replace(BLOCKS, activation="mish")


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match=r"width 12 .* 5"):
        replace(BLOCKS, heads=5)


def test_a_patch_larger_than_the_image_is_refused():
    with pytest.raises(ValueError, match="patch_size 9"):
        VisionConfig(BLOCKS, image_size=8, patch_size=9)


def test_float64_without_x64_is_refused():
    with pytest.raises(ValueError, match="enable_x64"):
        Clip.create(CONFIG.with_dtype("float64"), jax.random.key(0))


def test_end_of_text_is_the_first_eos_and_the_largest_id_in_legacy_configs():
    tokens = jnp.array([[1, 5, 9, 5, 7], [5, 5, 5, 5, 5], [1, 1, 1, 1, 1]])
    assert end_of_text(tokens, 5).tolist() == [1, 0, 0]
    assert end_of_text(tokens, 2).tolist() == [2, 0, 0]


def test_text_is_causal(model):
    """The output does not depend on what stands behind the end: its gradient there is exactly zero."""
    tokens = jnp.array([[3, 0, 29, 8, 8, 8, 8]])

    def summed(vectors):
        x = vectors + model.text.positions[...]
        x = model.text.transformer(x, causal=True)
        return x[0, 2].sum()

    gradient = jax.jit(jax.grad(summed))(model.text.embedding[...][tokens])[0]
    assert (gradient[3:] == 0).all() and (gradient[:3] != 0).any(axis=-1).all()
    short = model.encode_tokens(tokens[:, :3])
    np.testing.assert_allclose(model.encode_tokens(tokens), short, atol=1e-6)


def test_id_zero_is_a_token_and_not_padding(model):
    a, b = model.encode_tokens(jnp.array([[0, 4, 29], [1, 4, 29]]))
    assert abs(a - b).max() > 1e-4


def test_wrong_shapes_say_what_is_wanted(model):
    with pytest.raises(ValueError, match=r"\(1, 9, 8, 3\), wanted \[n, 8, 8, 3\]"):
        model.encode_pixels(jnp.zeros((1, 9, 8, 3)))
    with pytest.raises(ValueError, match=r"\(1, 8\), wanted \[n, at most 7\]"):
        model.encode_tokens(jnp.zeros((1, 8), int))


def test_is_a_plain_pytree(model):
    """jit, grad and vmap of jax itself; the gradient is a Clip; two networks share one structure."""
    other = jax.tree.map(lambda leaf: leaf + 0.1, model)
    assert jax.tree.structure(model) == jax.tree.structure(Clip.abstract(CONFIG))
    pixels = jax.random.normal(jax.random.key(2), (4, 8, 8, 3))
    encode = jax.jit(lambda m, x: m.encode_pixels(x))
    want = encode(other, pixels)
    np.testing.assert_allclose(encode(model, pixels), model.encode_pixels(pixels), atol=1e-5)
    assert encode._cache_size() == 1
    gradient = jax.jit(jax.grad(lambda m: m.encode_pixels(pixels).sum()))(model)
    assert isinstance(gradient, Clip) and jax.tree.structure(gradient) == jax.tree.structure(model)
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), model, other)
    stacked = jax.jit(jax.vmap(lambda m: m.encode_pixels(pixels)))(both)
    np.testing.assert_allclose(stacked[1], want, atol=1e-5)


def test_create_gives_float32_weights_at_clips_scale_even_under_x64():
    with jax.enable_x64(True):
        model = jax.jit(Clip.create, static_argnums=0)(CONFIG, jax.random.key(0))
    qkv, out = (
        getattr(model.vision.transformer.blocks.attention, name).kernel[...] for name in ("qkv", "out")
    )
    assert qkv.shape == (2, 12, 3, 12)
    np.testing.assert_allclose([qkv.std(), out.std()], [12**-0.5, 12**-0.5 / 2], rtol=0.15)
    np.testing.assert_allclose(jnp.exp(model.logit_scale[...]), 1 / 0.07, rtol=1e-5)
    assert {leaf.dtype for leaf in jax.tree.leaves(model)} == {np.dtype("float32")}
    assert jax.tree.structure(model) == jax.tree.structure(Clip.abstract(CONFIG))


def test_with_dtype_keeps_the_weights(model):
    half = model.with_dtype("bfloat16")
    assert all(a is b for a, b in zip(jax.tree.leaves(model), jax.tree.leaves(half), strict=True))
    assert half.encode_pixels(jnp.zeros((1, 8, 8, 3))).dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        ({}, 151_277_313),  # ViT-B/32: transformers' defaults
        (
            {
                "projection_dim": 768,
                "vision_config": {
                    "hidden_size": 1024,
                    "intermediate_size": 4096,
                    "num_hidden_layers": 24,
                    "num_attention_heads": 16,
                    "patch_size": 14,
                },
                "text_config": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12},
            },
            427_616_513,  # ViT-L/14
        ),
    ],
)
def test_published_sizes(config, parameters):
    abstract = Clip.abstract(clip_hf.parse_config(config))
    assert sum(leaf.size for leaf in jax.tree.leaves(abstract)) == parameters
