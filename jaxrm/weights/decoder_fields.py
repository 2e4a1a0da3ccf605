"""What the config.json of several families of decoders have in common."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from jaxrm.models.decoder import DecoderConfig
from jaxrm.weights.fields import present

# Kinds of fields: what is allowed, in words and as a test.
_KINDS: dict[type, tuple[str, Callable[[Any], bool]]] = {
    int: ("a whole number of at least 1", lambda x: type(x) is int and x >= 1),
    float: ("a number above 0", lambda x: type(x) in (int, float) and 0 < x < math.inf),
    bool: ("true or false", lambda x: type(x) is bool),
    str: ("a text", lambda x: type(x) is str),
    list: ("a list", lambda x: type(x) is list),
    dict: ("an object", lambda x: isinstance(x, Mapping)),
}


def check(name: str, value: Any, kind: type) -> Any:
    """The value of a field, if it is of its kind.

    Raises:
      ValueError: it is not; the message names the field and says what is allowed.
    """
    wanted, fits = _KINDS[kind]
    if not fits(value):
        raise ValueError(f"{name} is {value!r}, wanted {wanted}")
    return value


def read_fields(given: Mapping[str, Any], defaults: Mapping[str, Any], **kinds: type) -> dict[str, Any]:
    """All fields, with defaults for those that are omitted or null.

    Args:
      given: config.json.
      defaults: their values say of what kind a field is, too.
      kinds: of further fields, which have no default.

    Raises:
      ValueError: a field is of another kind, see `check`.
    """
    fields = {**defaults, **present(given)}
    for name, kind in ({name: type(value) for name, value in defaults.items()} | kinds).items():
        if name in fields:
            check(name, fields[name], kind)
    return fields


def head_width(fields: Mapping[str, Any], width: str, heads: str) -> int:
    """An equal share of the fields named `width` for each of `heads`.

    Raises:
      ValueError: it is no whole number.
    """
    if fields[width] % fields[heads]:
        raise ValueError(f"{width} is {fields[width]}, wanted a multiple of {heads}, {fields[heads]}")
    return fields[width] // fields[heads]


def refuse(fields: Mapping[str, Any], **wanted: Any) -> None:
    """Raise a ValueError for a field that has another value than the one that we can build; absent is
    fine.
    """
    for name, value in wanted.items():
        if name in fields and fields[name] not in (value, None):
            raise ValueError(f"{name} is {fields[name]!r}: only {value!r} is supported")


def parse_ends(
    given: Mapping[str, Any], vocabulary: int, bos: int | None = None, eos: int | None = None
) -> dict[str, Any]:
    """`bos_token_id` and `eos_token_ids`; ids outside the vocabulary, as defaults may be, are none.

    Args:
      given: config.json; null means that there is none.
      vocabulary: number of token ids.
      bos, eos: transformers' defaults, for fields that are omitted.

    Raises:
      ValueError: no token ids; the field is named.
    """
    begin, end = given.get("bos_token_id", bos), given.get("eos_token_id", eos)
    ends = end if isinstance(end, (list, tuple)) else [end]
    for name, value, ids in (("bos_token_id", begin, [begin]), ("eos_token_id", end, ends)):
        if not all(i is None or type(i) is int for i in ids):
            several = " or a list of them" if name == "eos_token_id" else ""
            raise ValueError(f"{name} is {value!r}, wanted a token id{several}, or null for none")
    inside = [i for i in (begin, *ends) if i is not None and 0 <= i < vocabulary]
    return {
        "bos_token_id": begin if begin in inside else None,
        "eos_token_ids": tuple(i for i in ends if i in inside),
    }


def format_ends(config: DecoderConfig) -> dict[str, Any]:
    """The inverse of `parse_ends`; said even where there are none, lest defaults step in."""
    ends = config.eos_token_ids
    eos = None if not ends else ends[0] if len(ends) == 1 else list(ends)
    return {"bos_token_id": config.bos_token_id, "eos_token_id": eos, "pad_token_id": None}
