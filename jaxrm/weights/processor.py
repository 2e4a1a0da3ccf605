"""The host side of a checkpoint: everything that is not an array."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from jaxrm.weights.files import write_bytes, write_json
from jaxrm.weights.preprocess import ImageSettings, format_settings
from jaxrm.weights.tokens import SENTENCEPIECE, TOKENIZER, TRAINING_WORDS, TextProcessor, TrainingWords

PREPROCESSOR = "preprocessor_config.json"
_CARRIED = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
)


@dataclass(frozen=True, eq=False)
class Processor:
    """Tokeniser, sizes, mean and std. Never inside a pytree.

    Attributes:
      images: how frames become pixels; hashable, a static argument of compiled functions.
      texts: the tokeniser and the context length; None: an image tower alone.
      training_words: what the model was taught, where that is known.
    """

    images: ImageSettings
    texts: TextProcessor | None = field(default=None, repr=False)
    training_words: TrainingWords | None = field(default=None, repr=False)

    @property
    def context(self) -> int:
        """The longest text in tokens."""
        return self._reader().config.context

    @property
    def tokenizer(self):
        """The `tokenizers.Tokenizer`, read when first needed."""
        return self._reader().tokenizer

    def tokenize(self, texts: Sequence[str]) -> np.ndarray:
        """Sentences -> int32 [n, context]."""
        return self._reader()(texts)

    def _reader(self) -> TextProcessor:
        if self.texts is None:
            raise ValueError("this is an image tower alone: it reads no texts")
        return self.texts

    def check_length(self, texts: Sequence[str]) -> None:
        """Raise a ValueError if a text is longer than the context, so that `tokenize` would cut it."""
        self._reader().check_length(texts)

    def check_words(self, texts: Sequence[str]) -> None:
        """Raise `UnknownWordsError`, a ValueError, if a word was not in training, where that is known."""
        if self.training_words is not None:
            self.training_words.check(texts)

    def save(self, directory: Path) -> None:
        """Write preprocessor_config.json, the tokeniser's files and training_words.json."""
        write_json(directory / PREPROCESSOR, format_settings(self.images))
        if self.training_words is not None:
            write_json(directory / TRAINING_WORDS, self.training_words.to_json())
        if self.texts is None:
            return
        source = self.texts.source
        if not isinstance(source, Path):
            write_bytes(directory / TOKENIZER, source.to_str(pretty=True).encode())
            return
        for name in (TOKENIZER, *SENTENCEPIECE, *_CARRIED):
            if (source / name).is_file() and source.resolve() != directory.resolve():
                write_bytes(directory / name, (source / name).read_bytes())
