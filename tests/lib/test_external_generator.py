"""Generators of users: what is read, what is refused, and that refused files run nothing."""

import warnings

import pytest
import torch
from torch import nn

from pseudodensity.artifacts import file_sha256
from pseudodensity.control.move.perturb import perturb
from pseudodensity.generators.build import build_generator
from pseudodensity.generators.external import ExternalGenerator, load_external_generator
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
        digest = file_sha256(file)
        generator = load_external_generator(file, list(SHAPE), sha256=digest, trusted=True)
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


# ---------------------------------------------------------------- TorchScript is code


class Writer(nn.Module):
    """What no reading of the source may be trusted to find."""

    def __init__(self, path: str):
        super().__init__()
        self.path = path

    def forward(self, z):
        torch.save(z, self.path)
        return torch.tanh(z)


@pytest.mark.parametrize("given", [{}, {"trusted": True}, {"sha256": "right"}])
def test_torchscript_is_not_opened_without_trust_and_digest(given, tmp_path):
    """Not a byte of it is read: the file need not even be TorchScript."""
    file = tmp_path / "writer.pt"
    torch.jit.script(Writer(str(tmp_path / "trap"))).save(str(file))
    if "sha256" in given:
        given = {"sha256": file_sha256(file)}
    with pytest.raises(ValueError, match="TorchScript is code.*trusted: true.*sha256") as caught:
        load_external_generator(file, (3, 4, 4), **given)
    assert "\n" not in str(caught.value) and not (tmp_path / "trap").exists()


def test_trusted_torchscript_of_another_digest_is_not_run(tmp_path):
    file = tmp_path / "writer.pt"
    torch.jit.script(Writer(str(tmp_path / "trap"))).save(str(file))
    with pytest.raises(ValueError, match="another generator"):
        load_external_generator(file, (3, 4, 4), sha256="0" * 64, trusted=True)
    assert not (tmp_path / "trap").exists()
    load_external_generator(file, (3, 4, 4), sha256=file_sha256(file), trusted=True)
    assert (tmp_path / "trap").exists()  # trusting means this


@pytest.mark.parametrize("suffix", [".pt", ".pt2"])
def test_damaged_and_foreign_files_are_refused_in_one_line(suffix, model, program, tmp_path):
    script = save_script(model, tmp_path / "script.pt").read_bytes()
    whole, other = (program.read_bytes(), script)[:: 1 if suffix == ".pt2" else -1]
    for content in (b"", b"no archive", whole[:-100], whole[: len(whole) // 2], other):
        file = tmp_path / f"damaged{suffix}"
        file.write_bytes(content)
        with pytest.raises(ValueError, match="refused") as caught:
            load_external_generator(file, SHAPE, sha256=file_sha256(file), trusted=True)
        assert "\n" not in str(caught.value)
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
        (lambda z: canvas(z * 0), "one image for different latents"),
        (lambda z: torch.ones_like(z).view(-1, 3, 4, 4) * -0.5, "one image for different"),
        (lambda z: canvas(z[:1].expand_as(z)), "one image for different latents"),
        (lambda z: canvas(z) * torch.where(z.view(-1, 3, 4, 4) > 1, torch.nan, 1), "NaN or infin"),
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
    digest = file_sha256(tmp_path / "fixed.pt")
    with pytest.raises(ValueError, match="'\\[2, 3, 4, 4\\]' is invalid.*batches of any size"):
        load_external_generator(tmp_path / "fixed.pt", (48,), sha256=digest, trusted=True)
