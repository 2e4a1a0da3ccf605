"""Sentences -> token ids, and whether a model has ever seen their words."""

import difflib
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from jaxrm.models import TextConfig
from jaxrm.models.text import LEGACY_EOS
from jaxrm.weights import sentencepiece, siglip_text
from jaxrm.weights.files import read_json

TOKENIZER, TRAINING_WORDS = "tokenizer.json", "training_words.json"
SENTENCEPIECE = ("spiece.model", "tokenizer.model")
_SHOWN = 40  # characters of a text in a warning
_EXAMPLES = 5  # captions that an error shows
_ALIKE, _SHORT = 0.8, 4  # how near words are spelt; of so few letters each would be near to others
_EMPTY = 2  # letters of "a" and "on", which captions share that have nothing else in common
_DENIALS = {"not", "without", "no", "never"}
_ENDING = re.compile(r"(?<=\w{3})(?:ing|ed|es|s|e)$")  # of English words: "kneels" is near "kneeling"
# Of any script: what is not seen cannot be refused. Compounds are words of their own: tokenisers see hyphens.
_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")


class UnknownWordsError(ValueError):
    """A sentence has words that the model never saw in training."""


@dataclass(frozen=True)
class TrainingWords:
    """The words of a model's training captions, and some of the captions as examples."""

    words: frozenset[str]
    captions: tuple[str, ...] = ()

    @classmethod
    def of(cls, captions: Iterable[str], examples: int = 20) -> "TrainingWords":
        """All words of the captions; a few distinct captions, spread evenly, are kept as examples."""
        distinct = tuple(dict.fromkeys(captions))
        shown = distinct[:: max(1, len(distinct) // examples)][:examples]
        return cls(frozenset(word for text in distinct for word in words_of(text)), shown)

    def check(self, texts: Sequence[str]) -> None:
        """Raise `UnknownWordsError` naming each word that is not known, and the nearest known ones."""
        wordless = [text for text in texts if text.strip() and not words_of(text)]
        if wordless:
            raise UnknownWordsError(f"no words in {wordless[0]!r}: say what you want in a sentence")
        unknown = dict.fromkeys(word for text in texts for word in words_of(text) if word not in self.words)
        unknown = [word for word in unknown if not (self._are_apart and self._knows_parts(word))]
        if not unknown:
            return
        words = [words_of(text) for text in texts]
        pairs = [pair for said in words for pair in pairwise(said) if "-".join(pair) in self.words]
        compounds = {part: "-".join(pair) for pair in pairs for part in pair}
        hints = "; ".join(self._hint(word, compounds.get(word)) for word in unknown)
        near = self._nearest([compounds.get(x, x) for said in words for x in said])
        examples = "".join(f"\n  {caption}" for caption in near)
        raise UnknownWordsError(
            f"the model never saw these words in training: {hints}. It cannot know their meaning; "
            "allow_unknown_words=True (--allow-unknown-words) goes on regardless."
            + (f" The nearest captions that it knows:{examples}" if examples else "")
        )

    def _hint(self, word: str, compound: str | None) -> str:
        """What to write in the place of an unknown word; `compound`: the known one that it is a part of."""
        if self._knows_parts(word):
            return f"{word!r} (write it apart: {word.replace('-', ' ')!r})"
        if compound:
            return f"{word!r} (write it with a hyphen: {compound!r})"
        near = sorted((-_ratio(word, known), known) for known in self.words if _is_near(word, known))
        names = ", ".join(known for _, known in near[:3])
        return f"{word!r} (nearest known: {names})" if near else f"{word!r}"

    def _nearest(self, words: list[str]) -> list[str]:
        """Captions that share words with a sentence, long ones before all, of the nearest the shortest first.
        Last are those that deny where no word does, or the other way; where none shares a word, the first of
        all are as good as others."""
        others = {caption: words_of(caption) for caption in self.captions}
        otherwise = {caption: _denies(said) != _denies(words) for caption, said in others.items()}
        full = {word for word in words if len(word) > _EMPTY}
        shared = {
            caption: sum(len(word) for word in full if any(_is_near(word, other) for other in said))
            for caption, said in others.items()
        }
        near = sorted(
            filter(shared.get, others), key=lambda text: (otherwise[text], -shared[text], len(text))
        )
        return (near or sorted(others, key=otherwise.__getitem__))[:_EXAMPLES]

    def _knows_parts(self, word: str) -> bool:
        return "-" in word and self.words >= set(word.split("-"))

    @cached_property
    def _are_apart(self) -> bool:
        """Whether these are of a file in which compounds are not words of their own."""
        return not any("-" in word for word in self.words)

    def to_json(self) -> dict[str, list[str]]:
        return {"words": sorted(self.words), "captions": list(self.captions)}


def _is_near(word: str, other: str) -> bool:
    """Whether one is another form of the other, or spelt nearly so; slips are seldom in the first letter."""
    slip = len(word) > _SHORT and word[0] == other[0] and _ratio(word, other) >= _ALIKE
    return slip or _stem(word) == _stem(other)


def _ratio(word: str, other: str) -> float:
    return difflib.SequenceMatcher(None, word, other).ratio()


def _stem(word: str) -> str:
    """Of "sits" and "sitting" the same."""
    return re.sub(r"(.)\1$", r"\1", _ENDING.sub("", word))


def _denies(words: Sequence[str]) -> bool:
    return any(word in _DENIALS or word.endswith(("n't", "n\u2019t")) for word in words)


def words_of(text: str) -> list[str]:
    """The words of a sentence, in lower case and without punctuation."""
    return _WORD.findall(text.lower())


def read_training_words(directory: Path) -> TrainingWords | None:
    """training_words.json, where a checkpoint has one."""
    path = directory / TRAINING_WORDS
    if not path.is_file():
        return None
    given = read_json(path)
    words, captions = given.get("words"), given.get("captions", [])
    if not all(isinstance(x, list) and all(isinstance(y, str) for y in x) for x in (words, captions)):
        raise ValueError(f"{path} has no list of words, or captions that are no list of sentences")
    assert isinstance(words, list)
    return TrainingWords(frozenset(words), tuple(captions))


def read_tokenizer(path: Path) -> Tokenizer:
    """tokenizer.json, without the padding and the cutting that it may ask for.

    Raises:
      ValueError: it is no tokeniser's file; it is named.
    """
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises `Exception` itself
        raise ValueError(f"{path} is not a tokeniser's file: {error}. Fetch it again") from error
    tokenizer.no_padding()  # rows are padded here, and
    tokenizer.no_truncation()  # a text that is too long is told of
    return tokenizer


class TextProcessor:
    """A tokeniser, read from `source` when first needed, that fills rows of the model's context.

    Against open_clip's own tokeniser, Hugging Face's tokenizer.json of CLIP, which this uses, differs in what
    it cleans: open_clip repairs broken unicode and straightens quotes (ftfy), replaces HTML entities, and
    leaves composed characters alone, which tokenizer.json composes (NFC). On texts without such, both give
    the same ids.
    """

    def __init__(self, source: Path | Tokenizer, config: TextConfig):
        """`source`: a directory with tokenizer.json or a sentencepiece model, or a tokeniser; `config`: the
        tower that reads."""
        self.source = source
        self.config = config

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokeniser itself.

        Raises:
          FileNotFoundError: the checkpoint has no tokenizer.json and no sentencepiece model.
          ValueError: the file that it has is no tokeniser; it is named.
        """
        if isinstance(self.source, Tokenizer):
            return self.source
        if (self.source / TOKENIZER).is_file():
            return read_tokenizer(self.source / TOKENIZER)
        for name in SENTENCEPIECE:
            if (self.source / name).is_file():
                return sentencepiece.read(self.source / name)
        raise FileNotFoundError(
            f"{self.source} has no {TOKENIZER}, so it embeds images but no texts. From vocab.json and "
            'merges.txt transformers makes one: python -c "from transformers import AutoTokenizer as T; '
            f"T.from_pretrained('{self.source}').save_pretrained('{self.source}')\""
        )

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Sentences -> int32 [n, context]. A text that is too long is cut, with a warning, and keeps its end.

        Raises:
          TypeError: one string instead of several.
          ValueError: no sentence, or a tokeniser of another model.
        """
        check_texts(texts, allow_empty=True)
        rows = np.zeros((len(texts), self.config.context), np.int32)
        for row, text in zip(rows, texts, strict=True):
            ids, pad = self._encode(text)
            ids = self._cut(ids, text)
            row[:] = pad
            row[: len(ids)] = ids
        return rows

    def check_length(self, texts: Sequence[str]) -> None:
        """Raise a ValueError for a text that would be cut."""
        for text in texts:
            length = len(self._encode(text)[0])
            if length > self.config.context:
                raise ValueError(
                    f"{length} tokens, and the model takes {self.config.context} at most: {text!r}"
                )

    def _cut(self, ids: list[int], text: str) -> list[int]:
        context = self.config.context
        if len(ids) <= context:
            return ids
        start = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
        message = f"{len(ids)} tokens, and the model takes {context}: the rest is cut off {start!r}"
        warnings.warn(message, stacklevel=4)
        return [*ids[: context - 1], ids[-1]]

    def _encode(self, text: str) -> tuple[list[int], int]:
        """Ids with their end, and the id that fills the row behind it."""
        if self.config.pool == "last":
            words = siglip_text.clean(text, self.tokenizer)
            end, pad = siglip_text.ends(self.tokenizer)
            ids = [*self.tokenizer.encode(words, add_special_tokens=False).ids, end]
        else:
            ids = self.tokenizer.encode(text).ids
            pad = ids[-1] if ids else 0  # behind the end no id has an influence
            self._check_end(ids, text)
        if max(ids) >= self.config.vocabulary:
            raise ValueError(
                f"the tokeniser gives id {max(ids)}, but the model's vocabulary ends at "
                f"{self.config.vocabulary - 1}"
            )
        return ids, pad

    def _check_end(self, ids: list[int], text: str) -> None:
        """The model is read at the first end-of-text: elsewhere it would be blind to the rest."""
        eos = self.config.eos_token_id
        end = max(ids, default=-1) if eos == LEGACY_EOS else eos
        if end not in ids or ids.index(end) != len(ids) - 1:
            raise ValueError(f"tokens {ids} of {text!r} do not end with their only end-of-text id, {end}")


def check_texts(texts: Sequence[str], *, allow_empty: bool = False) -> None:
    """Raise unless this is a sequence of sentences, not empty ones unless allowed."""
    if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        raise TypeError(f"wanted a list of sentences, got {texts!r}")
    if not len(texts):
        raise ValueError("no sentence given")
    if not allow_empty and any(not text.strip() for text in texts):
        raise ValueError(f"a sentence is empty: {list(texts)!r}")
