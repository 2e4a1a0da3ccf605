"""What the config.json of several families of decoders have in common."""

from collections.abc import Mapping
from typing import Any

from jaxrm.models.decoder import DecoderConfig
from jaxrm.models.rope import Rope


def refuse(fields: Mapping[str, Any], **wanted: Any) -> None:
    """Raise a ValueError for a field that has another value than the one that we can build; absent is
    fine.
    """
    for name, value in wanted.items():
        if name in fields and fields[name] not in (value, None):
            raise ValueError(f"{name} is {fields[name]!r}: only {value!r} is supported")


def parse_rope(fields: Mapping[str, Any], head_width: int, theta: float, part: float = 1.0) -> Rope:
    """Rotary settings in either spelling.

    transformers 5 writes `rope_parameters`, what is older `rope_theta` and `rope_scaling`, whose type is
    called `rope_type` or `type`; GPT-NeoX said `rotary_emb_base` and `rotary_pct`.

    Args:
      fields: config.json.
      head_width: size of a head.
      theta, part: what the family takes where the file does not say; `part` of a head turns.

    Raises:
      ValueError: a scaling that we do not have, or one whose numbers are missing.
    """
    given = fields.get("rope_scaling") or fields.get("rope_parameters") or {}
    kind = given.get("rope_type") or given.get("type") or "default"
    theta = given.get("rope_theta") or fields.get("rope_theta") or fields.get("rotary_emb_base") or theta
    part = _first(
        given.get("partial_rotary_factor"),
        fields.get("partial_rotary_factor"),
        fields.get("rotary_pct"),
        part,
    )
    width = int(head_width * part)
    if kind == "default":
        return Rope(width, float(theta))
    names = {"linear": ("factor",), "llama3": ("factor", "low_freq_factor", "high_freq_factor")}
    if kind not in names:
        raise ValueError(f"rope_type {kind!r} is not supported; known: default, {', '.join(names)}")
    if missing := [name for name in names[kind] if given.get(name) is None]:
        raise ValueError(f"rope_type {kind!r} needs {', '.join(missing)}")
    if kind == "linear":
        return Rope(width, float(theta), "linear", float(given["factor"]))
    original = given.get("original_max_position_embeddings") or fields["max_position_embeddings"]
    low, high = float(given["low_freq_factor"]), float(given["high_freq_factor"])
    return Rope(width, float(theta), "llama3", float(given["factor"]), low, high, int(original))


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)


def format_rope(rope: Rope) -> dict[str, Any]:
    """The older spelling, which every version of transformers reads."""
    scaling = None
    if rope.kind == "linear":
        scaling = {"rope_type": "linear", "factor": rope.factor}
    if rope.kind == "llama3":
        scaling = {
            "rope_type": "llama3",
            "factor": rope.factor,
            "low_freq_factor": rope.low,
            "high_freq_factor": rope.high,
            "original_max_position_embeddings": rope.original,
        }
    return {"rope_theta": rope.theta, "rope_scaling": scaling}


def parse_ends(fields: Mapping[str, Any], vocabulary: int) -> dict[str, Any]:
    """`bos_token_id` and `eos_token_ids`; ids outside the vocabulary, defaults of transformers, are none."""
    bos, eos = fields.get("bos_token_id"), fields.get("eos_token_id")
    ends = eos if isinstance(eos, (list, tuple)) else [eos]
    inside = [i for i in (bos, *ends) if i is not None and 0 <= i < vocabulary]
    return {
        "bos_token_id": bos if bos in inside else None,
        "eos_token_ids": tuple(i for i in ends if i in inside),
    }


def format_ends(config: DecoderConfig) -> dict[str, Any]:
    """The inverse of `parse_ends`; said even where there are none, lest defaults step in."""
    ends = config.eos_token_ids
    eos = None if not ends else ends[0] if len(ends) == 1 else list(ends)
    return {"bos_token_id": config.bos_token_id, "eos_token_id": eos, "pad_token_id": None}
