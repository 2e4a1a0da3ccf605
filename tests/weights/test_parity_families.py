"""Live comparison of all families but Hugging Face's CLIP with torch (extra `parity`), on tiny networks."""

import dataclasses
import math

import jax
import numpy as np
import pytest

import jaxrm
from jaxrm.models.positions import resample
from jaxrm.weights import files
from jaxrm.weights.family import read_family
from jaxrm.weights.table import names_and_shapes, to_tensors

torch = pytest.importorskip("torch", reason="the extra `parity` is not installed")
transformers = pytest.importorskip("transformers", reason="the extra `parity` is not installed")
from safetensors.torch import save_file  # noqa: E402

from tests.weights import clip_resnet  # noqa: E402

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:.*no preprocessor_config.json"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

call = jax.jit(lambda model, pixels: (model(pixels), model.features(pixels)))
encode = jax.jit(lambda model, pixels, tokens: (model.encode_pixels(pixels), model.encode_tokens(tokens)))


def noisy(model):
    """Biases, norms and scales away from their trivial start; running variances stay positive."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return model.eval().double()


def blocks(activation: str) -> dict:
    return {
        "hidden_size": 24,
        "num_attention_heads": 3,
        "intermediate_size": 37,
        "num_hidden_layers": 2,
        "hidden_act": activation,
    }


def pixels(size: int | tuple[int, int], rows: int = 2) -> np.ndarray:
    height, width = (size, size) if isinstance(size, int) else size
    return np.random.default_rng(0).normal(size=(rows, height, width, 3))


def channels_first(x: np.ndarray) -> torch.Tensor:
    return torch.tensor(x).permute(0, 3, 1, 2)


def check_there_and_back(directory, tmp_path) -> None:
    """Weights map back to the same bits; load, save, load gives the same file, counters and all."""
    family, _ = read_family(directory)
    load = jaxrm.load_clip if family.network is jaxrm.models.Clip else jaxrm.load_tower
    given, loaded = files.read_tensors(directory), load(directory)
    jaxrm.save(loaded, tmp_path / "saved")
    again = files.read_tensors(tmp_path / "saved")
    back = to_tensors(family.table(loaded.model.config), loaded.model) | dict(loaded.others)
    for tensors in (again, back):
        assert tensors.keys() == given.keys()
        for name, tensor in given.items():
            assert tensors[name].dtype == tensor.dtype and tensors[name].shape == tensor.shape
            assert tensors[name].tobytes() == tensor.tobytes(), name
    assert load(tmp_path / "saved").model.config == loaded.model.config
    assert load(tmp_path / "saved").processor.images == loaded.processor.images


@pytest.mark.parametrize("activation", ["gelu_pytorch_tanh", "gelu"])
@pytest.mark.parametrize("projection", [24, 18])
def test_siglip(activation, projection, tmp_path):
    vision = blocks(activation) | {"image_size": 22, "patch_size": 5}
    text = blocks(activation) | {"vocab_size": 40, "max_position_embeddings": 7, "hidden_size": 18}
    vision["hidden_size"] = projection
    text |= {"projection_size": projection, "bos_token_id": 0, "eos_token_id": 1}
    model = noisy(transformers.SiglipModel(transformers.SiglipConfig(vision_config=vision, text_config=text)))
    model.save_pretrained(tmp_path)
    tokens = np.random.default_rng(1).integers(0, 40, (3, 7))
    with jax.enable_x64(True):
        ours = jaxrm.load_clip(tmp_path, dtype="float64").model
        images, texts = encode(ours, pixels(22), tokens)
        with torch.no_grad():
            want = model(input_ids=torch.tensor(tokens), pixel_values=channels_first(pixels(22)))
            raw = model.get_image_features(channels_first(pixels(22)))
        np.testing.assert_allclose(images, getattr(raw, "pooler_output", raw), rtol=0, atol=1e-9)
        images, texts = jaxrm.weights.unit(images), jaxrm.weights.unit(texts)
        np.testing.assert_allclose(images, want.image_embeds, rtol=0, atol=1e-9)
        np.testing.assert_allclose(texts, want.text_embeds, rtol=0, atol=1e-9)
        np.testing.assert_allclose(ours.logits(images, texts), want.logits_per_image, rtol=0, atol=1e-9)
        check_there_and_back(tmp_path, tmp_path)
    _, report = transformers.SiglipModel.from_pretrained(tmp_path / "saved", output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize(("layers", "width"), [((1, 2, 1, 3), 8), ((2, 1, 3, 1), 8), ((1, 2, 1, 1), 32)])
def test_clip_resnet(quick, layers, width, tmp_path):
    """32 channels and more go by Winograd's transform on CPUs."""
    text = {"context_length": 9, "vocab_size": 40, "width": 24, "heads": 3, "layers": 2}
    shapes = clip_resnet.shapes(layers, width, 64, 14, text)
    tensors = clip_resnet.random_tensors(shapes)
    save_file(tensors, tmp_path / files.OPEN_CLIP)
    vision = {"image_size": 64, "layers": list(layers), "width": width, "patch_size": None}
    model = {"embed_dim": 14, "quick_gelu": quick, "vision_cfg": vision, "text_cfg": text}
    files.write_json(tmp_path / "open_clip_config.json", {"model_cfg": model, "preprocess_cfg": {}})
    tokens = np.random.default_rng(1).integers(0, 40, (4, 9))
    double = {name: t.double() if t.is_floating_point() else t for name, t in tensors.items()}
    with jax.enable_x64(True):
        ours = jaxrm.load_clip(tmp_path, dtype="float64").model
        images, texts = encode(ours, pixels(64), tokens)
    assert names_and_shapes(read_family(tmp_path)[0].table(ours.config), ours) == {
        name: shape for name, shape in shapes.items() if not name.endswith("num_batches_tracked")
    }
    want = clip_resnet.image_features(double, channels_first(pixels(64)))
    np.testing.assert_allclose(images, want, rtol=0, atol=1e-9)
    want = clip_resnet.text_features(double, torch.tensor(tokens), 3, quick)
    np.testing.assert_allclose(texts, want, rtol=0, atol=1e-9)
    check_there_and_back(tmp_path, tmp_path)


DINOV2 = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "image_size": 23,
    "patch_size": 5,
    "layerscale_value": 0.7,
}


@pytest.mark.parametrize("registers", [None, 3])
@pytest.mark.parametrize("gated", [False, True])
def test_dinov2(registers, gated, tmp_path):
    fields = DINOV2 | {"use_swiglu_ffn": gated}
    if registers is None:
        model = transformers.Dinov2Model(transformers.Dinov2Config(**fields))
    else:
        config = transformers.Dinov2WithRegistersConfig(num_register_tokens=registers, **fields)
        model = transformers.Dinov2WithRegistersModel(config)
    noisy(model).save_pretrained(tmp_path)
    with jax.enable_x64(True), torch.no_grad():
        ours = jaxrm.load_tower(tmp_path, dtype="float64").model
        pooled, features = call(ours, pixels(23))
        want = model(channels_first(pixels(23)))
        np.testing.assert_allclose(pooled, want.pooler_output, rtol=0, atol=1e-9)
        np.testing.assert_allclose(features, want.last_hidden_state, rtol=0, atol=1e-9)
        for size in ((30, 40), (11, 15)):  # torch resamples positions in float32
            pooled, _ = call(ours, pixels(size))
            want = model(channels_first(pixels(size)))
            np.testing.assert_allclose(pooled, want.pooler_output, rtol=0, atol=2e-6)
        check_there_and_back(tmp_path, tmp_path)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("sizes", [((5, 5), (9, 3)), ((16, 16), (37, 16)), ((7, 4), (2, 2))])
def test_positions_are_resampled_as_torch_does(antialias, sizes):
    (rows, columns), new = sizes
    x = np.random.default_rng(0).normal(size=(rows, columns, 3))
    kind = {"mode": "bicubic", "align_corners": False, "antialias": antialias}
    want = torch.nn.functional.interpolate(channels_first(x[None]), size=new, **kind)[0].permute(1, 2, 0)
    with jax.enable_x64(True):
        got = resample(jax.numpy.asarray(x), *new, antialias=antialias)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [0.5, 0.0])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_convnext(scale, activation, tmp_path):
    config = transformers.ConvNextConfig(
        hidden_sizes=[8, 12, 20],
        depths=[1, 3, 2],
        num_stages=3,
        layer_scale_init_value=scale,
        hidden_act=activation,
        layer_norm_eps=1e-5,
    )
    model = noisy(transformers.ConvNextModel(config))
    model.save_pretrained(tmp_path)
    with jax.enable_x64(True), torch.no_grad():
        ours = jaxrm.load_tower(tmp_path, dtype="float64").model
        for size in (32, (37, 50)):
            pooled, features = call(ours, pixels(size))
            want = model(channels_first(pixels(size)))
            np.testing.assert_allclose(pooled, want.pooler_output, rtol=0, atol=1e-9)
            places = want.last_hidden_state.permute(0, 2, 3, 1)
            np.testing.assert_allclose(features, places, rtol=0, atol=1e-9)
        check_there_and_back(tmp_path, tmp_path)


def test_a_classifier_gives_its_tower(tmp_path):
    torch.manual_seed(0)
    config = transformers.ConvNextConfig(hidden_sizes=[8, 12], depths=[1, 1], num_stages=2, num_labels=3)
    model = transformers.ConvNextForImageClassification(config).eval()
    model.save_pretrained(tmp_path)
    assert any(name.startswith("convnext.") for name in files.read_tensors(tmp_path))
    x = pixels(16).astype(np.float32)
    pooled, _ = call(jaxrm.load_tower(tmp_path).model, x)
    with torch.no_grad():
        want = model.convnext(channels_first(x)).pooler_output
    np.testing.assert_allclose(pooled, want, rtol=0, atol=1e-5)


def meta(model_class, config) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        model = model_class(config)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("name", ["siglip-so400m-patch14-384", "siglip2-giant-opt-patch16-256"])
def test_full_size_siglip_has_every_tensor_of_torch(name):
    from jaxrm.models.variants import SIGLIP
    from jaxrm.weights.family import SIGLIP as FAMILY

    config = SIGLIP[name]
    given = FAMILY.format_config(config, "float32")
    assert dataclasses.replace(FAMILY.parse_config(given, "float32")) == config
    theirs = meta(transformers.SiglipModel, transformers.SiglipConfig.from_dict(given))
    assert names_and_shapes(FAMILY.table(config), jaxrm.models.Clip.abstract(config)) == theirs


@pytest.mark.parametrize("name", ["convnext-tiny-224", "convnext-xlarge-224-22k"])
def test_full_size_convnext_has_every_tensor_of_torch(name):
    from jaxrm.models.variants import CONVNEXT
    from jaxrm.weights.family import CONVNEXT as FAMILY

    config = CONVNEXT[name]
    given = FAMILY.format_config(config, "float32")
    assert FAMILY.parse_config(given, "float32") == config
    theirs = meta(transformers.ConvNextModel, transformers.ConvNextConfig.from_dict(given))
    assert names_and_shapes(FAMILY.table(config), jaxrm.models.ConvNext.abstract(config)) == theirs


@pytest.mark.parametrize("name", ["dinov2-small", "dinov2-giant", "dinov2-with-registers-giant"])
def test_full_size_dinov2_has_as_many_weights_as_torch(name):
    """Names change between torch's memory and its files, so the numbers of weights are compared."""
    from jaxrm.models.variants import DINOV2
    from jaxrm.weights.family import DINOV2 as FAMILY

    config = DINOV2[name]
    given = FAMILY.format_config(config, "float32")
    assert FAMILY.parse_config(given, "float32") == config
    registers = "registers" in name
    theirs = meta(
        *(
            (transformers.Dinov2WithRegistersModel, transformers.Dinov2WithRegistersConfig.from_dict(given))
            if registers
            else (transformers.Dinov2Model, transformers.Dinov2Config.from_dict(given))
        )
    )
    ours = names_and_shapes(FAMILY.table(config), jaxrm.models.VisionTower.abstract(config))
    assert sum(map(math.prod, ours.values())) == sum(map(math.prod, theirs.values()))
