"""Rotary settings in the config.json of decoders, as transformers reads them."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jaxrm.models.rope import Rope
from jaxrm.weights.decoder_fields import check

# What a scaling cannot do without.
_NEEDED = {
    "linear": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor"),
    "yarn": ("factor",),
}


def parse_rope(fields: Mapping[str, Any], head_width: int, theta: float, part: float = 1.0) -> Rope:
    """Rotary settings in either spelling.

    transformers 5 writes `rope_parameters`, what is older `rope_theta` and `rope_scaling`, whose type is
    called `rope_type` or `type`; GPT-NeoX said `rotary_emb_base` and `rotary_pct`.

    Args:
      fields: config.json.
      head_width: size of a head.
      theta, part: what the family takes where the file does not say; `part` of a head turns.

    Raises:
      ValueError: a scaling that we do not have, settings for kinds of layers, a part that cannot turn, or
        numbers that are missing or cannot be used; the field is named.
    """
    given = _settings(fields)
    kind = check("rope_type", given.get("rope_type") or given.get("type") or "default", str)
    theta = _number((given, "rope_theta"), (fields, "rope_theta"), (fields, "rotary_emb_base")) or theta
    name = "partial_rotary_factor"
    part = _number((given, name), (fields, name), (fields, "rotary_pct")) or part
    plain = Rope(_width(head_width, part, kind), theta)
    if kind == "default":
        return plain
    if kind not in _NEEDED:
        why = ", for its frequencies change with the length of a text" if kind == "dynamic" else ""
        raise ValueError(f"rope_type {kind!r} is not supported{why}; known: default, {', '.join(_NEEDED)}")
    if missing := [name for name in _NEEDED[kind] if given.get(name) is None]:
        raise ValueError(f"rope_type {kind!r} needs {', '.join(missing)}")
    scaled = replace(plain, kind=kind, factor=float(check("factor", given["factor"], float)))
    if kind == "linear":
        return scaled
    scaled = replace(scaled, original=_original(fields, given))
    return _llama3(scaled, given) if kind == "llama3" else _yarn(scaled, given)


def _width(head_width: int, part: float, kind: str) -> int:
    """How many of a head's numbers turn. An odd number takes one more, for which a head must have room; and
    transformers' YaRN has no frequency for the last pair then."""
    width = int(head_width * part)
    if not 0 < width + width % 2 <= head_width or (kind == "yarn" and width % 2):
        raise ValueError(
            f"{width} numbers of a head of {head_width} cannot turn in pairs by rope_type {kind!r}: "
            f"partial_rotary_factor (rotary_pct) is {part:g}"
        )
    return width


def _settings(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object that has the type of the scaling; empty where there is none."""
    name = "rope_scaling" if fields.get("rope_scaling") else "rope_parameters"
    given = check(name, fields.get(name) or {}, dict)
    if parts := [key for key, value in given.items() if isinstance(value, dict)]:
        raise ValueError(f"{name} is split into {', '.join(parts)}: only one for all layers is supported")
    return given


def _original(fields: Mapping[str, Any], given: Mapping[str, Any]) -> int:
    """The context before it was stretched, in the order in which transformers looks."""
    name = "original_max_position_embeddings"
    places = ((fields, name), (given, name), (fields, "max_position_embeddings"))
    return check(*next(((key, f[key]) for f, key in places if f.get(key) is not None), (name, None)), int)


def _llama3(rope: Rope, given: Mapping[str, Any]) -> Rope:
    return _between(rope, given, low=("low_freq_factor", 1.0), high=("high_freq_factor", 4.0))


def _yarn(rope: Rope, given: Mapping[str, Any]) -> Rope:
    if rope.theta <= 1:
        raise ValueError(f"rope_theta is {rope.theta:g}, wanted more than 1 for rope_type 'yarn'")
    truncate = check("truncate", given.get("truncate", True), bool)
    rope = _between(rope, given, low=("beta_slow", 1.0), high=("beta_fast", 32.0))
    return replace(rope, truncate=truncate, attention=_attention(given, rope.factor))


def _between(rope: Rope, given: Mapping[str, Any], low: tuple[str, float], high: tuple[str, float]) -> Rope:
    """With the turns between which frequencies are blended; `low` and `high` are names and defaults."""
    slow, fast = (_number((given, name)) or default for name, default in (low, high))
    if slow >= fast:
        raise ValueError(f"{low[0]} is {slow:g}, wanted less than {high[0]}, {fast:g}")
    return replace(rope, low=slow, high=fast)


def _attention(given: Mapping[str, Any], factor: float) -> float:
    """YaRN's `attention_factor`; where it is not said, transformers' rule, in which a scale of 0 is none."""

    def grown(weight: float = 1.0) -> float:
        return 0.1 * weight * math.log(factor) + 1 if factor > 1 else 1.0

    if said := _number((given, "attention_factor")):
        return said
    scales = {name: given.get(name) for name in ("mscale", "mscale_all_dim")}
    if not all(scales.values()):
        return grown()
    one, all_dims = (grown(check(name, scale, float)) for name, scale in scales.items())
    return one / all_dims


def _number(*places: tuple[Mapping[str, Any], str]) -> float | None:
    """The first of some fields that is there, which must be a number above 0."""
    for fields, name in places:
        if fields.get(name) is not None:
            return float(check(name, fields[name], float))
    return None


def format_part(rope: Rope, head_width: int) -> float:
    """The `part` of which readers make `rope.width` again: they cut off decimals, so that a quotient which
    was rounded down gives one number less."""
    part = rope.width / head_width
    return part if int(head_width * part) == rope.width else math.nextafter(part, 1)


def format_rope(rope: Rope) -> dict[str, Any]:
    """The older spelling, which every version of transformers reads."""
    scaling: dict[str, Any] = {"rope_type": rope.kind, "factor": rope.factor}
    if rope.kind == "llama3":
        scaling |= {"low_freq_factor": rope.low, "high_freq_factor": rope.high}
    if rope.kind == "yarn":
        scaling |= {"beta_slow": rope.low, "beta_fast": rope.high}
        scaling |= {"attention_factor": rope.attention, "truncate": rope.truncate}
    if rope.kind in ("llama3", "yarn"):
        scaling |= {"original_max_position_embeddings": rope.original}
    return {"rope_theta": rope.theta, "rope_scaling": None if rope.kind == "default" else scaling}
