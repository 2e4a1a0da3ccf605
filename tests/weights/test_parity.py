"""Live comparison with torch's `CLIPModel` (extra `parity`)."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrm
from jaxrm.models import Clip
from jaxrm.weights import clip_hf, files
from jaxrm.weights.table import leaves_by_path

torch = pytest.importorskip("torch", reason="the extra `parity` is not installed")
transformers = pytest.importorskip("transformers", reason="the extra `parity` is not installed")

GOLDEN = Path(__file__).parents[1] / "golden"
SCENE_CLIP = Path(__file__).parents[2] / "checkpoints" / "scene-clip"

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:.*no preprocessor_config.json"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

encode = jax.jit(lambda model, pixels, tokens: (model.encode_pixels(pixels), model.encode_tokens(tokens)))


def torch_features(model, pixels: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pixels, ids = torch.tensor(pixels).permute(0, 3, 1, 2), torch.tensor(tokens, dtype=torch.long)
    with torch.no_grad():
        both = model.get_image_features(pixels.to(model.dtype)), model.get_text_features(ids)
    return tuple(getattr(x, "pooler_output", x).numpy() for x in both)  # transformers 4 gave tensors


def inputs(config, rows: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Pixels, and ids that end somewhere."""
    random, size, text = np.random.default_rng(0), config.vision_config.image_size, config.text_config
    end = text.vocab_size - 1 if text.eos_token_id == 2 else text.eos_token_id
    ids = random.integers(0, text.vocab_size - 1, (rows, text.max_position_embeddings))
    ids[np.arange(rows), random.integers(1, ids.shape[1], rows)] = end
    return random.normal(size=(rows, size, size, 3)), ids.astype(np.int32)


def random_clip(vision: dict, text: dict, projection: int):
    torch.manual_seed(0)
    config = transformers.CLIPConfig(vision_config=vision, text_config=text, projection_dim=projection)
    model = transformers.CLIPModel(config).eval()
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return model


def blocks(width: int, heads: int, activation: str, eps: float = 1e-5) -> dict:
    return {
        "hidden_size": width,
        "num_attention_heads": heads,
        "intermediate_size": 2 * width + 3,
        "num_hidden_layers": 3,
        "hidden_act": activation,
        "layer_norm_eps": eps,
    }


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast"])
@pytest.mark.parametrize("eos", [2, 20])
def test_float64_to_1e_9(activation, eos, tmp_path):
    model = random_clip(
        blocks(30, 3, activation, 1e-4) | {"image_size": 22, "patch_size": 5},
        blocks(28, 4, activation) | {"vocab_size": 50, "max_position_embeddings": 11, "eos_token_id": eos},
        14,
    ).double()
    model.save_pretrained(tmp_path)
    pixels, tokens = inputs(model.config)
    with jax.enable_x64(True):
        ours = encode(jaxrm.load_clip(tmp_path, dtype="float64").model, pixels, tokens)
        for got, want in zip(ours, torch_features(model, pixels, tokens), strict=True):
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-9)


def test_vit_b_32_in_float32_to_1e_4(tmp_path):
    torch.manual_seed(0)
    model = transformers.CLIPModel(transformers.CLIPConfig()).eval()
    model.save_pretrained(tmp_path)
    pixels, tokens = inputs(model.config, rows=2)
    pixels = pixels.astype(np.float32)
    with jax.default_matmul_precision("highest"):
        ours = encode(jaxrm.load_clip(tmp_path).model, pixels, tokens)
    for got, want in zip(ours, torch_features(model, pixels, tokens), strict=True):
        error = np.linalg.norm(got - want, axis=-1) / np.linalg.norm(want, axis=-1)
        print(f"ViT-B/32 float32, relative error {error.max():.1e}")
        assert error.max() < 1e-4


@pytest.mark.parametrize("name", ["clip-quick-gelu", "clip-gelu-odd", "clip-tanh-legacy"])
def test_what_we_save_loads_in_torch_and_gives_equal_outputs(name, tmp_path):
    jaxrm.save(jaxrm.load_clip(GOLDEN / name), tmp_path)
    model, report = transformers.CLIPModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    model = model.double().eval()
    with np.load(GOLDEN / name / "expected.npz") as expected:
        image, text = torch_features(model, expected["pixels"], expected["tokens"])
        np.testing.assert_allclose(image, expected["image"], rtol=0, atol=1e-12)
        np.testing.assert_allclose(text, expected["text"], rtol=0, atol=1e-12)


def test_tokens_equal_transformers(tmp_path):
    clip = jaxrm.load_clip(GOLDEN / "clip-quick-gelu")
    jaxrm.save(clip, tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    sentences = ["A humanoid robot, kneeling!", "one leg up"]
    padded = theirs(sentences, padding="max_length", max_length=clip.processor.context)["input_ids"]
    np.testing.assert_array_equal(clip.processor.tokenize(sentences), padded)


def test_processor_that_we_save_loads_in_transformers(tmp_path):
    clip = jaxrm.load_clip(GOLDEN / "clip-quick-gelu")
    jaxrm.save(clip, tmp_path)
    theirs = pytest.importorskip("transformers.models.clip.image_processing_pil_clip")
    images = theirs.CLIPImageProcessorPil.from_pretrained(tmp_path)
    frames = np.random.default_rng(0).integers(0, 256, (2, 40, 30, 3), dtype=np.uint8)
    want = images(list(frames), return_tensors="np")["pixel_values"].transpose(0, 2, 3, 1)
    got = jaxrm.weights.preprocess(frames, clip.processor.images)
    np.testing.assert_allclose(got, want, rtol=0, atol=2e-6)


def tower(width: int, layers: int, heads: int, mlp: int) -> dict:
    return {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": mlp,
        "hidden_act": "gelu",
    }


PUBLISHED = {  # head widths 80 and 104; bigG's mlp_ratio is 4.9231
    "ViT-H-14": (tower(1280, 32, 16, 5120), tower(1024, 24, 16, 4096), 1024),
    "ViT-bigG-14": (tower(1664, 48, 16, 8192), tower(1280, 32, 20, 5120), 1280),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_full_size_shapes_equal_transformers(name):
    vision, text, projection = PUBLISHED[name]
    vision = vision | {"patch_size": 14, "image_size": 224}
    given = {"vision_config": vision, "text_config": text, "projection_dim": projection}
    with torch.device("meta"):
        meta = transformers.CLIPModel(transformers.CLIPConfig(**given))
    config = clip_hf.parse_config(given)
    leaves = leaves_by_path(Clip.abstract(config))
    ours = {
        tensor: row.shape_of_theirs(leaves[row.ours].shape)
        for row in clip_hf.table(config)
        for layer in row.names()
        for tensor in layer
    }
    assert ours == {tensor: tuple(value.shape) for tensor, value in meta.state_dict().items()}
    pixels, tokens = (
        jax.ShapeDtypeStruct((3, 224, 224, 3), jnp.float32),
        jax.ShapeDtypeStruct((3, 77), jnp.int32),
    )
    image, words = jax.eval_shape(encode, Clip.abstract(config), pixels, tokens)
    assert image.shape == words.shape == (3, projection)


@pytest.mark.skipif(
    not (SCENE_CLIP / files.SINGLE).is_file(), reason="checkpoints/scene-clip is not there yet"
)
def test_scene_clip_gives_the_same_in_torch():
    clip, model = jaxrm.load_clip(SCENE_CLIP), transformers.CLIPModel.from_pretrained(SCENE_CLIP).eval()
    size = clip.processor.images.size
    frames = np.random.default_rng(0).integers(0, 256, (4, size, size, 3), dtype=np.uint8)
    words = clip.processor.training_words
    sentences = list(words.captions[:4]) if words and words.captions else ["a humanoid robot"]
    pixels = np.asarray(jaxrm.weights.preprocess(frames, clip.processor.images))
    image, text = torch_features(model, pixels, clip.processor.tokenize(sentences))
    for got, want in ((clip.embed_images(frames), image), (clip.embed_texts(sentences), text)):
        want = want / np.linalg.norm(want, axis=-1, keepdims=True)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)
