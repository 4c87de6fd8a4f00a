"""Files are whole or absent, know what they were made for, and keep every bit."""

import json

import numpy as np
import pytest
import torch

from pseudodensity.artifacts import (
    ArtifactError,
    atomic_path,
    file_sha256,
    load_json,
    save_json,
    save_npy,
)
from pseudodensity.tensors import load_tensors, save_tensors

DTYPES = [
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.uint8,
    torch.int32,
    torch.int64,
    torch.bool,
]


def one_line(error: pytest.ExceptionInfo) -> str:
    message = str(error.value)
    assert "\n" not in message and message
    return message


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        temporary.write_text("half of the ne")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_first_write_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "deep" / "file") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list((tmp_path / "deep").iterdir()) == []


def test_the_target_changes_only_at_the_end(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old" and temporary.parent == path.parent
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_comes_back_bit_by_bit(tmp_path, dtype):
    values = torch.tensor([[0.0, 1.0, 2.5], [7.0, 100.0, 3.0]]).to(dtype)
    tensors = {
        "plain": values,
        "transposed": values.T,
        "scalar": values[0, 1],
        "empty": values[:0],
        "column": values[:, 1],
    }
    save_tensors(tmp_path / "t.safetensors", tensors, {})
    loaded, _ = load_tensors(tmp_path / "t.safetensors")
    assert loaded.keys() == tensors.keys()
    for name, value in tensors.items():
        assert loaded[name].dtype == dtype and torch.equal(loaded[name], value), name


def test_arrays_shared_memory_and_parameters_can_be_saved(tmp_path):
    base = torch.nn.Parameter(torch.arange(6.0))
    frozen = np.arange(4)
    frozen.setflags(write=False)
    save_tensors(tmp_path / "t", {"a": base, "b": base[2:], "c": frozen}, {})
    loaded, _ = load_tensors(tmp_path / "t")
    assert loaded["b"].tolist() == [2, 3, 4, 5] and not loaded["a"].requires_grad
    assert loaded["c"].dtype == torch.int64 and loaded["c"].tolist() == [0, 1, 2, 3]


def test_special_floats_survive(tmp_path):
    values = torch.tensor([float("nan"), float("inf"), -0.0, 1e-45])
    save_tensors(tmp_path / "t", {"x": values}, {})
    loaded = load_tensors(tmp_path / "t")[0]["x"]
    assert torch.equal(loaded.view(torch.int32), values.view(torch.int32))


def test_spec_and_meta(tmp_path):
    spec = {"kind": "thing", "sizes": (1, 2), "nested": {"b": None, "a": 1.5}}
    save_tensors(tmp_path / "t", {"x": torch.zeros(1)}, spec, {"seconds": 0.5})
    same = {"nested": {"a": 1.5, "b": None}, "sizes": [1, 2], "kind": "thing"}
    assert load_tensors(tmp_path / "t", same)[1] == {"seconds": 0.5}


def test_another_spec_is_refused_naming_what_differs(tmp_path):
    path = tmp_path / "t"
    save_tensors(path, {"x": torch.zeros(1)}, {"seed": 0, "k": 10, "old": 1})
    with pytest.raises(ArtifactError) as error:
        load_tensors(path, {"seed": 1, "k": 10, "new": 2})
    message = one_line(error)
    assert "new, old, seed" in message and str(path) in message and " k" not in message


def test_a_file_without_a_spec_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "t")
    assert load_tensors(tmp_path / "t")[1] == {}
    with pytest.raises(ArtifactError, match="another spec"):
        load_tensors(tmp_path / "t", {"seed": 0})


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.9999])
def test_truncated_tensors_are_named_as_damaged(tmp_path, share):
    path = tmp_path / "t.safetensors"
    save_tensors(path, {"x": torch.randn(1000)}, {"seed": 0})
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ArtifactError, match="damaged") as error:
        load_tensors(path)
    assert str(path) in one_line(error)


def test_a_missing_file_is_named(tmp_path):
    for load in (load_tensors, load_json):
        with pytest.raises(ArtifactError, match="does not exist") as error:
            load(tmp_path / "absent")
        assert str(tmp_path / "absent") in one_line(error)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [1, float("nan")]}])
def test_json_refuses_what_json_cannot_hold(tmp_path, value):
    save_json(tmp_path / "j", {"old": 1})
    with pytest.raises(ValueError):
        save_json(tmp_path / "j", value)
    assert load_json(tmp_path / "j") == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["j"]


def test_json_round_trip(tmp_path):
    value = {"b": [1, 2.5, None, "é"], "a": {"x": True}}
    save_json(tmp_path / "j", value)
    assert load_json(tmp_path / "j") == value == json.loads((tmp_path / "j").read_text())


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe\x00{"])
def test_damaged_json_is_named(tmp_path, content):
    (tmp_path / "j").write_bytes(content)
    with pytest.raises(ArtifactError, match="damaged") as error:
        load_json(tmp_path / "j")
    one_line(error)


def test_npy_round_trip_without_pickle(tmp_path):
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    save_npy(tmp_path / "a.npy", array)
    loaded = np.load(tmp_path / "a.npy", allow_pickle=False)
    assert loaded.dtype == array.dtype and (loaded == array).all()
    with pytest.raises(ValueError):
        save_npy(tmp_path / "a.npy", np.array([{}], dtype=object))
    assert (np.load(tmp_path / "a.npy") == array).all()


def test_sha256(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_sha256(tmp_path / "f") == known
