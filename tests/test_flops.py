"""The count of arithmetic against closed forms, and against XLA's own count where nothing loops."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import jaxrm
from jaxrm.flops import count_flops
from jaxrm.models import Clip, Transformer, TransformerConfig, variants

GOLDEN = "tests/golden/clip-quick-gelu"


def shape(*sizes: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(sizes, jnp.float32)


def xla(function, *arguments) -> float:
    return jax.jit(function).lower(*arguments).cost_analysis()["flops"]


def convolve(x, kernel, **options):
    return jax.lax.conv_general_dilated(
        x, kernel, padding="VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"), **options
    )


def test_products_and_convolutions_as_xla_counts_them():
    cases = [
        (lambda a, b: jnp.einsum("bij,bkj->bik", a, b), shape(5, 3, 7), shape(5, 4, 7)),
        (lambda x, k: convolve(x, k, window_strides=(2, 2)), shape(2, 9, 9, 3), shape(3, 3, 3, 8)),
        (
            lambda x, k: convolve(x, k, window_strides=(1, 1), feature_group_count=6),
            shape(2, 9, 9, 6),
            shape(7, 7, 1, 6),
        ),
    ]
    for function, *arguments in cases:
        assert count_flops(function, *arguments) == xla(function, *arguments) > 0


def test_a_loop_counts_as_often_as_it_runs():
    def looped(x, matrices):
        return jax.lax.scan(lambda x, matrix: (x @ matrix, None), x, matrices)[0]

    assert count_flops(looped, shape(3, 4), shape(7, 4, 4)) == 7 * 2 * 3 * 4 * 4
    both = count_flops(jax.jit(jax.checkpoint(jax.vmap(looped))), shape(2, 3, 4), shape(2, 7, 4, 4))
    assert both == 2 * 7 * 2 * 3 * 4 * 4
    choice = count_flops(lambda x: jax.lax.cond(x.sum() > 0, lambda: x @ x, lambda: x), shape(4, 4))
    assert choice == 2 * 4**3


def test_work_that_depends_on_the_data_is_refused():
    with pytest.raises(ValueError, match="cannot be counted"):
        count_flops(lambda x: jax.lax.while_loop(lambda x: x.sum() < 9, lambda x: x @ x, x), shape(4, 4))


def test_a_vision_transformer_as_its_closed_form():
    """Patches, then in each layer query, key, value, out (8 n w^2), attention (4 n^2 w), mlp (4 n w m)."""
    clip = jaxrm.load_clip(GOLDEN)
    vision, size = clip.model.config.vision, clip.processor.images.size
    width, mlp = vision.transformer.width, vision.transformer.mlp_width
    patches = (size // vision.patch_size) ** 2
    tokens = patches + 1
    layer = 8 * tokens * width**2 + 4 * tokens**2 * width + 4 * tokens * width * mlp
    wanted = (
        2 * patches * 3 * vision.patch_size**2 * width
        + vision.transformer.layers * layer
        + 2 * width * clip.model.config.projection
    )
    assert count_flops(clip.model.encode_pixels, shape(1, size, size, 3)) == wanted
    assert count_flops(clip.model.encode_pixels, shape(5, size, size, 3)) == 5 * wanted


def test_a_tower_of_one_layer_agrees_with_xla_but_for_elementwise_work():
    config = TransformerConfig(width=128, layers=1, heads=4, mlp_width=512, activation="quick_gelu")
    tower = jax.eval_shape(lambda: Transformer(config, rngs=nnx.Rngs(0)))
    ours, theirs = count_flops(tower, shape(2, 50, 128)), xla(lambda t, x: t(x), tower, shape(2, 50, 128))
    assert ours < theirs < 1.05 * ours


# Image and text GFLOPs at batch 1, from open_clip's docs/model_profile.csv.
PUBLISHED = {
    "ViT-B-32": (8.82, 5.96),
    "ViT-B-16": (35.13, 5.96),
    "ViT-L-14": (162.03, 13.3),
    "ViT-L-14-336": (381.92, 13.3),
    "ViT-H-14": (334.59, 47.09),
    "ViT-g-14": (534.06, 47.09),
    "ViT-bigG-14": (967.5, 97.86),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_full_size_towers_as_published(name):
    config = variants.CLIP[name]
    model, size = Clip.abstract(config), config.vision.image_size
    tokens = jax.ShapeDtypeStruct((1, config.text.context), jnp.int32)
    image = count_flops(lambda m, x: m.encode_pixels(x), model, shape(1, size, size, 3))
    text = count_flops(lambda m, x: m.encode_tokens(x), model, tokens)
    assert (image / 1e9, text / 1e9) == pytest.approx(PUBLISHED[name], abs=0.006)
