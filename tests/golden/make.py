"""Make the golden checkpoints of this folder with torch and transformers (extra `parity`).

    python tests/golden/make.py

Each directory is a tiny random `CLIPModel` with `expected.npz`: inputs, and torch's outputs in float64.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, PreTrainedTokenizerFast

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


if __name__ == "__main__":
    quick_gelu()
    gelu_odd()
    tanh_legacy()
