"""Against open_clip, where it is installed (`pip install --no-deps open_clip_torch ftfy wcwidth regex`).

It is no part of the extra `parity`: it asks for a torchvision, which PyPI builds for one kind of torch only.
Nothing here needs torchvision, so where it is missing an empty stand-in satisfies open_clip's import.
"""

import gzip
import importlib
import importlib.util
import json
import sys
import types
import unicodedata
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxrm
from jaxrm.models.variants import CLIP, RESNET
from jaxrm.weights import TextProcessor, files
from jaxrm.weights.family import OPEN_CLIP
from jaxrm.weights.table import names_and_shapes

torch = pytest.importorskip("torch", reason="the extra `parity` is not installed")
transformers = pytest.importorskip("transformers", reason="the extra `parity` is not installed")

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("open_clip") is None, reason="open_clip is not installed"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*cut off"),
]
TEXT = {"context_length": 9, "vocab_size": 40, "width": 24, "heads": 3, "layers": 2}
RESNET_VISION = {"layers": [1, 2, 1, 3], "width": 8, "image_size": 64}
VIT_VISION = {"layers": 2, "width": 24, "head_width": 8, "mlp_ratio": 3.4, "image_size": 20, "patch_size": 5}


@pytest.fixture(scope="module")
def open_clip():
    """Its modules `model` and `tokenizer`, without running the package's own imports."""
    transformers.CLIPModel  # noqa: B018 - transformers looks for torchvision while it is truly absent
    before = dict(sys.modules)
    spec = importlib.util.find_spec("open_clip")
    package = types.ModuleType("open_clip")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["open_clip"] = package
    if importlib.util.find_spec("torchvision") is None:
        names = ("torchvision", "torchvision.ops", "torchvision.ops.misc")
        sys.modules |= {name: types.ModuleType(name) for name in names}
        sys.modules[names[-1]].FrozenBatchNorm2d = type("FrozenBatchNorm2d", (), {})
    yield types.SimpleNamespace(
        model=importlib.import_module("open_clip.model"),
        tokenizer=importlib.import_module("open_clip.tokenizer"),
    )
    for name in set(sys.modules) - set(before):
        if name.split(".")[0] in ("open_clip", "torchvision"):
            del sys.modules[name]


def build(open_clip, config: dict):
    """open_clip's model of a model_cfg."""
    return open_clip.model.CLIP(
        config["embed_dim"],
        open_clip.model.CLIPVisionCfg(**config["vision_cfg"]),
        open_clip.model.CLIPTextCfg(**config["text_cfg"]),
        quick_gelu=config["quick_gelu"],
    )


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("vision", [RESNET_VISION, VIT_VISION])
def test_float64_to_1e_9(open_clip, quick, vision, tmp_path):
    config = {"embed_dim": 14, "quick_gelu": quick, "vision_cfg": vision, "text_cfg": TEXT}
    torch.manual_seed(0)
    model = build(open_clip, config)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            tensor += 0.1 * torch.rand_like(tensor) if "running" in name else 0.1 * torch.randn_like(tensor)
    from safetensors.torch import save_file

    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, tmp_path / files.OPEN_CLIP)
    files.write_json(tmp_path / "open_clip_config.json", {"model_cfg": config})
    side = vision["image_size"]
    pixels = np.random.default_rng(0).normal(size=(3, side, side, 3))
    tokens = np.random.default_rng(1).integers(0, 40, (3, 9))
    with jax.enable_x64(True):
        clip = jaxrm.load_clip(tmp_path, dtype="float64")
        images = jax.jit(lambda m, x: m.encode_pixels(x))(clip.model, pixels)
        texts = jax.jit(lambda m, x: m.encode_tokens(x))(clip.model, tokens)
    model = model.eval().double()
    with torch.no_grad():
        want = (
            model.encode_image(torch.tensor(pixels).permute(0, 3, 1, 2)),
            model.encode_text(torch.tensor(tokens)),
        )
    np.testing.assert_allclose(images, want[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(texts, want[1], rtol=0, atol=1e-9)
    if vision is RESNET_VISION:
        jaxrm.save(clip, tmp_path / "saved")
        again = build(open_clip, files.read_json(tmp_path / "saved" / "open_clip_config.json")["model_cfg"])
        saved = {n: torch.tensor(t) for n, t in files.read_tensors(tmp_path / "saved").items()}
        again.load_state_dict(saved, strict=True)
        assert all(torch.equal(saved[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize("name", [*RESNET, "ViT-H-14", "ViT-g-14", "ViT-bigG-14"])
def test_full_size_has_every_tensor_of_open_clip(open_clip, name):
    published = Path(sys.modules["open_clip"].__path__[0]) / "model_configs" / f"{name}.json"
    given = json.loads(published.read_text()) | {"quick_gelu": name.startswith("RN")}
    config = OPEN_CLIP.parse_config({"model_cfg": given}, "float32")
    table = RESNET if name.startswith("RN") else CLIP
    assert config.vision == table[name].vision and config.text.transformer == table[name].text.transformer
    with torch.device("meta"):
        model = build(open_clip, given)
    theirs = {
        tensor: tuple(value.shape)
        for tensor, value in model.state_dict().items()
        if not tensor.endswith("num_batches_tracked")
    }
    assert names_and_shapes(OPEN_CLIP.table(config), jaxrm.models.Clip.abstract(config)) == theirs


@pytest.fixture(scope="module")
def hugging_face(open_clip, tmp_path_factory) -> TextProcessor:
    """The tokenizer.json that transformers makes of CLIP's published merges, which open_clip brings along."""
    directory = tmp_path_factory.mktemp("clip")
    with gzip.open(Path(sys.modules["open_clip"].__path__[0]) / "bpe_simple_vocab_16e6.txt.gz") as file:
        merges = file.read().decode().split("\n")[1 : 49152 - 256 - 2 + 1]
    letters = list(open_clip.tokenizer.bytes_to_unicode().values())
    pieces = [*letters, *(f"{c}</w>" for c in letters), *("".join(merge.split()) for merge in merges)]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    pairs = [tuple(merge.split()) for merge in merges]
    transformers.CLIPTokenizer(vocab=vocabulary, merges=pairs).save_pretrained(directory)
    return TextProcessor(directory, CLIP["ViT-B-32"].text)


def odd_prompts(count: int) -> list[str]:
    """Words, unicode of many scripts, signs, emoji, spaces, digits, nothing at all, and 500 words."""
    random = np.random.default_rng(0)
    words = "a photo of the robot kneeling arms-raised don't it's I'LL 3D 2023 x² Straße naïve ﬁne"
    scripts = "日本語 한국어 русский العربية हिन्दी ไทย ελληνικά İstanbul ŒUVRE 🤖 👩‍👩‍👧 🇫🇷 ♥ ½ ① Ⅷ"
    signs = "... !? -- ( ) # @user http://a.b/c?d=e $5.00 's ' \""
    pool = [*words.split(), *scripts.split(), *signs.split(), "\t", "\n"]
    prompts = ["", " ", "a robot " * 250, "🙂" * 100, "'" * 30, "1234567890" * 5]
    # Code points that are assigned: whether the others are letters depends on the edition of unicode. Nor
    # the iota below a letter, a mark that python's regex takes for a letter where case is ignored.
    assigned = [c for c in map(chr, range(32, 0x2FFF)) if unicodedata.category(c) != "Cn" and c != "\u0345"]
    while len(prompts) < count:
        if random.random() < 0.3:
            prompts.append("".join(random.choice(assigned, random.integers(1, 20))))
        else:
            chosen = random.choice(pool, random.integers(1, 25))
            prompts.append(random.choice(["", " ", "  "]).join(chosen))
    return prompts


def test_bpe_equals_open_clips_on_5000_prompts(open_clip, hugging_face):
    """After open_clip's cleaning and NFC, which is all that Hugging Face's file does of its own."""
    theirs = open_clip.tokenizer.SimpleTokenizer()
    prompts = odd_prompts(5000)
    clean = [unicodedata.normalize("NFC", theirs.clean_fn(text)) for text in prompts]
    theirs.clean_fn = lambda text: text
    want = np.array(theirs(clean))
    got = hugging_face(clean)
    # open_clip fills rows with 0, Hugging Face with the end.
    want = np.where(np.arange(77) > want.argmax(1, keepdims=True), 49407, want)
    different = [text for text, same in zip(clean, (got == want).all(1), strict=True) if not same]
    assert not different, f"{len(different)}: {different[:5]}"
    assert (got[2][-1], len(got)) == (49407, 5000)  # 500 words are cut and keep their end


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("A Robot,   kneeling!", True),
        ("fish &amp; chips", False),  # open_clip replaces HTML entities
        ("it\u2019s", False),  # and straightens quotes, by ftfy
        ("ﬁne", False),  # and takes ligatures apart, by ftfy
        ("\uff21\uff22\uff23", False),  # and makes full width letters plain, by ftfy
        ("schÃ¶n", False),  # and repairs text that was decoded wrongly, by ftfy
    ],
)
def test_cleaning_differs_in_what_is_listed(open_clip, hugging_face, text, same):
    want = np.array(open_clip.tokenizer.SimpleTokenizer()([text]))[0]
    length = want.argmax() + 1
    got = hugging_face([text])[0]
    assert np.array_equal(got[:length], want[:length]) is same
