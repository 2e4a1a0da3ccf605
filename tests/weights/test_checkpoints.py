"""Directories there and back, and an error that says what to do for each thing that can be wrong with one."""

import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import jaxrm
from jaxrm.models import Clip
from jaxrm.weights import WeightsError, clip_hf, files
from jaxrm.weights.family import CLIP
from jaxrm.weights.table import leaves_by_path, to_tensors, to_tree

GOLDEN = Path(__file__).parents[1] / "golden"
WHOLE = GOLDEN / "clip-quick-gelu"
NAMES = ("clip-quick-gelu", "clip-gelu-odd", "clip-tanh-legacy")
FRAMES = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16, 3), dtype=np.uint8)

pytestmark = pytest.mark.filterwarnings("ignore:.*no preprocessor_config.json")


@pytest.fixture
def copy(tmp_path):
    """A copy of the complete golden checkpoint, to be spoiled."""
    return Path(shutil.copytree(WHOLE, tmp_path / "copy"))


def edit(directory: Path, **changes) -> None:
    """Change model.safetensors: a tensor by name, or None to drop it."""
    tensors = load_file(directory / files.SINGLE) | changes
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    save_file(kept, directory / files.SINGLE, metadata={"format": "pt"})


@pytest.mark.parametrize("name", NAMES)
def test_mapping_there_and_back_gives_the_same_bits(name):
    tensors, _ = CLIP.sort(files.read_tensors(GOLDEN / name))
    config = clip_hf.parse_config(files.read_config(GOLDEN / name))
    table = clip_hf.table(config)
    model = to_tree(table, Clip.abstract(config), tensors)
    back = to_tensors(table, model)
    assert back.keys() == tensors.keys()
    for key, tensor in tensors.items():
        assert back[key].dtype == tensor.dtype and back[key].shape == tensor.shape
        assert back[key].tobytes() == tensor.tobytes(), key
    wanted, given = leaves_by_path(Clip.abstract(config)), leaves_by_path(model)
    assert {path: leaf.shape for path, leaf in wanted.items()} == {p: leaf.shape for p, leaf in given.items()}


@pytest.mark.parametrize("name", NAMES)
def test_load_save_load_is_bit_equal(name, tmp_path):
    first = jaxrm.load_clip(GOLDEN / name)
    jaxrm.save(first, tmp_path / "deep" / "er")
    second = jaxrm.load_clip(tmp_path / "deep" / "er")
    assert jax.tree.structure(first.model) == jax.tree.structure(second.model)
    for a, b in zip(jax.tree.leaves(first.model), jax.tree.leaves(second.model), strict=True):
        assert a.dtype == b.dtype and np.asarray(a).tobytes() == np.asarray(b).tobytes()
    assert first.processor.images == second.processor.images
    assert first.processor.training_words == second.processor.training_words
    assert not [file for file in (tmp_path / "deep" / "er").iterdir() if file.name.startswith(".")]


def test_saving_over_itself_keeps_everything(copy):
    before = {file.name for file in copy.iterdir()}
    jaxrm.save(jaxrm.load_clip(copy), copy)
    assert {file.name for file in copy.iterdir()} == before
    assert len(jaxrm.load_clip(copy).embed_texts(["a humanoid robot"])) == 1


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_weights_keep_the_dtype_of_their_file(dtype, copy, tmp_path):
    edit(copy, **{name: tensor.astype(dtype) for name, tensor in load_file(copy / files.SINGLE).items()})
    with jax.enable_x64(True):
        clip = jaxrm.load_clip(copy)
        assert {leaf.dtype for leaf in jax.tree.leaves(clip.model)} == {np.dtype(dtype)}
        assert clip.embed_images(FRAMES).dtype == np.float32
        jaxrm.save(clip, tmp_path / "out")
    assert (tmp_path / "out" / files.SINGLE).stat().st_size <= (copy / files.SINGLE).stat().st_size + 1024
    assert files.read_config(tmp_path / "out")["dtype"] == np.dtype(dtype).name


def test_embeddings_have_unit_norm_and_any_batch_shape():
    clip = jaxrm.load_clip(WHOLE)
    embedded = clip.embed_images(FRAMES)
    assert embedded.shape == (2, 3, 12) and embedded.dtype == np.float32
    np.testing.assert_allclose(jnp.linalg.norm(embedded, axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(clip.embed_images(FRAMES[1, 2]), embedded[1, 2], atol=1e-6)
    np.testing.assert_allclose(jax.vmap(clip.embed_images)(FRAMES), embedded, atol=1e-6)
    np.testing.assert_allclose(jax.jit(clip.embed_images)(jnp.asarray(FRAMES)), embedded, atol=1e-6)
    texts = clip.embed_texts(["a humanoid robot", "a humanoid robot kneeling"])
    assert texts.shape == (2, 12) and texts.dtype == np.float32
    np.testing.assert_allclose(jnp.linalg.norm(texts, axis=-1), 1, atol=1e-6)


def test_no_frames_give_no_embeddings():
    assert jaxrm.load_clip(WHOLE).embed_images(FRAMES[:0]).shape == (0, 3, 12)


def test_a_missing_an_unknown_and_a_misshapen_tensor_are_all_named(copy):
    edit(
        copy,
        **{
            "vision_model.pre_layrnorm.bias": None,
            "text_model.extra": np.zeros(3, np.float32),
            "visual_projection.weight": np.zeros((5, 24), np.float32),
        },
    )
    with pytest.raises(WeightsError) as error:
        jaxrm.load_clip(copy)
    message = str(error.value)
    assert "missing: vision_model.pre_layrnorm.bias [24]" in message
    assert "unknown: text_model.extra [3]" in message
    assert "misshapen: visual_projection.weight is [5, 24], wanted [12, 24]" in message


def test_a_missing_part_of_a_fused_projection_is_named(copy):
    edit(copy, **{"text_model.encoder.layers.1.self_attn.k_proj.bias": None})
    with pytest.raises(
        WeightsError, match=r"missing: text_model.encoder.layers.1.self_attn.k_proj.bias \[20\]"
    ):
        jaxrm.load_clip(copy)


def test_more_layers_than_the_config_has_are_unknown_tensors(copy):
    config = files.read_config(copy)
    config["vision_config"]["num_hidden_layers"] = 1
    files.write_json(copy / "config.json", config)
    with pytest.raises(WeightsError, match=r"unknown: vision_model.encoder.layers.1.layer_norm1.bias"):
        jaxrm.load_clip(copy)


def test_a_missing_shard_is_named(tmp_path):
    directory = Path(shutil.copytree(GOLDEN / "clip-gelu-odd", tmp_path / "copy"))
    (directory / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="model-00002-of-00003"):
        jaxrm.load_clip(directory)


def test_an_index_cannot_reach_out_of_its_directory(tmp_path):
    directory = Path(shutil.copytree(GOLDEN / "clip-gelu-odd", tmp_path / "copy"))
    files.write_json(directory / files.INDEX, {"weight_map": {"logit_scale": "../x.safetensors"}})
    with pytest.raises(ValueError, match="not a file of that directory"):
        jaxrm.load_clip(directory)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_a_pickle_is_refused_with_the_way_out(name, copy):
    (copy / files.SINGLE).rename(copy / name)
    with pytest.raises(FileNotFoundError, match=rf"{name}.*never loaded here.*save_pretrained"):
        jaxrm.load_clip(copy)


def test_a_directory_without_weights_or_config_is_named(copy):
    (copy / files.SINGLE).unlink()
    with pytest.raises(FileNotFoundError, match=r"neither model\.safetensors nor"):
        jaxrm.load_clip(copy)
    (copy / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"no config.json"):
        jaxrm.load_clip(copy)


@pytest.mark.parametrize(
    "name", ["no-such-model", "checkpoints/no-such-model", "./no/such", "/no/such", "a/b/c"]
)
def test_a_name_that_is_nothing_says_what_is_known(name, tmp_path, monkeypatch):
    shelf = tmp_path / "checkpoints"
    shutil.copytree(WHOLE, shelf / "golden-clip")
    monkeypatch.setattr(files, "_SHELVES", (shelf,))
    with pytest.raises(FileNotFoundError, match=r"known: golden-clip"):
        jaxrm.load_clip(name)


def test_a_model_that_comes_with_us_is_found_by_name(tmp_path, monkeypatch):
    shutil.copytree(WHOLE, tmp_path / "golden-clip")
    monkeypatch.setattr(files, "_SHELVES", (tmp_path / "absent", tmp_path))
    assert jaxrm.load_clip("golden-clip").embed_images(FRAMES).shape == (2, 3, 12)


def test_a_hub_id_is_fetched_without_pickles(monkeypatch):
    seen = {}

    def download(name, *, allow_patterns):
        seen.update(name=name, patterns=allow_patterns)
        return str(WHOLE)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert jaxrm.load_clip("org/name").processor.context == 16
    assert seen["name"] == "org/name"
    assert not any(pattern.endswith((".bin", ".pt", ".py", "*")) for pattern in seen["patterns"])


def test_a_hub_id_that_cannot_be_fetched_says_so(monkeypatch):
    def download(name, *, allow_patterns):
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(FileNotFoundError, match=r"no directory 'org/name'.*hub.*no network"):
        jaxrm.load_clip("org/name")


def test_a_directory_without_tokeniser_still_embeds_images(copy):
    (copy / "tokenizer.json").unlink()
    clip = jaxrm.load_clip(copy)
    assert clip.embed_images(FRAMES).shape == (2, 3, 12)
    with pytest.raises(FileNotFoundError, match=r"no tokenizer.json.*embeds images but no texts"):
        clip.embed_texts(["a humanoid robot"])


@pytest.mark.filterwarnings("default")
def test_without_preprocessor_config_clip_stands_in_and_it_is_said_once(copy):
    (copy / "preprocessor_config.json").unlink()
    with pytest.warns(UserWarning, match="16x16 pixels with CLIP's mean and std") as seen:
        clip = jaxrm.load_clip(copy)
        jaxrm.load_clip(copy)
    assert len(seen) == 1
    assert clip.processor.images == jaxrm.load_clip(WHOLE).processor.images


def test_another_family_is_refused(copy):
    files.write_json(copy / "config.json", files.read_config(copy) | {"model_type": "bert"})
    for load in (jaxrm.load_clip, jaxrm.load_tower):
        with pytest.raises(ValueError, match=r"'bert' model; known: clip, siglip, dinov2"):
            load(copy)
    files.write_json(copy / "config.json", files.read_config(copy) | {"model_type": "siglip2"})
    with pytest.raises(ValueError, match=r"only SigLIP 2 of one resolution"):
        jaxrm.load_clip(copy)


def test_the_right_loader_is_named(copy):
    with pytest.raises(ValueError, match=r"a dual encoder, CLIP: load it with `jaxrm.load_clip`"):
        jaxrm.load_tower(copy)
    (copy / "config.json").write_text('{"model_type": "dinov2"}')
    with pytest.raises(ValueError, match=r"an image tower, DINOv2: load it with `jaxrm.load_tower`"):
        jaxrm.load_clip(copy)


def test_a_config_that_is_no_json_is_named(copy):
    (copy / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config.json is not JSON"):
        jaxrm.load_clip(copy)


@pytest.mark.parametrize(
    ("name", "part", "field", "value", "message"),
    [
        ("config.json", "vision_config", "num_attention_heads", 0, "heads is 0, wanted a whole number"),
        ("config.json", "vision_config", "hidden_size", "a", "width is 'a', wanted a whole number"),
        ("config.json", "vision_config", "patch_size", 0, "patch_size is 0, wanted"),
        ("config.json", "vision_config", "image_size", {"a": 1}, "TypeError: unhashable"),
        ("config.json", "text_config", "num_hidden_layers", 2.5, "layers is 2.5, wanted"),
        ("config.json", "text_config", "hidden_act", [], r"unknown activation \[\]"),
        ("config.json", "text_config", "eos_token_id", [1, 2], "eos_token_id is .*one whole number"),
        ("preprocessor_config.json", None, "size", "big", "dictionary update"),
        ("preprocessor_config.json", "size", "shortest_edge", 0, "size is 0, wanted"),
        ("preprocessor_config.json", None, "resample", [3], "TypeError: unhashable"),
        ("preprocessor_config.json", None, "image_mean", [0.5], "image_mean is .* 3 of them"),
        ("preprocessor_config.json", None, "image_std", [0, 1, 1], "image_std is .*nonzero"),
        ("preprocessor_config.json", None, "rescale_factor", "x", "rescale_factor is"),
    ],
)
def test_a_field_that_cannot_be_used_is_named_with_its_file(name, part, field, value, message, copy):
    given = files.read_json(copy / name)
    (given if part is None else given[part])[field] = value
    files.write_json(copy / name, given)
    with pytest.raises(ValueError, match=f"{name} has fields that cannot be used: .*{message}"):
        jaxrm.load_clip(copy)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"dtype": "int8"}, "unknown dtype 'int8'; known: float32"),
        ({"param_dtype": "bf16"}, "unknown dtype 'bf16'; known: float32"),
        ({"resize": "nearest"}, "^unknown resize mode 'nearest'; known: pil"),
    ],
)
def test_an_option_that_we_do_not_have_is_refused(option, message):
    with pytest.raises(ValueError, match=message):
        jaxrm.load_clip(WHOLE, **option)


def test_omitted_fields_take_transformers_defaults():
    config = clip_hf.parse_config({"vision_config": {"patch_size": [14, 14]}, "text_config": None})
    assert (config.projection, config.logit_scale) == (512, 2.6592)
    assert (config.text.vocabulary, config.text.context, config.text.eos_token_id) == (49408, 77, 49407)
    assert config.text.transformer.activation == "quick_gelu" and config.text.transformer.heads == 8
    assert (config.vision.patch_size, config.vision.transformer.width) == (14, 768)


def test_an_old_text_config_dict_wins_whole():
    config = clip_hf.parse_config(
        {"text_config": {"eos_token_id": 2}, "text_config_dict": {"hidden_size": 768}}
    )
    assert (config.text.eos_token_id, config.text.transformer.width) == (49407, 768)


@pytest.mark.parametrize("field", [{"num_channels": 4}, {"patch_size": [14, 16]}, {"hidden_act": "mish"}])
def test_what_we_cannot_build_is_refused(field):
    with pytest.raises(ValueError, match=r"channels|square|activation"):
        clip_hf.parse_config({"vision_config": field})


def test_config_there_and_back():
    config = clip_hf.parse_config(files.read_config(GOLDEN / "clip-gelu-odd"))
    assert clip_hf.parse_config(json.loads(json.dumps(clip_hf.format_config(config)))) == config


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    files.write_bytes(tmp_path / "a", b"old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        files.write_bytes(tmp_path / "a", b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["a"] and (tmp_path / "a").read_bytes() == b"old"


def test_importing_is_light():
    import subprocess
    import sys

    code = (
        "import sys, jaxrm; print(sorted({'torch', 'mujoco', 'huggingface_hub', 'brax'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
