"""Hostile exported programs: each payload would make a folder, and none does.

What the installed PyTorch would do with such a file is not asked: the tests hold if it runs them all.
"""

import io
import json
import os
import pickle
import struct
import warnings
import zipfile

import pytest
import torch
from archives import zipped
from torch import nn

from pseudodensity.generators.build import build_generator
from pseudodensity.generators.external import load_external_generator
from pseudodensity.generators.vetting import vetted_program
from pseudodensity.rng import normal

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

SHAPE = (8,)
MODEL = "archive/models/model.json"
WEIGHTS = "archive/data/weights/model_weights_config.json"
CONSTANTS = "archive/data/constants/model_constants_config.json"


class Small(nn.Module):
    """A generator with a weight, a buffer and a constant."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 48)
        self.norm = nn.BatchNorm2d(3)
        self.tint = torch.tensor([1.0, 0.9, 0.8])[:, None, None]

    def forward(self, z):
        return torch.tanh(self.norm(self.first(z).view(-1, 3, 4, 4))) * self.tint


def exported(model: nn.Module, shape=SHAPE) -> bytes:
    example = (normal(1, "example", range(2), shape),)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sizes = ({0: torch.export.Dim("n")},)
        torch.export.save(torch.export.export(model, example, dynamic_shapes=sizes), buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def program() -> bytes:
    torch.manual_seed(0)
    return exported(Small().eval())


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """The folder that payloads would make, in the working folder too."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "trap"
    assert not (tmp_path / "trap").exists()


class Bomb:
    """An object that, unpickled, makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def records(program: bytes) -> dict[str, bytes]:
    archive = zipfile.ZipFile(io.BytesIO(program))
    return {name: archive.read(name) for name in archive.namelist()}


def edited(program: bytes, name: str, edit) -> bytes:
    """The program with one of its JSON records edited."""
    found = records(program)
    content = json.loads(found[name])
    edit(content)
    return zipped(found | {name: json.dumps(content).encode()})


def refusal(content: bytes, tmp_path) -> str:
    """The one line that such a file is refused with."""
    file = tmp_path / "hostile.pt2"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="refused") as caught:
        load_external_generator(file, SHAPE)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
    return str(caught.value)


def accepted(content: bytes, tmp_path) -> nn.Module:
    (tmp_path / "odd.pt2").write_bytes(content)
    return load_external_generator(tmp_path / "odd.pt2", SHAPE)


def first_node(content):
    return content["graph_module"]["graph"]["nodes"][0]


# ---------------------------------------------------------------- what ordinary networks are made of


class Attention(nn.Module):
    """Most kinds of layers that generators have."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(8, 4 * 16)
        self.project = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 48))
        self.up = nn.ConvTranspose2d(16, 8, 4, 2, 1)
        self.norms = nn.ModuleList([nn.GroupNorm(2, 8), nn.InstanceNorm2d(8)])
        self.last = nn.utils.parametrizations.spectral_norm(nn.Conv2d(8, 3, 3, padding=1))

    def forward(self, z):
        q, k, v = self.project(self.embed(z).view(-1, 1, 4, 16)).chunk(3, dim=-1)
        x = nn.functional.scaled_dot_product_attention(q, k, v)
        x = x.transpose(2, 3).reshape(-1, 16, 2, 2)
        x = nn.functional.silu(self.norms[0](self.up(x)))
        x = nn.functional.interpolate(x, scale_factor=2, mode="bicubic")
        x = nn.functional.leaky_relu(self.norms[1](x), 0.2) + torch.einsum("nchw->nchw", x)
        x = nn.functional.pixel_unshuffle(nn.functional.pixel_shuffle(x.repeat(1, 4, 1, 1), 2), 2)
        return torch.tanh(self.last(x[:, ::4] + x.mean((2, 3), keepdim=True)[:, :8]))


class Projected(nn.Module):
    """An architecture of ours whose weights are random, within [-1, 1]."""

    def __init__(self):
        super().__init__()
        self.inner = build_generator("projectedgan", 16, {"z_dim": 8, "ngf": 4})

    def forward(self, z):
        return torch.tanh(self.inner(z))


@pytest.mark.parametrize("kind", [Attention, Projected])
def test_ordinary_networks_pass(kind, tmp_path):
    torch.manual_seed(0)
    model = kind().eval()
    loaded, z = accepted(exported(model), tmp_path), normal(0, "z", range(3), SHAPE)
    torch.testing.assert_close(loaded(z), model(z), rtol=1e-4, atol=1e-4)


# ---------------------------------------------------------------- pickles


def test_pickles_beside_the_graph_are_left_alone(program, trap, tmp_path):
    buffer = io.BytesIO()
    torch.save(Bomb(trap), buffer)
    for name, data in {
        "archive/data/sample_inputs/model.pt": buffer.getvalue(),
        "archive/data/weights/model.pt": pickle.dumps(Bomb(trap)),
        "archive/data/constants/model.pt": pickle.dumps(Bomb(trap)),
        "archive/data/aotinductor/model/model.so": b"\x7fELF",
        "archive/models/other.json": b"{}",
        "archive/extra/notes": b"anything",
        "archive/DATA/WEIGHTS/MODEL.PT": pickle.dumps(Bomb(trap)),
    }.items():
        accepted(zipped(records(program) | {name: data}), tmp_path)


@pytest.mark.parametrize("path_name", ["weight_9", "opaque_obj_0", "custom_obj_0", "tensor_9"])
def test_a_tensor_that_is_a_pickle_is_refused(path_name, program, trap, tmp_path):
    for table, folder in ((WEIGHTS, "weights"), (CONSTANTS, "constants")):

        def edit(content):
            entry = {"path_name": path_name, "is_param": False, "use_pickle": True}
            content["config"]["x"] = entry | {"tensor_meta": None}

        changed = records(edited(program, table, edit))
        changed[f"archive/data/{folder}/{path_name}"] = pickle.dumps(Bomb(trap))
        assert "stored as a pickle" in refusal(zipped(changed), tmp_path)


@pytest.mark.parametrize(
    "path_name", ["opaque_obj_0", "custom_obj_0", "../../x", "/etc/passwd", "weight_0/../model.pt"]
)
def test_a_constant_that_says_it_is_no_pickle_is_refused_by_its_name(
    path_name, program, trap, tmp_path
):
    def edit(content):
        content["config"]["tint"]["path_name"] = path_name

    assert "stored as a pickle" in refusal(edited(program, CONSTANTS, edit), tmp_path)


@pytest.mark.parametrize("write", ["pickle", "torch", "legacy"])
def test_a_pickled_module_is_refused(write, trap, tmp_path):
    buffer = io.BytesIO()
    if write == "pickle":
        pickle.dump(Bomb(trap), buffer)
    else:
        torch.save(Bomb(trap), buffer, _use_new_zipfile_serialization=write == "torch")
    refusal(buffer.getvalue(), tmp_path)


# ---------------------------------------------------------------- the graph


@pytest.mark.parametrize(
    "target",
    [
        *("torch.hub.load", "torch.os.system", "torch.save", "torch.load", "os.system", "eval"),
        *("torch.ops.aten.from_file.default", "torch.ops.aten.__class__.mro", "math.__loader__"),
        *("torch.ops.load_library", "#extension:op", "torch.ops.aten.add.__globals__"),
        *("_operator.methodcaller", "_operator.attrgetter", "_operator.pow", "builtins.getattr"),
        *(
            "torch.ops.mine.op.default",
            "torch.ops.higher_order.cond",
            "torch.ops.aten.add.Tensor\n",
        ),
        *("torch.ops.aten.as_strided.default", "torch.ops.aten.set_.source_Storage", "", None, 3),
        *("torch.ops.aten.add.overloads", "torch.ops.aten._print.default", "torch.ops.aten"),
    ],
)
def test_an_operator_that_is_not_listed_is_refused(target, program, trap, tmp_path):
    def edit(content):
        first_node(content)["target"] = target

    refusal(edited(program, MODEL, edit), tmp_path)


def test_an_operator_as_an_argument_is_refused(program, trap, tmp_path):
    def edit(content):
        first_node(content)["inputs"][0]["arg"] = {"as_operator": "torch.os.system"}

    assert "no tensor operator" in refusal(edited(program, MODEL, edit), tmp_path)


@pytest.mark.parametrize(
    "expression",
    [
        *("__import__('os').mkdir('trap')", "().__class__", "Symbol('s0').__class__", "exec('1')"),
        *("Add('exec(1)', 1)", "[x for x in (1,)]", "lambda: 0", "s0 if s0 else s0", "(" * 500),
        *("Pow(Integer(10), Pow(Integer(10), Integer(10)))", "9**9**9**9", "Add(1," * 200, "", 7),
        *("-" * 400 + "1", "getattr(Symbol, 'x')", "Symbol(*s0)"),
    ],
)
def test_a_size_that_is_no_arithmetic_is_refused(expression, program, trap, tmp_path):
    def edit(content):
        sizes = content["graph_module"]["graph"]["tensor_values"]["z"]["sizes"]
        sizes[0]["as_expr"]["expr_str"] = expression

    refusal(edited(program, MODEL, edit), tmp_path)


def test_names_that_are_code_are_refused(program, trap, tmp_path):
    """A name of an input becomes part of a generated `def forward(self, name)`."""
    code = "z=__import__('os').mkdir('trap')"

    def rename(content):
        content["graph_module"]["graph"]["inputs"][-1]["as_tensor"]["name"] = code

    def rename_plainly(content):
        content["graph_module"]["graph"]["inputs"][-1]["as_tensor"]["name"] = "z, trap"

    def rename_key(content):
        values = content["graph_module"]["graph"]["tensor_values"]
        values[code] = values.pop("z")

    def import_it(content):
        call = content["graph_module"]["module_call_graph"][0]["signature"]
        call["out_spec"] = json.dumps(
            [1, {"type": "collections.defaultdict", "context": "[]", "children_spec": []}]
        )

    for edit, message in (
        (rename, "no name"),
        (rename_plainly, "no name"),
        (rename_key, "no name"),
        (import_it, "tensor to"),
    ):
        assert message in refusal(edited(program, MODEL, edit), tmp_path)


def test_guards_comments_and_field_names_are_left_out(program, trap, tmp_path):
    def edit(content):
        content["guards_code"] = ["__import__('os').mkdir('trap')"]
        first_node(content)["metadata"]["stack_trace"] = "\nimport os; os.mkdir('trap')"
        named = {"os.system": {"field_names": ["trap"]}}
        content["graph_module"]["treespec_namedtuple_fields"] = named

    changed = edited(program, MODEL, edit)
    assert b"trap" not in records(vetted_program(changed).getvalue())[MODEL]
    accepted(changed, tmp_path)


# ---------------------------------------------------------------- sizes


def test_deep_and_endless_descriptions_are_refused(program, tmp_path):
    found = records(program)
    for text in (b"[" * 500_000, b'{"a":' * 100 + b"1" + b"}" * 100, b"[1]", b"{", b"\xff\xfe"):
        assert "a description in it" in refusal(zipped(found | {MODEL: text}), tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"sizes": [10**6, 10**6]},
        {"sizes": [48, 8], "strides": [0, 0], "storage_offset": 10**9},
        {"sizes": [10**12], "strides": [0]},
        {"sizes": [-1, 8]},
        {"sizes": [True, 8]},
        {"strides": [8, -1]},
        {"sizes": [48]},
    ],
)
def test_a_weight_that_is_larger_than_its_bytes_is_refused(change, program, tmp_path):
    def edit(content):
        meta = content["config"]["first.weight"]["tensor_meta"]
        for key, value in change.items():
            many = isinstance(value, list)
            meta[key] = [{"as_int": n} for n in value] if many else {"as_int": value}

    refusal(edited(program, WEIGHTS, edit), tmp_path)


def test_a_weight_of_no_bytes_is_not_made_up(program, tmp_path):
    """The loader fills a missing file with zeros, as many as the table says."""
    found = records(program)
    found["archive/data/weights/weight_0"] = b""
    assert "larger than its bytes" in refusal(zipped(found), tmp_path)


def test_many_views_of_the_same_bytes_are_refused(program, tmp_path):
    def edit(content):
        for number in range(2000):
            content["config"][f"x{number}"] = content["config"]["first.weight"]

    found = edited(program, WEIGHTS, edit)
    assert "larger than the file" in refusal(found, tmp_path) or len(found) > 2000 * 1536 / 4


def test_archives_that_torch_does_not_write_are_refused(program, tmp_path):
    found = records(program)
    big = found | {"archive/data/weights/weight_0": b"\0" * 1536}
    assert "compressed" in refusal(zipped(big, zipfile.ZIP_DEFLATED), tmp_path)
    for name in ("../trap", "archive/../../trap", "other/x", "/archive/x", "archive\\..\\x"):
        assert "leave its one folder" in refusal(zipped(found | {name: b"x"}), tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        buffer = io.BytesIO(program)
        with zipfile.ZipFile(buffer, "a") as archive:
            archive.writestr(MODEL, b"{}")
    assert "a name twice" in refusal(buffer.getvalue(), tmp_path)
    huge = bytearray(program)
    place = huge.rindex(b"PK\x01\x02")  # the last entry of the directory: its sizes stand at 20, 24
    huge[place + 20 : place + 28] = struct.pack("<II", 2**31, 2**31)
    assert "announces more bytes" in refusal(bytes(huge), tmp_path)
