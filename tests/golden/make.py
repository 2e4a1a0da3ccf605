"""Make the golden checkpoints of this folder with torch and transformers (extra `parity`).

    PYTHONPATH=. python tests/golden/make.py [NAME ...]

Each directory is a tiny random network with `expected.npz`: inputs, and torch's outputs in float64.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    ConvNextConfig,
    ConvNextModel,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipModel,
)

from tests.weights import clip_resnet

HERE = Path(__file__).parent
CAPTIONS = [
    "a humanoid robot kneeling",
    "a humanoid robot standing up, with both arms raised",
    "a humanoid robot standing up on one leg",
    "a humanoid robot",
]
CONTEXT, BOS, EOS = 16, "<|startoftext|>", "<|endoftext|>"


def tokenizer() -> Tokenizer:
    """A BPE of some ninety entries whose largest id is the end of text."""
    bpe = Tokenizer(models.BPE(unk_token="<|unknown|>"))
    bpe.normalizer = normalizers.Lowercase()
    bpe.pre_tokenizer = pre_tokenizers.Whitespace()
    bpe.train_from_iterator(CAPTIONS, trainers.BpeTrainer(vocab_size=90, special_tokens=["<|unknown|>"]))
    bpe.add_special_tokens([BOS, EOS])
    ends = [(name, bpe.token_to_id(name)) for name in (BOS, EOS)]
    bpe.post_processor = processors.TemplateProcessing(single=f"{BOS} $A {EOS}", special_tokens=ends)
    return bpe


def model(vision: dict, text: dict, projection: int, seed: int) -> CLIPModel:
    """A random `CLIPModel` whose biases and norms are not at their trivial start."""
    torch.manual_seed(seed)
    made = CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=projection))
    for parameter in made.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return made.eval()


def blocks(width: int, heads: int, mlp: int, activation: str, eps: float) -> dict:
    return {
        "hidden_size": width,
        "num_attention_heads": heads,
        "intermediate_size": mlp,
        "num_hidden_layers": 2,
        "hidden_act": activation,
        "layer_norm_eps": eps,
    }


def tokens(rows: int, length: int, vocabulary: int, eos: int, seed: int) -> np.ndarray:
    """Random ids with an end of text at a random place, id 0 among them and noise behind the end."""
    random = np.random.default_rng(seed)
    ids = random.integers(0, vocabulary - 1, (rows, length))
    ids[ids == eos] = 0
    ids[np.arange(rows), random.integers(1, length, rows)] = eos
    return ids.astype(np.int32)


def write_expected(directory: Path, made: CLIPModel, ids: np.ndarray, **extra: np.ndarray) -> None:
    """expected.npz from the float32 weights, computed in float64."""
    size = made.config.vision_config.image_size
    pixels = np.random.default_rng(7).normal(size=(2, size, size, 3))
    double = made.double()
    with torch.no_grad():
        image = double.get_image_features(torch.tensor(pixels).permute(0, 3, 1, 2))
        text = double.get_text_features(torch.tensor(ids, dtype=torch.long))
    image, text = (getattr(x, "pooler_output", x).numpy() for x in (image, text))
    np.savez_compressed(
        directory / "expected.npz", pixels=pixels, tokens=ids, image=image, text=text, **extra
    )


def fresh(name: str) -> Path:
    directory = HERE / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    return directory


def quick_gelu() -> None:
    """Complete: tokeniser, preprocessing, training words. Head widths 8 and 10."""
    directory, bpe = fresh("clip-quick-gelu"), tokenizer()
    vocabulary, eos = bpe.get_vocab_size(), bpe.token_to_id(EOS)
    ends = {"eos_token_id": eos, "bos_token_id": bpe.token_to_id(BOS), "pad_token_id": eos}
    vision = blocks(24, 3, 40, "quick_gelu", 1e-5) | {"image_size": 16, "patch_size": 8}
    text = blocks(20, 2, 32, "quick_gelu", 1e-5) | ends
    made = model(vision, text | {"vocab_size": vocabulary, "max_position_embeddings": CONTEXT}, 12, seed=0)
    made.save_pretrained(directory)
    PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=BOS, eos_token=EOS, pad_token=EOS, unk_token="<|unknown|>"
    ).save_pretrained(directory)
    images = CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    images.save_pretrained(directory)
    words = sorted({word.strip(",") for caption in CAPTIONS for word in caption.split()})
    (directory / "training_words.json").write_text(json.dumps({"words": words, "captions": CAPTIONS}))
    frames = np.random.default_rng(3).integers(0, 256, (2, 24, 37, 3), dtype=np.uint8)
    seen = images(list(frames), return_tensors="np")["pixel_values"].transpose(0, 2, 3, 1)
    ids = tokens(5, CONTEXT, vocabulary, eos, seed=1)
    write_expected(directory, made, ids, frames=frames, frame_pixels=seen)


def gelu_odd() -> None:
    """Exact GELU, a large eps, head widths 11 and 7, a patch that does not divide the image; in shards."""
    directory = fresh("clip-gelu-odd")
    vision = blocks(22, 2, 33, "gelu", 1e-3) | {"image_size": 17, "patch_size": 5}
    ends = {"eos_token_id": 30, "bos_token_id": 0, "pad_token_id": 0}
    text = blocks(21, 3, 29, "gelu", 1e-3) | {"vocab_size": 40, "max_position_embeddings": 9} | ends
    made = model(vision, text, 10, seed=2)
    made.save_pretrained(directory, max_shard_size="24KB")
    write_expected(directory, made, tokens(5, 9, 40, 30, seed=3))


def tanh_legacy() -> None:
    """Tanh GELU, and an old file: eos_token_id 2 whatever the vocabulary, and counters among the weights."""
    directory = fresh("clip-tanh-legacy")
    vision = blocks(12, 1, 16, "gelu_pytorch_tanh", 1e-6) | {"image_size": 8, "patch_size": 8}
    ends = {"eos_token_id": 2, "bos_token_id": 0, "pad_token_id": 1}
    text = (
        blocks(15, 3, 16, "gelu_pytorch_tanh", 1e-6) | {"vocab_size": 32, "max_position_embeddings": 8} | ends
    )
    made = model(vision, text, 8, seed=4)
    made.save_pretrained(directory)
    file = directory / "model.safetensors"
    counters = {"text_model.embeddings.position_ids": torch.arange(8)[None]}
    counters["vision_model.embeddings.position_ids"] = torch.arange(2)[None]
    save_file(load_file(file) | counters, file, metadata={"format": "pt"})
    write_expected(directory, made, tokens(5, 8, 32, 31, seed=5))


def noisy(made, seed: int):
    """Biases, norms and scales away from their trivial start."""
    torch.manual_seed(seed)
    for parameter in made.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return made.eval()


def siglip() -> None:
    """A text tower of another width than the common space, and one layer each."""
    directory = fresh("siglip")
    one = {"num_hidden_layers": 1}
    words = {"vocab_size": 20, "max_position_embeddings": 6}
    vision = blocks(12, 2, 18, "gelu_pytorch_tanh", 1e-6) | {"image_size": 11, "patch_size": 5} | one
    text = blocks(8, 2, 14, "gelu_pytorch_tanh", 1e-6) | words | one
    text |= {"projection_size": 12, "bos_token_id": 0, "eos_token_id": 1}
    made = noisy(SiglipModel(SiglipConfig(vision_config=vision, text_config=text)), 0)
    made.save_pretrained(directory)
    ids = np.random.default_rng(1).integers(0, 20, (3, 6)).astype(np.int32)
    write_expected(directory, made, ids)


def clip_rn() -> None:
    """A CLIP ResNet in open_clip's format: stages with one block and with more, counters of batches."""
    directory = fresh("clip-rn")
    text = {"context_length": 6, "vocab_size": 20, "width": 8, "heads": 2, "layers": 1}
    layers, size, width = (1, 2, 1, 1), 32, 2
    tensors = clip_resnet.random_tensors(clip_resnet.shapes(layers, width, size, 6, text))
    save_file(tensors, directory / "open_clip_model.safetensors", metadata={"format": "pt"})
    vision = {"image_size": size, "layers": layers, "width": width, "patch_size": None}
    config = {"embed_dim": 6, "quick_gelu": True, "vision_cfg": vision, "text_cfg": text}
    prepare = {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28], "interpolation": "bicubic"}
    written = {"model_cfg": config, "preprocess_cfg": prepare | {"resize_mode": "shortest"}}
    (directory / "open_clip_config.json").write_text(json.dumps(written, indent=2))
    double = {name: t.double() if t.is_floating_point() else t for name, t in tensors.items()}
    pixels = np.random.default_rng(7).normal(size=(2, size, size, 3))
    ids = np.random.default_rng(1).integers(0, 20, (3, 6)).astype(np.int32)
    image = clip_resnet.image_features(double, torch.tensor(pixels).permute(0, 3, 1, 2))
    words = clip_resnet.text_features(double, torch.tensor(ids, dtype=torch.long), 2, quick=True)
    np.savez_compressed(directory / "expected.npz", pixels=pixels, tokens=ids, image=image, text=words)


def write_tower(directory: Path, made, *sizes: tuple[int, int]) -> None:
    """expected.npz of an image tower: pixels, pooled output and features for each size of image."""
    made.save_pretrained(directory)
    double, arrays = made.double(), {}
    for number, (height, width) in enumerate(sizes):
        pixels = np.random.default_rng(7).normal(size=(2, height, width, 3))
        with torch.no_grad():
            seen = double(torch.tensor(pixels).permute(0, 3, 1, 2))
        arrays |= {f"pixels{number}": pixels, f"pooled{number}": seen.pooler_output.numpy()}
    np.savez_compressed(directory / "expected.npz", **arrays)


def dinov2() -> None:
    """Registers, a gated perceptron, layer scale; at another size too."""
    fields = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "mlp_ratio": 2}
    fields |= {"image_size": 15, "patch_size": 5, "use_swiglu_ffn": True, "num_register_tokens": 2}
    made = noisy(Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**fields)), 0)
    write_tower(fresh("dinov2"), made, (15, 15), (10, 26))


def convnext() -> None:
    """Two stages, at two sizes."""
    fields = {"hidden_sizes": [4, 8], "depths": [1, 2], "num_stages": 2, "layer_scale_init_value": 0.5}
    made = noisy(ConvNextModel(ConvNextConfig(image_size=16, **fields)), 0)
    write_tower(fresh("convnext"), made, (16, 16), (9, 20))


MAKERS = {
    "clip-quick-gelu": quick_gelu,
    "clip-gelu-odd": gelu_odd,
    "clip-tanh-legacy": tanh_legacy,
    "siglip": siglip,
    "clip-rn": clip_rn,
    "dinov2": dinov2,
    "convnext": convnext,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or MAKERS:
        MAKERS[name]()
