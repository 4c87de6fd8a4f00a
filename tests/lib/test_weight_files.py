"""Files of weights that announce more than they hold, or would never end: refused before they are read."""

import io
import pickle
import struct
import zipfile
from collections import Counter, OrderedDict

import pytest
import torch
from archives import zipped

from pseudodensity.artifacts import ArtifactError
from pseudodensity.checkpoints.reader import read_networks
from pseudodensity.features.weight_files import load_state_dict, load_tensors_only

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")

STATE = {
    "a.weight": torch.arange(6.0).view(2, 3),
    "b": torch.tensor([1, 2]),
    "half": torch.ones(2).half(),
}
# A key: 400,000 nested tuples end the process when hashed, 60 shared ones would take 2**60 steps.
DEEP_KEY = b"\x80\x02}(" + b")" + b"\x85" * 400_000 + b"K\x01u."
SHARED_KEY = b"\x80\x02}(" + b")" + b"2\x86" * 60 + b"K\x01u."


def saved(content, legacy: bool = False) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def with_pickle(pickled: bytes, legacy: bool) -> bytes:
    """A file of torch.save whose content is another pickle."""
    if not legacy:
        archive = zipfile.ZipFile(io.BytesIO(saved(STATE)))
        return zipped(
            {n: archive.read(n) for n in archive.namelist()} | {"archive/data.pkl": pickled}
        )
    whole, end = io.BytesIO(saved(STATE, legacy=True)), []
    for _ in range(5):
        pickle.Unpickler.load(_Skipping(whole))
        end.append(whole.tell())
    data = whole.getvalue()
    return data[: end[2]] + pickled + data[end[3] :]


class _Skipping(pickle.Unpickler):
    def find_class(self, module, name):
        return lambda *given: None

    def persistent_load(self, saved):
        return None


def refusal(content: bytes, tmp_path) -> str:
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(pickle.UnpicklingError) as caught:
        load_state_dict(tmp_path / "w.pt")
    assert "\n" not in str(caught.value) and "weights_only" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("legacy", [False, True])
def test_what_torch_saves_is_read(legacy, tmp_path):
    tied = OrderedDict(
        STATE, tied=STATE["b"], row=STATE["a.weight"][1], p=torch.nn.Parameter(torch.ones(3))
    )
    (tmp_path / "w.pt").write_bytes(saved(tied, legacy))
    for found in (
        load_state_dict(tmp_path / "w.pt"),
        load_tensors_only(io.BytesIO(saved(tied, legacy))),
    ):
        assert list(found) == list(tied)
        assert all(torch.equal(found[key], tied[key]) for key in tied)


class Pairs(dict):
    """Pickled as Python 2 did a dictionary that has an order: published files are as old as that."""

    def __reduce__(self):
        return (OrderedDict, ([[name, tensor] for name, tensor in self.items()],))


@pytest.mark.parametrize("legacy", [False, True])
def test_what_python_2_saved_is_read(legacy, tmp_path):
    (tmp_path / "w.pt").write_bytes(saved(Pairs(STATE), legacy))
    found = load_state_dict(tmp_path / "w.pt")
    assert list(found) == list(STATE)
    assert all(torch.equal(found[key], STATE[key]) for key in STATE)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("key", [DEEP_KEY, SHARED_KEY])
def test_keys_that_never_end_are_not_hashed(key, legacy, tmp_path):
    assert "neither text nor a number" in refusal(with_pickle(key, legacy), tmp_path)


@pytest.mark.parametrize("build", [OrderedDict, Counter, set])
def test_nor_are_those_that_a_constructor_would_hash(build, tmp_path):
    module = {OrderedDict: b"collections", Counter: b"collections"}.get(build, b"builtins")
    shared = b")" + b"2\x86" * 60
    # Of pairs a dictionary hashes the first entries, a set the whole.
    keyed, valued = shared + b"K\x01\x86", b"K\x01" + shared + b"\x86"
    for member in (keyed,) if build is OrderedDict else (shared, valued):
        start = b"\x80\x02c" + module + b"\n" + build.__name__.encode()
        call = start + b"\n](" + member + b"e\x85R."
        assert "neither text nor a number" in refusal(with_pickle(call, False), tmp_path)


@pytest.mark.parametrize("key", [DEEP_KEY, SHARED_KEY])
def test_the_reader_of_networks_does_not_hash_them_either(key, tmp_path):
    (tmp_path / "w.pkl").write_bytes(key)
    with pytest.raises(ArtifactError, match="neither text nor a number"):
        read_networks(tmp_path / "w.pkl")
    call = b"\x80\x02ccollections\nOrderedDict\n](]()" + b"2\x86" * 60 + b"K\x01ee\x85R."
    (tmp_path / "w.pkl").write_bytes(call)
    with pytest.raises(ArtifactError, match="neither text nor a number"):
        read_networks(tmp_path / "w.pkl")


def test_archives_that_grow_are_refused(tmp_path):
    archive = zipfile.ZipFile(io.BytesIO(saved({"a": torch.zeros(10**5)})))
    entries = {name: archive.read(name) for name in archive.namelist()}
    message = refusal(zipped(entries, zipfile.ZIP_DEFLATED), tmp_path)
    assert "announces more bytes" in message
    twice = zipped(entries | {"archive/DATA.PKL": entries["archive/data.pkl"]})
    assert "a name twice" in refusal(twice, tmp_path)


@pytest.mark.parametrize("legacy", [False, True])
def test_storages_and_shapes_that_are_not_there_are_refused(legacy, tmp_path):
    """The loader would make room for what a file only announces."""
    whole = saved({"a": torch.zeros(70_000)}, legacy)
    number = b"J" + struct.pack("<i", 70_000)
    assert number in whole
    content = whole.replace(number, b"J" + struct.pack("<i", 2_000_000_000))
    if not legacy:  # the archive has a checksum of its content
        archive = zipfile.ZipFile(io.BytesIO(whole))
        entries = {name: archive.read(name) for name in archive.namelist()}
        pickled = entries["archive/data.pkl"]
        entries["archive/data.pkl"] = pickled.replace(number, b"J" + struct.pack("<i", 2 * 10**9))
        content = zipped(entries)
    assert "announces more bytes" in refusal(content, tmp_path)
    first = whole.index(number)  # the storage; the second is the size of the tensor
    place = whole.index(number, first + 1)
    content = whole[: place + 1] + struct.pack("<i", 80_000) + whole[place + 5 :]
    if not legacy:
        first = pickled.index(number)
        place = pickled.index(number, first + 1)
        short = pickled[: place + 1] + struct.pack("<i", 80_000) + pickled[place + 5 :]
        content = zipped(entries | {"archive/data.pkl": short})
    assert "beyond its storage" in refusal(content, tmp_path)


@pytest.mark.parametrize(
    "call",
    [
        b"cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
        b"ctorch\nFloatStorage\nJ\xff\xff\xff\x7f\x85R.",
        b"ctorch._utils\n_rebuild_meta_tensor_no_storage\n)R.",
        b"cos\nsystem\nX\x01\0\0\0a\x85R.",
        b"K\x01.",
        b"",
        b"(((((",
        b"u.",
    ],
)
def test_other_constructors_are_refused(call, tmp_path):
    refusal(with_pickle(b"\x80\x02" + call, False), tmp_path)


def test_other_files_are_refused_in_one_line(tmp_path):
    whole = saved(STATE)
    for content in (b"", b"PK", b"abc", whole[:-30], whole[: len(whole) // 2], pickle.dumps(STATE)):
        refusal(content, tmp_path)
    with pytest.raises(pickle.UnpicklingError, match="more than 10"):
        load_state_dict(tmp_path / "w.pt", max_bytes=10)
