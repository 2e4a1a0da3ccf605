"""An interface between frames and a decoder, as a directory: config.json and model.safetensors."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxrm.models.interface import Interface, InterfaceConfig
from jaxrm.weights import files
from jaxrm.weights.table import Row, leaves_by_path, to_tensors, to_tree

MODEL_TYPE = "jaxrm_interface"
_FIELDS = tuple(field.name for field in dataclasses.fields(InterfaceConfig) if field.name != "dtype")
_LABELS = ("tower", "decoder", "vocabulary", "form")


def save_interface(interface: Interface, directory: str | os.PathLike) -> None:
    """Write an interface; loading it again gives the same bits. The config comes last.

    Args:
      interface: with weights.
      directory: made where it is not there; each of the two files is replaced in one step.
    """
    directory = Path(directory).expanduser()
    directory.mkdir(parents=True, exist_ok=True)
    files.write_tensors(directory, to_tensors(_table(interface.config), interface))
    fields = {name: getattr(interface.config, name) for name in _FIELDS}
    files.write_json(directory / "config.json", {"model_type": MODEL_TYPE, **fields})


def load_interface(name: str | os.PathLike, *, dtype: str = "float32") -> Interface:
    """Load an interface: a directory, or the name of one that comes with us ("fomo-interface").

    Args:
      name: what to load.
      dtype: what is computed in (float64 only under x64); the weights keep the dtype of their file.

    Raises:
      FileNotFoundError: nothing of that name, or a directory without config.json or safetensors.
      ValueError: another kind of model, fields of its config that are missing or unknown, or weights that do
        not fit.
    """
    directory = files.find(name)
    given = files.read_config(directory)
    if given.get("model_type") != MODEL_TYPE:
        raise ValueError(
            f"{directory} holds a {given.get('model_type', 'clip')!r} model and no interface "
            f"(model_type {MODEL_TYPE!r}), which `python -m train interface` makes"
        )
    with files.naming(directory / "config.json"):
        config = _parse(given, dtype)
    return to_tree(_table(config), Interface.abstract(config), files.read_tensors(directory, (files.SINGLE,)))


def _parse(given: Mapping[str, Any], dtype: str) -> InterfaceConfig:
    fields: dict[str, Any] = dict.fromkeys(_LABELS, "") | {
        name: x for name, x in given.items() if name != "model_type"
    }
    if fields.keys() != set(_FIELDS):
        missing, unknown = sorted(set(_FIELDS) - fields.keys()), sorted(fields.keys() - set(_FIELDS))
        raise ValueError(f"missing are {missing}, unknown are {unknown}")
    for name in ("inputs", "outputs", "width", "heads"):
        if type(fields[name]) is not int or fields[name] < 1:
            raise ValueError(f"{name} is {fields[name]!r}, wanted a whole number of at least 1")
    if type(fields["layers"]) is not int:
        raise ValueError(f"layers is {fields['layers']!r}, wanted a whole number")
    for name in _LABELS:
        if not isinstance(fields[name], str):
            raise ValueError(f"{name} is {fields[name]!r}, wanted a text")
    return InterfaceConfig(**fields, dtype=dtype)


def _table(config: InterfaceConfig) -> tuple[Row, ...]:
    """Arrays by the names of our own tree: there is no other format to follow."""
    return tuple(Row(path, path) for path in leaves_by_path(Interface.abstract(config)))
