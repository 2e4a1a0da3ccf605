"""Make the golden decoders of this folder with torch and transformers (extra `parity`).

    PYTHONPATH=. python tests/golden/make_decoders.py [NAME ...]

Each directory is a tiny random LLM with `expected.npz`: token ids and vectors of the input space, and torch's
logits of both in float64.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from tests.weights.doubled import doubled, float64_everywhere

HERE = Path(__file__).parent
SENTENCES = [
    "a humanoid robot kneels down",
    "it gets up from kneeling",
    "A video of a robot: it was done, True",
]
SENTENCES += [
    "What it does: raise the left arm",
    "Answer True or False: False",
    "raise the right arm and lower it",
]
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


def tokenizer() -> Tokenizer:
    """A byte-level BPE that begins every text with an id of its own, as Llama's does."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    letters = sorted({letter for text in SENTENCES for letter in text.replace(" ", "Ġ")})
    trainer = trainers.BpeTrainer(vocab_size=110, special_tokens=["<s>", "</s>"], initial_alphabet=letters)
    bpe.train_from_iterator(SENTENCES, trainer)
    bpe.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return bpe


def sizes(**more) -> dict:
    """Two layers of four heads that ask two."""
    fields = {"vocab_size": 20, "hidden_size": 8, "intermediate_size": 11, "num_hidden_layers": 2}
    fields |= {"num_attention_heads": 4, "max_position_embeddings": 32, "bos_token_id": 0, "eos_token_id": 1}
    return fields | more


def write(name: str, made, **options) -> Path:
    """A directory with the model's weights and what it says of random tokens and vectors."""
    torch.manual_seed(0)
    for parameter in made.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    directory = HERE / name
    shutil.rmtree(directory, ignore_errors=True)
    made.eval().save_pretrained(directory, **options)
    (directory / "generation_config.json").unlink(missing_ok=True)
    random, config = np.random.default_rng(1), made.config
    tokens = random.integers(0, config.vocab_size, (2, 7)).astype(np.int32)
    embeds = random.normal(size=(2, 5, config.hidden_size))
    with float64_everywhere(), torch.no_grad():
        double = doubled(made)
        logits = double(torch.tensor(tokens, dtype=torch.long)).logits.numpy()
        of_embeds = double(inputs_embeds=torch.tensor(embeds)).logits.numpy()
    assert logits.dtype == of_embeds.dtype == np.float64
    arrays = {"tokens": tokens, "embeds": embeds, "logits": logits, "logits_of_embeds": of_embeds}
    np.savez_compressed(directory / "expected.npz", **arrays)
    return directory


def llama() -> None:
    """Stretched RoPE, a tied head, a head width of its own, biases, a tokeniser, a context of 128."""
    bpe = tokenizer()
    scaling = LLAMA3 | {"original_max_position_embeddings": 8}
    fields = sizes(vocab_size=bpe.get_vocab_size(), num_key_value_heads=2, head_dim=4)
    fields |= {"max_position_embeddings": 128, "tie_word_embeddings": True, "attention_bias": True}
    config = transformers.LlamaConfig(**fields, mlp_bias=True, rope_scaling=scaling, rope_theta=100.0)
    directory = write("decoder-llama", transformers.LlamaForCausalLM(config))
    bpe.save(str(directory / "tokenizer.json"))


def qwen2() -> None:
    """Biases of queries, keys and values only; in shards."""
    config = transformers.Qwen2Config(**sizes(num_key_value_heads=2))
    write("decoder-qwen2", transformers.Qwen2ForCausalLM(config), max_shard_size="4KB")


def qwen3() -> None:
    """Norms of each head, which is wider than its share."""
    config = transformers.Qwen3Config(**sizes(num_key_value_heads=1, head_dim=6, tie_word_embeddings=True))
    write("decoder-qwen3", transformers.Qwen3ForCausalLM(config))


def gpt2() -> None:
    """Learned positions."""
    fields = {"vocab_size": 20, "n_embd": 8, "n_layer": 2, "n_head": 2, "n_positions": 16, "n_inner": 12}
    config = transformers.GPT2Config(**fields, bos_token_id=0, eos_token_id=0)
    write("decoder-gpt2", transformers.GPT2LMHeadModel(config))


def neox() -> None:
    """Parallel branches, half of each head turns."""
    fields = sizes(num_attention_heads=2, rotary_pct=0.5, use_parallel_residual=True)
    write("decoder-neox", transformers.GPTNeoXForCausalLM(transformers.GPTNeoXConfig(**fields)))


def mpt() -> None:
    """Linear biases of three heads, which is no power of two."""
    fields = {"vocab_size": 20, "d_model": 12, "n_layers": 2, "n_heads": 3, "max_seq_len": 32}
    write("decoder-mpt", transformers.MptForCausalLM(transformers.MptConfig(**fields)))


MAKERS = {
    "decoder-llama": llama,
    "decoder-qwen2": qwen2,
    "decoder-qwen3": qwen3,
    "decoder-gpt2": gpt2,
    "decoder-neox": neox,
    "decoder-mpt": mpt,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or MAKERS:
        MAKERS[name]()
