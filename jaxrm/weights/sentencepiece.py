"""A sentencepiece model (unigram) as a `tokenizers.Tokenizer`, without the library that made it.

The file is a protocol buffer, `sentencepiece_model.proto` of github.com/google/sentencepiece. Read from it:
pieces (field 1: piece 1, score 2, type 3), the trainer's model type (2.3), and of the normaliser (3) the
table of characters (2), the prefix (3) and whether white space is merged (4).
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

_UNIGRAM, _UNKNOWN, _BYTE = 1, 2, 6  # enums of the format
_SPACE = "▁"


def read(path: Path) -> Tokenizer:
    """A file such as spiece.model -> a tokeniser that gives the same ids.

    Raises:
      ValueError: no sentencepiece model, or one that is not a unigram model.
    """
    try:
        return _read(path.read_bytes())
    except (struct.error, IndexError, UnicodeDecodeError, KeyError) as error:
        raise ValueError(f"{path} is not a sentencepiece model: {error}") from error
    except NotImplementedError as error:
        raise ValueError(f"{path}: {error}") from error


def _read(content: bytes) -> Tokenizer:
    pieces: list[tuple[str, float]] = []
    unknown, has_bytes, trainer, normalizer = None, False, {}, {}
    for number, value in _fields(content):
        if number == 1:
            piece = dict(_fields(_bytes(value)))
            kind = piece.get(3, 1)
            unknown = len(pieces) if kind == _UNKNOWN else unknown
            has_bytes |= kind == _BYTE
            pieces.append((_bytes(piece[1]).decode(), struct.unpack("<f", _bytes(piece.get(2, bytes(4))))[0]))
        elif number in (2, 3):
            (trainer if number == 2 else normalizer).update(_fields(_bytes(value)))
    if not pieces:
        raise IndexError("no pieces")
    if trainer.get(3, _UNIGRAM) != _UNIGRAM:
        raise NotImplementedError("a sentencepiece model that is not unigram needs its tokenizer.json")
    tokenizer = Tokenizer(models.Unigram(pieces, unknown, has_bytes))
    steps = [normalizers.Precompiled(_bytes(normalizer[2]))] if normalizer.get(2) else []
    if normalizer.get(4, 1):
        steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    tokenizer.normalizer = normalizers.Sequence(steps)
    prefix = "always" if normalizer.get(3, 1) else "never"
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(_SPACE, prepend_scheme=prefix)
    return tokenizer


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise IndexError("a number in place of bytes")
    return value


def _fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: (number, value), the value as an integer or as bytes."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(content, at)
        else:
            if wire == 2:
                size, at = _varint(content, at)
            else:
                size = {1: 8, 5: 4}[wire]
            if at + size > len(content):
                raise IndexError("it ends within a field")
            value, at = content[at : at + size], at + size
        yield key >> 3, value


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
