"""A byte-pair tokeniser of our own: CLIP's 49,408 entries would outweigh the small models."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

START, END = "<|startoftext|>", "<|endoftext|>"


def train_tokenizer(texts: Iterable[str], size: int = 1024) -> Tokenizer:
    """Trains a byte-level BPE in the manner of CLIP's on lower-cased texts.

    The special tokens come last, so that the end of a text is the largest id: then the readings
    "first end token" and "largest id" of where a text ends agree.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
            normalizers.Lowercase(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, show_progress=False, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())
    )
    tokenizer.train_from_iterator(sorted(set(texts)), trainer)
    tokenizer.add_special_tokens([START, END])
    specials = [(token, tokenizer.token_to_id(token)) for token in (START, END)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $0 {END}", special_tokens=specials
    )
    return tokenizer


def respelt(
    table: Float[np.ndarray, "old width"], old: Tokenizer, new: Tokenizer
) -> Float[np.ndarray, "new width"]:
    """Embeddings for another vocabulary: of each token the mean of the old ones that spell it.

    Both tokenisers are of `train_tokenizer`: bytes are in both, so every token can be spelt.
    """
    known, wanted = old.get_vocab(), new.get_vocab()
    spelt = [
        [known[name]] if name in (START, END) else [piece.id for piece in old.model.tokenize(name)]
        for name in sorted(wanted, key=wanted.__getitem__)
    ]
    return np.stack([table[ids].mean(0) for ids in spelt])
