"""Generators of users: what is read, what is refused, and that refused files run nothing."""

import io
import json
import os
import pickle
import warnings
import zipfile

import pytest
import torch
from torch import nn

from pseudodensity.control.move.perturb import perturb
from pseudodensity.generators.build import build_generator
from pseudodensity.generators.external import ExternalGenerator, load_external_generator
from pseudodensity.generators.vetting import vetted_program
from pseudodensity.rng import normal

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

SHAPE = (8,)


class Convolutional(nn.Module):
    """A small generator with batch normalisation and a constant."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 6 * 8 * 8)
        self.norm = nn.BatchNorm2d(6)
        self.last = nn.Conv2d(6, 3, 3, padding=1)
        self.register_buffer("tint", torch.tensor([1.0, 0.9, 0.8])[:, None, None])

    def forward(self, z):
        x = self.norm(self.first(z).view(-1, 6, 8, 8))
        x = nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear")
        return torch.tanh(self.last(x)) * self.tint


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Convolutional().eval()


def save_script(model, path, trace=True):
    latents = normal(1, "example", range(2), SHAPE)
    (torch.jit.trace(model, latents) if trace else torch.jit.script(model)).save(str(path))
    return path


def save_program(model, path, shape=SHAPE, batch=2, dynamic=True):
    sizes = ({0: torch.export.Dim("n")},) if dynamic else None
    example = (normal(1, "example", range(batch), shape),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(model, example, dynamic_shapes=sizes), path)
    return path


@pytest.fixture(scope="module")
def program(model, tmp_path_factory):
    return save_program(model, tmp_path_factory.mktemp("program") / "generator.pt2")


# ---------------------------------------------------------------- what is read


@pytest.mark.parametrize("kind", ["traced", "scripted", "program", "module"])
def test_every_kind_is_the_generator_it_was_saved_from(kind, model, program, tmp_path):
    if kind == "module":
        generator = ExternalGenerator(model, SHAPE)
    elif kind == "program":
        generator = load_external_generator(program, SHAPE)
    else:
        file = save_script(model, tmp_path / "generator.pt", trace=kind == "traced")
        generator = load_external_generator(file, list(SHAPE))
    assert generator.latent_shape == SHAPE and generator.resolution == 16
    assert not generator.couples_batch and not generator.training
    assert generator.train() is generator and not generator.training
    assert not any(p.requires_grad for p in generator.parameters())
    z = normal(0, "z", range(5), SHAPE)
    for n in (5, 1):  # neither batch is the one it was saved with
        torch.testing.assert_close(generator(z[:n]), model(z[:n]), rtol=1e-4, atol=1e-5)
    (gradient,) = torch.autograd.grad(generator(w := z.clone().requires_grad_())[:, 0].sum(), w)
    (expected,) = torch.autograd.grad(model(v := z.clone().requires_grad_())[:, 0].sum(), v)
    torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-5)
    bright = lambda images: images.flatten(1).mean(1)
    moved = perturb(generator, z, bright, steps=3, step_size=0.02, bound=0.05)
    assert (bright(generator(moved)) > bright(generator(z))).all()


def test_one_of_our_own_architectures_survives_the_export(tmp_path):
    torch.manual_seed(0)
    settings = {"z_dim": 8, "w_dim": 12, "mapping_layers": 2, "channel_base": 64, "channel_max": 8}
    ours = build_generator("stylegan2", 8, settings).eval()
    generator = load_external_generator(save_program(ours, tmp_path / "ours.pt2"), SHAPE)
    z = normal(0, "z", range(3), SHAPE)
    torch.testing.assert_close(generator(z), ours(z), rtol=1e-4, atol=1e-5)


def test_latents_may_be_images(tmp_path):
    class Still(nn.Module):
        def forward(self, z):
            return torch.tanh(z)

    generator = load_external_generator(
        save_program(Still(), tmp_path / "still.pt2", shape=(3, 4, 4)), (3, 4, 4)
    )
    assert generator.resolution == 4


# ---------------------------------------------------------------- what runs code is refused


class Bomb:
    """An object that, unpickled, makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def rewritten(program, path, changes):
    """A copy of a .pt2 archive with records replaced or added."""
    reader = torch._C.PyTorchFileReader(str(program))
    records = {name: reader.get_record(name) for name in reader.get_all_records()}
    records |= changes
    writer = torch._C.PyTorchFileWriter(str(path))
    for name, data in records.items():
        if name != "byteorder" and not name.startswith(".data/"):
            writer.write_record(name, data, len(data))
    writer.write_end_of_file()
    return path


def edited(program, path, name, edit):
    """A copy of a .pt2 archive with one of its JSON records edited."""
    content = json.loads(torch._C.PyTorchFileReader(str(program)).get_record(name))
    edit(content)
    return rewritten(program, path, {name: json.dumps(content).encode()})


def first_node(content):
    return content["graph_module"]["graph"]["nodes"][0]


def test_a_pickled_module_is_refused(model, tmp_path):
    trap = tmp_path / "trap"
    for name, save in {
        "a.pt": lambda f: torch.save(Bomb(trap), f),
        "b.pt": lambda f: torch.save(Bomb(trap), f, _use_new_zipfile_serialization=False),
        "c.pt": lambda f: pickle.dump(Bomb(trap), f),
        "d.pt2": lambda f: pickle.dump(Bomb(trap), f),
    }.items():
        with open(tmp_path / name, "wb") as file:
            save(file)
        with pytest.raises(ValueError, match="refused"):
            load_external_generator(tmp_path / name, SHAPE)
    assert not trap.exists()


def test_pickles_inside_a_program_are_not_opened(program, tmp_path):
    trap, buffer = tmp_path / "trap", io.BytesIO()
    torch.save(Bomb(trap), buffer)
    file = rewritten(
        program, tmp_path / "s.pt2", {"data/sample_inputs/model.pt": buffer.getvalue()}
    )
    load_external_generator(file, SHAPE)  # samples are of no use and left out
    table = "data/weights/model_weights_config.json"

    def pickled(content):
        content["config"]["first.bias"] |= {"use_pickle": True}

    with pytest.raises(ValueError, match="stored as a pickle"):
        load_external_generator(edited(program, tmp_path / "w.pt2", table, pickled), SHAPE)
    constants = "data/constants/model_constants_config.json"

    def opaque(content):
        content["config"]["x"] = {"path_name": "opaque_obj_0", "is_param": False}
        content["config"]["x"] |= {"use_pickle": False, "tensor_meta": None}

    with pytest.raises(ValueError, match="stored as a pickle"):
        load_external_generator(edited(program, tmp_path / "c.pt2", constants, opaque), SHAPE)
    legacy = {"data/weights/model.pt": pickle.dumps(Bomb(trap))}
    load_external_generator(rewritten(program, tmp_path / "l.pt2", legacy), SHAPE)
    compiled = {"data/aotinductor/model/model.so": b"\x7fELF"}
    load_external_generator(rewritten(program, tmp_path / "so.pt2", compiled), SHAPE)
    assert not trap.exists()


@pytest.mark.parametrize(
    "target",
    [
        *(
            "torch.hub.load",
            "torch.os.system",
            "torch.save",
            "torch.load",
            "_operator.methodcaller",
        ),
        *("torch.ops.aten.from_file.default", "torch.ops.aten.__class__.mro", "math.__loader__"),
        *("torch.ops.load_library", "#extension:op", "torch.ops.aten.add.__globals__", "eval"),
    ],
)
def test_an_operator_that_is_none_is_refused(target, program, tmp_path):
    def edit(content):
        first_node(content)["target"] = target

    with pytest.raises(ValueError, match="no tensor operator"):
        load_external_generator(
            edited(program, tmp_path / "x.pt2", "models/model.json", edit), SHAPE
        )


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').mkdir('trap')",
        "().__class__",
        "Symbol('s0').__class__",
        "Add('exec(1)', 1)",
        "exec('1')",
        "[x for x in (1,)]",
        "lambda: 0",
        "s0 if s0 else s0",
        "(" * 500,
    ],
)
def test_a_size_that_is_no_arithmetic_is_refused(expression, program, tmp_path):
    def edit(content):
        sizes = content["graph_module"]["graph"]["tensor_values"]["z"]["sizes"]
        sizes[0]["as_expr"]["expr_str"] = expression

    with pytest.raises(ValueError, match="no arithmetic"):
        load_external_generator(
            edited(program, tmp_path / "x.pt2", "models/model.json", edit), SHAPE
        )


def test_names_that_are_code_are_refused(program, tmp_path):
    """A name of an input becomes part of a generated `def forward(self, name)`."""
    code = "z=__import__('os').mkdir('trap')"

    def rename(content):
        content["graph_module"]["graph"]["inputs"][-1]["as_tensor"]["name"] = code

    def rename_key(content):
        values = content["graph_module"]["graph"]["tensor_values"]
        values[code] = values.pop("z")

    def import_it(content):
        call = content["graph_module"]["module_call_graph"][0]["signature"]
        call["out_spec"] = json.dumps(
            [1, {"type": "collections.defaultdict", "context": "[]", "children_spec": []}]
        )

    for edit, message in ((rename, "no name"), (rename_key, "no name"), (import_it, "tensor to")):
        file = edited(program, tmp_path / "x.pt2", "models/model.json", edit)
        with pytest.raises(ValueError, match=message):
            load_external_generator(file, SHAPE)


def test_guards_and_comments_are_left_out(program, tmp_path):
    def edit(content):
        content["guards_code"] = ["__import__('os').mkdir('trap')"]
        first_node(content)["metadata"]["stack_trace"] = "\nimport os; os.mkdir('trap')"

    file = edited(program, tmp_path / "x.pt2", "models/model.json", edit)
    clean = torch._C.PyTorchFileReader(vetted_program(file.read_bytes()))
    assert b"trap" not in clean.get_record("models/model.json")
    load_external_generator(file, SHAPE)


class Writer(nn.Module):
    def __init__(self, path: str):
        super().__init__()
        self.path = path

    def forward(self, z):
        torch.save(z, self.path)
        return z


class Mapper(nn.Module):
    def forward(self, z):
        return torch.from_file("weights.bin", False, 4) + z.sum()


def test_torchscript_that_touches_files_is_refused(tmp_path):
    for number, module in enumerate((Writer(str(tmp_path / "trap")), Mapper())):
        file = tmp_path / f"{number}.pt"
        torch.jit.script(module).save(str(file))
        with pytest.raises(ValueError, match="may touch files"):
            load_external_generator(file, (3, 4, 4))
    # The same word behind the break of a line, which the lexer joins.
    hidden = tmp_path / "hidden.pt"
    with zipfile.ZipFile(tmp_path / "0.pt") as old, zipfile.ZipFile(hidden, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b"torch.save", b"torch.sa\\\nve"))
    with pytest.raises(ValueError, match="refused"):
        load_external_generator(hidden, (3, 4, 4))
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize("suffix", [".pt", ".pt2"])
def test_damaged_and_foreign_files_are_refused_in_one_line(suffix, model, program, tmp_path):
    whole = program if suffix == ".pt2" else save_script(model, tmp_path / "whole.pt")
    data = whole.read_bytes()
    for content in (b"", b"no archive", data[:-100], data[: len(data) // 2]):
        file = tmp_path / f"damaged{suffix}"
        file.write_bytes(content)
        with pytest.raises(ValueError, match="refused") as caught:
            load_external_generator(file, SHAPE)
        assert "\n" not in str(caught.value)
    other = tmp_path / f"other{suffix}"
    other.write_bytes(
        (program if suffix == ".pt" else save_script(model, tmp_path / "s.pt")).read_bytes()
    )
    with pytest.raises(ValueError, match="it holds no"):
        load_external_generator(other, SHAPE)
    with pytest.raises(ValueError, match="does not exist"):
        load_external_generator(tmp_path / "nowhere.pt2", SHAPE)


# ---------------------------------------------------------------- what is no generator is refused


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, z):
        return self.function(z)


def canvas(z):
    return torch.tanh(z.view(-1, 3, 4, 4))


@pytest.mark.parametrize(
    "function, message",
    [
        (lambda z: canvas(z)[:, :1], r"not to images \(4, 3, R, R\)"),
        (lambda z: canvas(z)[..., :2], "not to images"),
        (lambda z: canvas(z)[:2], "not to images"),
        (lambda z: canvas(z).flatten(1), "not to images"),
        (lambda z: canvas(z).double(), "torch.float64, not one float32"),
        (lambda z: (canvas(z), z), "gives tuple"),
        (lambda z: canvas(z) * 127.5 + 127.5, "scale them to -1 .. 1"),
        (lambda z: canvas(z) / 2 + 0.5, "as if black were 0"),
        (lambda z: canvas(z) / 0, "infinite pixels"),
        (lambda z: canvas(z) * torch.rand(1), "noise of its own"),
        (lambda z: canvas(z - z.mean(0)), "others of its batch"),
        (lambda z: z @ torch.zeros(3, 3), "check latent_shape"),
        (lambda z: canvas(z).view(4, 3, 4, 4), r"shape \(1, 48\)"),
    ],
)
def test_what_is_no_generator_is_refused_in_one_line(function, message):
    with pytest.raises(ValueError, match=message) as caught:
        ExternalGenerator(Function(function), (48,))
    assert "\n" not in str(caught.value)


def test_overshooting_a_little_is_no_fault():
    generator = ExternalGenerator(Function(lambda z: canvas(z) * 1.15), (48,))
    assert generator(torch.full((1, 48), 9.0)).max() > 1.1


@pytest.mark.parametrize("latent_shape", [(), (0,), (-3,), (2.5,), ("8",)])
def test_a_latent_shape_that_is_none_is_refused(latent_shape):
    with pytest.raises(ValueError, match="shape of one latent"):
        ExternalGenerator(Function(canvas), latent_shape)


def test_a_program_of_one_batch_size_says_what_to_do(tmp_path):
    class Fixed(nn.Module):
        def forward(self, z):
            return torch.tanh(z).view(2, 3, 4, 4)

    file = save_program(Fixed(), tmp_path / "fixed.pt2", shape=(48,), dynamic=False)
    with pytest.raises(ValueError, match="batches of any size"):
        load_external_generator(file, (48,))
    script = torch.jit.trace(Fixed(), normal(1, "example", range(2), (48,)))
    script.save(str(tmp_path / "fixed.pt"))
    with pytest.raises(ValueError, match="'\\[2, 3, 4, 4\\]' is invalid.*batches of any size"):
        load_external_generator(tmp_path / "fixed.pt", (48,))
