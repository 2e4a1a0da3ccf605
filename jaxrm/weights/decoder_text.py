"""The host side of a decoder: its tokeniser, and rows of tokens."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer

from jaxrm.models.decoder import DecoderConfig
from jaxrm.weights.files import read_json, write_bytes, write_json
from jaxrm.weights.tokens import (
    TOKENIZER,
    TRAINING_WORDS,
    TrainingWords,
    check_texts,
    read_tokenizer,
    read_training_words,
)

TOKENIZER_CONFIG, GENERATION_CONFIG = "tokenizer_config.json", "generation_config.json"
# Written again beside a checkpoint that was loaded.
CARRIED = (
    TOKENIZER,
    TRAINING_WORDS,
    "tokenizer.model",
    TOKENIZER_CONFIG,
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    GENERATION_CONFIG,
    "chat_template.jinja",
)

# Steps of a tokeniser that begin each text with a mark of a space, and what they are without it; and one that
# would take the space before a word away with the mark.
_MARKS = {
    "Prepend": {"prepend": ""},
    "Metaspace": {"prepend_scheme": "never"},
    "ByteLevel": {"add_prefix_space": False},
}
_STRIP = {"Strip": {"strip_left": False}}


class Rows(NamedTuple):
    """Prompts with their continuations, padded behind.

    Attributes:
      tokens: int32 [n, t].
      mask: bool [n, t], which ids are no padding.
      starts: int32 [n], where the continuations begin.
      count: tokens of the longest continuation, rounded up.
    """

    tokens: np.ndarray
    mask: np.ndarray
    starts: np.ndarray
    count: int


class DecoderProcessor:
    """A tokeniser that is read from `source`, a directory with tokenizer.json, when first needed.

    Attributes:
      training_words: what the decoder was taught, where that is known: by a small one that was trained on one
        language alone.
    """

    def __init__(
        self, source: Path | Tokenizer, config: DecoderConfig, training_words: TrainingWords | None = None
    ):
        self.source = source
        self.config = config
        self.training_words = training_words
        if training_words is None and isinstance(source, Path):
            self.training_words = read_training_words(source)

    def check_words(self, texts: Sequence[str]) -> None:
        """Raise `UnknownWordsError`, a ValueError, if a word was not in training, where that is known."""
        if self.training_words is not None:
            self.training_words.check(texts)

    @property
    def context(self) -> int:
        """The longest sequence in tokens."""
        return self.config.context

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokeniser itself.

        Raises:
          FileNotFoundError: the checkpoint has no tokenizer.json.
          ValueError: that is no tokeniser's file, has ids that the decoder has no embedding for, or not those
            with which the decoder's texts begin and end.
        """
        if isinstance(self.source, Tokenizer):
            tokenizer = self.source
        elif (self.source / TOKENIZER).is_file():
            tokenizer = read_tokenizer(self.source / TOKENIZER)
        else:
            raise FileNotFoundError(
                f"{self.source} has no {TOKENIZER}, so it reads token ids but no texts. From older files "
                'transformers makes one: python -c "from transformers import AutoTokenizer as T; '
                f"T.from_pretrained('{self.source}').save_pretrained('{self.source}')\""
            )
        largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
        if largest >= self.config.vocabulary:
            raise ValueError(
                f"the tokeniser of {self.source} has ids up to {largest}, but the decoder's vocabulary "
                f"ends at {self.config.vocabulary - 1}: they do not belong together"
            )
        for what, ids in (("begin", [self.config.bos_token_id]), ("end", self.config.eos_token_ids[:1])):
            if any(i is not None and tokenizer.id_to_token(i) is None for i in ids):
                raise ValueError(
                    f"the decoder's texts {what} with id {ids[0]}, for which the tokeniser of {self.source} "
                    "has no token: they do not belong together"
                )
        return tokenizer

    @cached_property
    def vocabulary_digest(self) -> str:
        """Sixteen hex digits of which token has which id; raises what `tokenizer` does."""
        ids = self.tokenizer.get_vocab(with_added_tokens=True)
        return hashlib.sha256(json.dumps(sorted(ids.items())).encode()).hexdigest()[:16]

    def encode(self, text: str, *, beginning: bool = False) -> list[int]:
        """The ids of a text that goes on behind other text, or stands at the `beginning` of a sequence, with
        what the tokeniser puts there.

        An end of text that the tokeniser would add is left out: what follows is to be a continuation.
        """
        if beginning:
            return [*self._beginning, *self._plain(text)]
        return self._continuing.encode(text, add_special_tokens=False).ids

    def _plain(self, text: str) -> list[int]:
        """The ids of a text with nothing before it."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    @cached_property
    def _continuing(self) -> Tokenizer:
        """The tokeniser of pieces that go on.

        SentencePiece's, as Llama 2's, put a mark of a space before every text, and so can those of bytes.
        Before a piece that would be a space too many: with it " kneels" begins with two, and "." with one.
        One of bytes that strips texts was made so that a piece has the ids of a text, and stays as it is.
        """
        described = json.loads(self.tokenizer.to_str())
        steps = [*_steps(described["normalizer"]), *_steps(described["pre_tokenizer"])]
        kinds = {step["type"] for step in steps}
        if not kinds & _MARKS.keys() or {"ByteLevel", "Strip"} <= kinds:
            return self.tokenizer
        for step in steps:
            step.update((_MARKS | _STRIP).get(step["type"], {}))
        return Tokenizer.from_str(json.dumps(described))

    @cached_property
    def _beginning(self) -> list[int]:
        """What the tokeniser puts before every text."""
        probe = self._plain("a")
        whole = self.tokenizer.encode("a").ids
        starts = [i for i in range(len(whole) - len(probe) + 1) if whole[i : i + len(probe)] == probe]
        if starts and starts[0]:
            return whole[: starts[0]]
        told = read_told(self.source) if isinstance(self.source, Path) else {}
        added = special_id(told, "bos_token", self.tokenizer) if told.get("add_bos_token") is True else None
        return [] if added is None else [added]

    def begin(self, text: str) -> list[int]:
        """The ids of a prompt, at least one: an empty prompt of a tokeniser that puts nothing in front
        becomes the config's `bos_token_id`.

        Raises:
          ValueError: there is none either.
        """
        ids = self.encode(text, beginning=True)
        if ids:
            return ids
        if self.config.bos_token_id is None:
            raise ValueError(
                "the prompt is empty and the decoder has no beginning-of-sequence token: give a word"
            )
        return [self.config.bos_token_id]

    def tokenize(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Texts -> ids, int32 [n, longest], padded behind with 0, and bool [n, longest], which are no
        padding.

        Raises:
          TypeError: one string instead of several.
          ValueError: no text, or one that is longer than the context.
        """
        check_texts(texts, allow_empty=True)
        return pad([self._checked(self.begin(text), text) for text in texts])

    def rows(self, prompts: Sequence[str], continuations: Sequence[str], multiple: int = 16) -> Rows:
        """Prompts and their continuations, each tokenised by itself, as rows of a multiple of `multiple` ids.

        Behind an empty prompt a continuation is the beginning.

        Raises:
          TypeError: one string instead of several.
          ValueError: not equally many, an empty continuation, or more tokens than the context holds.
        """
        check_texts(prompts, allow_empty=True)
        check_texts(continuations, allow_empty=True)
        if len(prompts) != len(continuations):
            raise ValueError(
                f"{len(prompts)} prompts and {len(continuations)} continuations: give one for each"
            )
        pairs = list(zip(prompts, continuations, strict=True))
        heads = [self.begin(prompt) for prompt in prompts]
        tails = [self.encode(text) if prompt else self._plain(text) for prompt, text in pairs]
        for tail, text in zip(tails, continuations, strict=True):
            if not tail:
                raise ValueError(f"the continuation {text!r} has no tokens")
        both = zip(heads, tails, pairs, strict=True)
        ids = [self._checked([*head, *tail], prompt + text) for head, tail, (prompt, text) in both]
        # A few lengths only, so that few programs are compiled.
        longest = min(_up(max(map(len, ids)), multiple), self.context)
        tokens, mask = pad(ids, longest)
        count = min(_up(max(map(len, tails)), multiple // 2), longest)
        return Rows(tokens, mask, np.array([len(head) for head in heads], np.int32), count)

    def decode(self, ids: Sequence[int]) -> str:
        """Ids -> text, without special tokens."""
        return self.tokenizer.decode(list(ids))

    def _checked(self, ids: list[int], text: str) -> list[int]:
        if len(ids) > self.context:
            raise ValueError(f"{len(ids)} tokens, and the decoder's context holds {self.context}: {text!r}")
        return ids

    def save(self, directory: Path) -> None:
        """Write the tokeniser's files."""
        if isinstance(self.source, Tokenizer):
            write_bytes(directory / TOKENIZER, self.source.to_str(pretty=True).encode())
            if self.training_words is not None:
                write_json(directory / TRAINING_WORDS, self.training_words.to_json())
            return
        for name in CARRIED:
            if (self.source / name).is_file() and self.source.resolve() != directory.resolve():
                write_bytes(directory / name, (self.source / name).read_bytes())


def read_told(directory: Path) -> dict[str, Any]:
    """What a tokeniser's config says; empty where there is none."""
    file = directory / TOKENIZER_CONFIG
    return read_json(file) if file.is_file() else {}


def special_id(told: dict[str, Any], name: str, tokenizer: Tokenizer) -> int | None:
    """The id of a token that a tokeniser's config names, as text or as an object with its `content`."""
    token = told.get(name)
    token = token.get("content") if isinstance(token, dict) else token
    return tokenizer.token_to_id(token) if isinstance(token, str) else None


def pad(rows: Sequence[Sequence[int]], length: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Rows of ids -> int32 [n, length], padded behind with 0, and which are no padding; None: the longest."""
    length = max(map(len, rows), default=0) if length is None else length
    tokens, mask = np.zeros((len(rows), length), np.int32), np.zeros((len(rows), length), bool)
    for i, row in enumerate(rows):
        tokens[i, : len(row)], mask[i, : len(row)] = row, True
    return tokens, mask


def _steps(part: Any) -> Iterator[dict[str, Any]]:
    """All steps of a normaliser or a pre-tokeniser in JSON, which may be none or a sequence of others."""
    if part is not None:
        yield part
        for inner in (*part.get("normalizers", ()), *part.get("pretokenizers", ())):
            yield from _steps(inner)


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
