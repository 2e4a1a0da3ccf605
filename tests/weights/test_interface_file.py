"""An interface there and back, and what is said where a directory does not hold one."""

import json
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import jaxrm
from jaxrm.models.interface import Interface, InterfaceConfig
from jaxrm.weights import WeightsError
from jaxrm.weights.table import leaves_by_path

GOLDEN = Path(__file__).parents[1] / "golden"
CONFIG = InterfaceConfig(inputs=5, outputs=7, layers=1, width=8, heads=2, positions="rope", output_std=0.3)


def make(config: InterfaceConfig) -> Interface:
    draw = np.random.default_rng(0).normal
    return jax.tree.map(lambda x: jnp.asarray(draw(size=x.shape), x.dtype), Interface.abstract(config))


@pytest.mark.parametrize("layers", [0, 1, 3])
@pytest.mark.parametrize("kept", ["float32", "bfloat16"])
def test_saved_and_loaded_it_has_the_same_bits(tmp_path, layers, kept):
    first = make(replace(CONFIG, layers=layers)).with_param_dtype(kept)
    jaxrm.save_interface(first, tmp_path / "deep" / "er")
    second = jaxrm.load_interface(tmp_path / "deep" / "er")
    assert second.config == first.config
    one, other = leaves_by_path(first), leaves_by_path(second)
    assert one.keys() == other.keys()
    for name, leaf in one.items():
        assert leaf.dtype == other[name].dtype == kept
        assert np.asarray(leaf).tobytes() == np.asarray(other[name]).tobytes(), name


def test_another_dtype_to_compute_in(tmp_path):
    jaxrm.save_interface(make(CONFIG), tmp_path)
    loaded = jaxrm.load_interface(tmp_path, dtype="bfloat16")
    assert loaded.config == replace(CONFIG, dtype="bfloat16")
    assert {leaf.dtype.name for leaf in jax.tree.leaves(loaded)} == {"float32"}


def test_files_of_before_say_less(tmp_path):
    jaxrm.save_interface(make(replace(CONFIG, tower="a", decoder="b")), tmp_path)
    edit(tmp_path, tower=None, decoder=None)
    assert jaxrm.load_interface(tmp_path).config == CONFIG


def edit(directory: Path, **changes) -> None:
    path = directory / "config.json"
    fields = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in fields.items() if value is not None}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": None}, "missing are .'layers'."),
        ({"colour": "red"}, "unknown are .'colour'."),
        ({"layers": -1}, "layers is -1"),
        ({"layers": 1.0}, "layers is 1.0"),
        ({"width": "8"}, "width is '8'"),
        ({"heads": 3}, "not a multiple"),
        ({"positions": "sine"}, "'alibi' or 'rope'"),
        ({"tower": 3}, "tower is 3, wanted a text"),
        ({"form": "sing"}, "form is 'sing', wanted 'describe'"),
        ({"model_type": "llama"}, "'llama' model and no interface"),
    ],
)
def test_a_config_that_cannot_be_used_is_told(tmp_path, changes, message):
    jaxrm.save_interface(make(CONFIG), tmp_path)
    edit(tmp_path, **changes)
    with pytest.raises(ValueError, match=message):
        jaxrm.load_interface(tmp_path)


def test_weights_that_do_not_fit_are_named(tmp_path):
    jaxrm.save_interface(make(CONFIG), tmp_path)
    edit(tmp_path, outputs=9)
    with pytest.raises(WeightsError, match=r"leave.kernel is \[8, 7\], wanted \[8, 9\]"):
        jaxrm.load_interface(tmp_path)
    edit(tmp_path, outputs=7)
    weights = load_file(tmp_path / "model.safetensors")
    bias = weights.pop("leave.bias")
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"missing: leave.bias \[7\]"):
        jaxrm.load_interface(tmp_path)
    save_file(weights | {"leave.bias": bias * np.nan}, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"not finite: leave.bias holds 7"):
        jaxrm.load_interface(tmp_path)


def test_what_is_no_interface_is_told(tmp_path):
    with pytest.raises(ValueError, match="no interface"):
        jaxrm.load_interface(GOLDEN / "decoder-llama")
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        jaxrm.load_interface(tmp_path)
    with pytest.raises(FileNotFoundError, match="not a directory"):
        jaxrm.load_interface("no-such-interface")
    jaxrm.save_interface(make(CONFIG), tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="safetensors"):
        jaxrm.load_interface(tmp_path)
