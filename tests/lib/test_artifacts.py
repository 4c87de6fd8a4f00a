"""Files are whole or absent, know what they were made for, and keep every bit."""

import hashlib
import json
import os
import stat
import subprocess
import sys

import numpy as np
import pytest
import torch

from pseudodensity.artifacts import (
    ArtifactError,
    atomic_path,
    file_sha256,
    load_json,
    load_npy,
    save_json,
    save_npy,
    seal_of,
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
    save_tensors(tmp_path / "t", {"x": torch.zeros(1)}, spec, {"loss": 0.5})
    same = {"nested": {"a": 1.5, "b": None}, "sizes": [1, 2], "kind": "thing"}
    assert load_tensors(tmp_path / "t", same)[1] == {"loss": 0.5}


def test_another_spec_is_refused_naming_what_differs(tmp_path):
    path = tmp_path / "t"
    save_tensors(path, {"x": torch.zeros(1)}, {"seed": 0, "k": 10, "old": 1})
    with pytest.raises(ArtifactError) as error:
        load_tensors(path, {"seed": 1, "k": 10, "new": 2})
    message = one_line(error)
    assert "new, old, seed" in message and str(path) in message and " k" not in message


def test_a_file_of_others_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "t")
    np.save(tmp_path / "a.npy", np.zeros(40))
    (tmp_path / "j").write_text(json.dumps({"a": "0" * 100}))
    for load, name in ((load_tensors, "t"), (load_npy, "a.npy"), (load_json, "j")):
        with pytest.raises(ArtifactError, match="is damaged") as error:
            load(tmp_path / name)
        assert str(tmp_path / name) in one_line(error)


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
    for load in (load_tensors, load_json, load_npy):
        with pytest.raises(ArtifactError, match="does not exist") as error:
            load(tmp_path / "absent")
        assert str(tmp_path / "absent") in one_line(error)


@pytest.mark.parametrize("value", [{"a": float("inf")}, {"a": [1, float("nan")]}])
def test_json_refuses_what_json_cannot_hold(tmp_path, value):
    save_json(tmp_path / "j", {"old": 1})
    with pytest.raises(ValueError):
        save_json(tmp_path / "j", value)
    assert load_json(tmp_path / "j") == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["j"]


def test_json_round_trip(tmp_path):
    value = {"b": [1, 2.5, None, "é"], "a": {"x": True}}
    save_json(tmp_path / "j", value)
    assert load_json(tmp_path / "j") == value
    read = json.loads((tmp_path / "j").read_text())
    assert read.pop("digest") and read == value and list(read) == ["b", "a"]


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe\x00{"])
def test_damaged_json_is_named(tmp_path, content):
    (tmp_path / "j").write_bytes(content)
    with pytest.raises(ArtifactError, match="damaged") as error:
        load_json(tmp_path / "j")
    one_line(error)


def test_a_seal_says_what_a_file_holds(tmp_path):
    """Equal where the content is, and read from each kind of file without reading it whole."""
    for name, save in {
        "a.npy": lambda path, number: save_npy(path, np.full(3, number)),
        "a.json": lambda path, number: save_json(path, {"number": number}),
        "a.safetensors": lambda path, number: save_tensors(
            path, {"a": torch.full((3,), number)}, {}
        ),
    }.items():
        seals = []
        for number in (1.0, 1.0, 2.0):
            save(tmp_path / name, number)
            seals.append(seal_of(tmp_path / name))
        assert seals[0] == seals[1] != seals[2] and len(seals[0]) == 64
        assert seals[2].encode() in (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(b"x" * 200)
        with pytest.raises(ArtifactError, match="has no digest"):
            seal_of(tmp_path / name)


def test_npy_round_trip_without_pickle(tmp_path):
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    save_npy(tmp_path / "a.npy", array)
    mapped = load_npy(tmp_path / "a.npy", mapped=True)
    assert isinstance(mapped, np.memmap) and not mapped.flags.writeable
    # Who knows nothing of seals reads the same.
    for loaded in (np.load(tmp_path / "a.npy", allow_pickle=False), mapped):
        assert loaded.dtype == array.dtype and (loaded == array).all()
    assert load_npy(tmp_path / "a.npy").tolist() == array.tolist()
    with pytest.raises(ValueError):
        save_npy(tmp_path / "a.npy", np.array([{}], dtype=object))
    assert (np.load(tmp_path / "a.npy") == array).all()


def test_sha256(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_sha256(tmp_path / "f") == known


# ---------------------------------------------------------------- seals, bytes and modes


def write_tensors(path):
    tensors = {"weight": torch.arange(6.0).view(2, 3), "bias": torch.tensor(True)}
    save_tensors(path, tensors, {"kind": "thing", "seed": 0}, {"b": 1, "a": "0" * 64})


WRITERS = {
    "tensors": (write_tensors, load_tensors),
    "npy": (lambda path: save_npy(path, np.arange(5)), load_npy),
    "json": (lambda path: save_json(path, {"b": [1, 2.5], "a": "0" * 64}), load_json),
    "empty json": (lambda path: save_json(path, {}), load_json),
}
every_writer = pytest.mark.parametrize(
    ("write", "load"), [pytest.param(*pair, id=name) for name, pair in WRITERS.items()]
)


@every_writer
def test_a_flipped_bit_anywhere_in_a_file_is_told(write, load, tmp_path):
    path = tmp_path / "file"
    write(path)
    load(path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(ArtifactError, match="damaged .*: delete it and run again") as error:
            load(path)
        assert str(path) in one_line(error)


@every_writer
@pytest.mark.parametrize("change", [lambda c: c[:-1], lambda c: c + b"\n", lambda c: b""])
def test_a_file_of_another_length_is_told(write, load, change, tmp_path):
    write(tmp_path / "file")
    (tmp_path / "file").write_bytes(change((tmp_path / "file").read_bytes()))
    with pytest.raises(ArtifactError, match="damaged"):
        load(tmp_path / "file")


def test_a_seal_is_the_digest_of_a_file_without_it(tmp_path):

    write_tensors(tmp_path / "t")
    content = (tmp_path / "t").read_bytes()
    start = content.index(b'digest\\": \\"') + len(b'digest\\": \\"')
    digits = content[start : start + 64]
    blank = content[:start] + b"0" * 64 + content[start + 64 :]
    assert digits.decode() == hashlib.sha256(blank).hexdigest()


def test_a_map_is_checked_on_opening_unless_only_its_shape_is_wanted(tmp_path, monkeypatch):
    monkeypatch.setattr("pseudodensity.artifacts.CHUNK", 7)  # pieces that fit nowhere
    path = tmp_path / "a.npy"
    save_npy(path, np.arange(300))
    content = bytearray(path.read_bytes())
    content[1000] ^= 4
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="damaged"):
        load_npy(path, mapped=True)
    assert load_npy(path, mapped=True, checked=False).shape == (300,)


def test_equal_content_is_equal_to_the_byte_in_every_process(tmp_path):
    code = (
        "import sys, numpy as np; from pseudodensity.tensors import save_tensors\n"
        "names = [f'n{i}' for i in range(9)]\n"
        "tensors = {n: np.arange(3.0) for n in (names if sys.argv[2] == '1' else names[::-1])}\n"
        "save_tensors(sys.argv[1], tensors, {n: {n: 1} for n in set(names)}, dict.fromkeys(set(names)))"
    )
    contents = set()
    for run in range(3):
        path = tmp_path / str(run)
        environment = os.environ | {"PYTHONHASHSEED": str(run), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", code, str(path), str(run % 2)]
        subprocess.run(command, check=True, env=environment)
        contents.add(path.read_bytes())
    assert len(contents) == 1


@every_writer
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_files_get_the_mode_that_the_umask_asks_for(write, load, umask, mode, tmp_path):
    before = os.umask(umask)
    try:
        write(tmp_path / "file")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode
