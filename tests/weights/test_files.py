"""Safetensors files that are cut, garbled or lie about themselves: each loads as it says or is refused."""

import json
import os
import shutil
import struct
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save, save_file

import jaxrm
from jaxrm.weights import WeightsError, files
from jaxrm.weights.tensorfile import DTYPES, read_file

GOLDEN = Path(__file__).parents[1] / "golden"
TENSORS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b.weight": np.ones((1, 4), np.float16),
    "c": np.full((3,), 2, np.int64),
    "d": np.ones((2, 2), ml_dtypes.bfloat16),
    "empty": np.zeros((0, 3), np.float32),
}
SOUND = save(TENSORS, metadata={"format": "pt"})
SIZE = 8 + int.from_bytes(SOUND[:8], "little")  # where the data begin
NUMPY = {"F16": "f2", "BF16": ml_dtypes.bfloat16, "F32": "f4", "F64": "f8", "BOOL": "?"}
NUMPY |= {f"{kind.upper()}{8 * size}": f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)}


def with_header(header, body: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def entry(offsets, shape=(2,), dtype="F32") -> dict:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def decode(content: bytes) -> dict[str, np.ndarray]:
    """The format in five lines, for content that is sound."""
    size = int.from_bytes(content[:8], "little")
    header, body = json.loads(content[8 : 8 + size]), content[8 + size :]
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(body[slice(*e["data_offsets"])], NUMPY[e["dtype"]]).reshape(e["shape"])
        for name, e in header.items()
    }


def assert_as_it_says_or_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        given = read_file(path)
    except WeightsError as error:
        assert str(path) in str(error)
        return
    wanted = decode(content)
    assert given.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert given[name].dtype == tensor.dtype and given[name].shape == tensor.shape
        assert given[name].tobytes() == tensor.tobytes()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "model.safetensors"


def test_a_sound_file_is_read_whole(path):
    path.write_bytes(SOUND)
    read = read_file(path)
    assert read.keys() == TENSORS.keys() == decode(SOUND).keys()
    assert all(read[n].dtype == t.dtype and np.array_equal(read[n], t) for n, t in TENSORS.items())
    assert set(DTYPES) == set(NUMPY)


BYTES = st.binary(min_size=0, max_size=12)


@given(at=st.integers(0, len(SOUND)), cut=st.integers(0, 40), put=BYTES)
@settings(max_examples=150, deadline=None)
def test_fuzz_any_bytes_replaced(path, at, cut, put):
    assert_as_it_says_or_refused(path, SOUND[:at] + put + SOUND[at + cut :])


@given(at=st.integers(8, SIZE - 1), put=st.sampled_from(list('0123456789[]{}",:-FBIU.eE\\')))
@settings(max_examples=150, deadline=None)
def test_fuzz_one_letter_of_the_header(path, at, put):
    assert_as_it_says_or_refused(path, SOUND[:at] + put.encode() + SOUND[at + 1 :])


NUMBER = st.one_of(st.integers(-2, 40), st.sampled_from([2**31, 2**63, 2**64, 1.5, None, "8", [], {}]))
FIELDS = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from([*DTYPES, "F8_E4M3", "F4", "C64", "Q8", 3, None]),
        "shape": st.one_of(st.lists(NUMBER, max_size=3), NUMBER),
        "data_offsets": st.one_of(st.lists(NUMBER, min_size=1, max_size=3), NUMBER),
    }
)


@given(
    header=st.dictionaries(st.sampled_from(["a", "b", "__metadata__", ""]), FIELDS, max_size=3),
    body=st.binary(max_size=40),
)
@settings(max_examples=200, deadline=None)
def test_fuzz_headers_that_lie(path, header, body):
    assert_as_it_says_or_refused(path, with_header(header, body))


@given(size=st.integers(0, len(SOUND) - 1))
@settings(max_examples=60, deadline=None)
def test_a_file_cut_short_is_always_refused(path, size):
    path.write_bytes(SOUND[:size])
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        read_file(path)


TWICE = b'{"a":%b,"a":%b}' % ((json.dumps(entry((0, 8))).encode(),) * 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (struct.pack("<Q", 2**40) + b"{}", "header too large"),
        (struct.pack("<Q", 64) + b"{}", "header length"),
        (with_header(b'{"a":', b""), "header"),
        (with_header({"a": entry((0, 8)), "b": entry((4, 12))}, bytes(12)), "offset"),
        (with_header({"a": entry((4, 12))}, bytes(12)), "offset"),
        (with_header({"a": entry((0, 8))}, bytes(12)), "not fully covered"),
        (with_header({"a": entry((0, 8), (3,))}, bytes(8)), "shape"),
        (with_header({"a": entry((0, 8), (8,), "F8_E4M3")}, bytes(8)), "a has dtype F8_E4M3, known are F16"),
        (with_header({"a": entry((0, 8), (2,), "Q7")}, bytes(8)), "Q7"),
        (with_header(TWICE, bytes(8)), "the tensor 'a' twice"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
    ],
)
def test_what_is_wrong_is_said(content, message, path):
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        read_file(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read anything")
def test_a_file_that_may_not_be_read(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(SOUND)
    file.chmod(0)
    with pytest.raises(PermissionError):
        read_file(file)


def shards(directory: Path, weight_map: object, **tensors: dict[str, np.ndarray]) -> Path:
    for name, held in tensors.items():
        save_file(held, directory / f"{name}.safetensors")
    files.write_json(directory / files.INDEX, {"weight_map": weight_map})
    return directory


A, B = {"a": np.zeros(2, np.float32)}, {"b": np.ones(3, np.float32)}


def test_shards_are_joined(tmp_path):
    tensors = files.read_tensors(shards(tmp_path, {"a": "x.safetensors", "b": "y.safetensors"}, x=A, y=B))
    assert tensors.keys() == {"a", "b"} and np.array_equal(tensors["b"], B["b"])


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        (None, "no weight_map"),
        (["a"], "no weight_map"),
        ({"a": 3}, "no weight_map"),
        ({"a": "x.safetensors", "b": "x.safetensors"}, "no shard holds: b"),
        ({"a": "x.safetensors", "b": "z.safetensors"}, r"repeats tensors of another shard: a"),
        ({"a": "../x.safetensors"}, "not a file of that directory"),
    ],
)
def test_an_index_that_does_not_agree_with_its_shards(weight_map, message, tmp_path):
    with pytest.raises(WeightsError if "not a file" not in message else ValueError, match=message):
        files.read_tensors(shards(tmp_path, weight_map, x=A, y=B, z=A | B))


def test_names_are_tried_in_order(tmp_path):
    save_file(A, tmp_path / files.SINGLE)
    save_file(B, tmp_path / files.OPEN_CLIP)
    assert files.read_tensors(tmp_path).keys() == {"a"}
    assert files.read_tensors(tmp_path, (files.OPEN_CLIP, files.SINGLE)).keys() == {"b"}


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff\xfe", b'{"a": '])
def test_a_json_file_that_is_none_is_named(content, tmp_path):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.json is not JSON"):
        files.read_config(tmp_path)


def test_a_file_is_no_checkpoint():
    with pytest.raises(FileNotFoundError, match=r"is a file: name the directory"):
        files.find(GOLDEN / "clip-quick-gelu" / files.SINGLE)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "open_clip_pytorch_model.bin", "RN50.pt", "a.pth"])
def test_a_pickle_gets_the_lines_that_convert_it(name, tmp_path):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(FileNotFoundError) as error:
        files.read_tensors(tmp_path)
    message = str(error.value)
    assert f"{name} only" in message and "never loaded here" in message
    lines = message.split("by name,\n")[1]
    target = "open_clip_model" if name.startswith("open_clip") else "model"
    assert f"torch.load('{tmp_path / name}'" in lines and f"'{tmp_path / target}.safetensors'" in lines
    compile("\n".join(line.strip() for line in lines.splitlines()), "advice", "exec")


def test_a_checkpoint_with_garbled_weights_is_refused_by_load_clip(tmp_path):
    copy = Path(shutil.copytree(GOLDEN / "clip-quick-gelu", tmp_path / "copy"))
    content = (copy / files.SINGLE).read_bytes()
    (copy / files.SINGLE).write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match=r"not a sound safetensors file.*fetch it again"):
        jaxrm.load_clip(copy)
    assert load_file(GOLDEN / "clip-quick-gelu" / files.SINGLE)


@given(at=st.floats(0, 1), put=BYTES, cut=st.integers(0, 12))
@settings(max_examples=25, deadline=None)
def test_fuzz_a_whole_checkpoint_loads_or_is_refused(tmp_path_factory, at, put, cut):
    copy = tmp_path_factory.getbasetemp() / "fuzzed"
    shutil.copytree(GOLDEN / "clip-quick-gelu", copy, dirs_exist_ok=True)
    content = (copy / files.SINGLE).read_bytes()
    start = int(at * (8 + int.from_bytes(content[:8], "little")))
    (copy / files.SINGLE).write_bytes(content[:start] + put + content[start + cut :])
    try:
        jaxrm.load_clip(copy)
    except WeightsError as error:
        assert str(copy) in str(error) or "do not fit the model" in str(error)
