"""How SigLIP's two editions prepare a sentence before their tokenisers see it."""

import re
import string
from typing import NamedTuple

from tokenizers import Tokenizer, normalizers

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_LOWERCASE = normalizers.Lowercase()


class Ends(NamedTuple):
    """Ids of the end of a text, and of what fills the row behind it."""

    end: int
    pad: int


def is_second_edition(tokenizer: Tokenizer) -> bool:
    """SigLIP 2 has Gemma's vocabulary, which spells its end `<eos>`; the first edition's is `</s>`."""
    return tokenizer.token_to_id("<eos>") is not None


def clean(text: str, tokenizer: Tokenizer) -> str:
    """The second edition lowercases; the first drops ASCII punctuation and merges white space as well."""
    if is_second_edition(tokenizer):
        return _LOWERCASE.normalize_str(text)
    return re.sub(r"\s+", " ", text.lower().translate(_PUNCTUATION)).strip()


def ends(tokenizer: Tokenizer) -> Ends:
    """The first edition fills its rows with the end itself, though its vocabulary has a `<pad>` too.

    Raises:
      ValueError: a vocabulary of neither edition.
    """
    names = ("<eos>", "<pad>") if is_second_edition(tokenizer) else ("</s>", "</s>")
    end, pad = (tokenizer.token_to_id(name) for name in names)
    if end is None or pad is None:
        raise ValueError("the tokeniser is of no SigLIP: it has neither </s> nor <eos> and <pad>")
    return Ends(end, pad)
