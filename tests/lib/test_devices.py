"""Whatever computes does so on another device, from beginning to end, and finds what the CPU finds.

Each comparison runs on a stand-in for a second device and, with `-m gpu`, on a card (see `conftest.compared`).
"""

import copy
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from second_device import NAME, SecondDevice, on_a_card_only
from test_features import CNN, VIT, inception, random_images, saved
from test_generators import ARCHITECTURES, make

from pseudodensity.columns.context import clock
from pseudodensity.density.feature_density import KINDS, FeatureDensity
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import PRETRAINED, TRAINED_HERE, build_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.features.lpips import WIDTHS as LPIPS_WIDTHS
from pseudodensity.generators.volumes import log_singular_values
from pseudodensity.images.transform import to_float
from pseudodensity.library import frontier, importance_sample
from pseudodensity.neighbors import knn
from pseudodensity.plan.declared import declared
from pseudodensity.rng import normal, numpy_generator

torch.set_num_threads(1)

pytestmark = pytest.mark.filterwarnings(
    "ignore:the extractor has random weights", "ignore:.*no-op", "ignore:the density network of"
)
SAYS = {name: declared(module, "DECLARATION") for name, module in ARCHITECTURES.items()}
WITH_JACOBIAN = [name for name, says in SAYS.items() if says["no_jacobian"] is None]


# ------------------------------------------------------------------------ the stand-in


def test_the_stand_in_holds_numbers_and_refuses_what_a_gpu_refuses():
    here = torch.arange(6.0).view(2, 3)
    with SecondDevice():
        there = here.to(NAME)
        assert there.device.type == NAME and torch.equal((there @ there.T).cpu(), here @ here.T)
        there[0] += 1
        assert there.sum().item() == 18 and torch.equal(here, torch.arange(6.0).view(2, 3))
        assert torch.equal((there[torch.tensor([1])] * torch.tensor(2.0)).cpu()[0], 2 * here[1])
        refused = [
            lambda: there + here,
            lambda: there @ here.T,
            lambda: torch.nn.functional.linear(there, here),
            lambda: torch.cat([there, here]),
            lambda: here[torch.zeros(1, dtype=torch.int64, device=NAME)],
            lambda: torch.nn.Linear(3, 1)(there),
            lambda: torch.randn(2, generator=torch.Generator(), device=NAME),
            lambda: there.numpy(),
        ]
        for mixed in refused:
            with pytest.raises(RuntimeError, match="of the CPU|numpy"):
                mixed()


# ------------------------------------------------------------------------ making and describing images


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_images_and_their_slopes(compared, name):
    whole = make(name)

    def compute(device):
        generator = copy.deepcopy(whole).to(device)
        latents = normal(0, "z", range(3), generator.latent_shape).to(device).requires_grad_()
        images = generator(latents)
        found = {"images": images}
        if images.requires_grad:
            (found["slopes"],) = torch.autograd.grad(images.square().sum(), latents)
        return found

    compared(compute)


@on_a_card_only
@pytest.mark.parametrize("name", WITH_JACOBIAN)
def test_singular_values(compared, name):
    whole = make(name)

    def compute(device):
        generator = copy.deepcopy(whole).to(device)
        latents = normal(0, "z", range(3), generator.latent_shape).to(device)
        return {"logs": log_singular_values(generator, latents, kept=3)["pixel"].logs}

    compared(compute)


def spec_of(kind: str, folder: Path) -> dict:
    """Settings of an extractor of a kind, with files of random weights where it needs some."""
    torch.manual_seed(0)
    if kind in TRAINED_HERE:
        return {"small_vit": VIT, "small_cnn": CNN}[kind]
    if kind == "timm":
        name = "mobilenetv3_small_050"
        return {
            "kind": kind,
            "name": name,
            **saved(timm.create_model(name).state_dict(), folder / "timm.pth"),
        }
    network = {
        "squeezenet": torchvision.models.squeezenet1_1,
        "inception": lambda weights: inception(),
    }
    with torch.device("meta"):
        shapes = network.get(kind, torchvision.models.vgg16)(weights=None).state_dict()
    state = {name: weights_like(name, shape) for name, shape in shapes.items()}
    spec = {"kind": kind, **saved(state, folder / "weights.pth")}
    if kind == "lpips":
        heads = {
            f"lin{i}.model.1.weight": torch.rand(1, n, 1, 1) for i, n in enumerate(LPIPS_WIDTHS)
        }
        file = saved(heads, folder / "heads.pth")
        spec |= {f"head_{key}": value for key, value in file.items()} | {"resolution": 16}
    return spec


def weights_like(name: str, shape: torch.Tensor) -> torch.Tensor:
    """Random weights that keep the size of what passes; of a wide layer one number stands for all, so that its
    file is small."""
    if shape.numel() > 10_000_000:
        return torch.full((1,), 1e-4).expand(shape.shape)
    made = torch.zeros(shape.shape, dtype=shape.dtype)
    if made.ndim > 1:
        return torch.nn.init.kaiming_normal_(made)
    return made + name.endswith(("running_var", "bn.weight"))


# Packaged networks are timm's too, and need a package.
@pytest.mark.parametrize("kind", sorted({*TRAINED_HERE, *PRETRAINED} - {"packaged"}))
def test_features_and_their_slopes(compared, kind, tmp_path):
    whole = build_extractor(spec_of(kind, tmp_path))

    def compute(device):
        extractor, images = copy.deepcopy(whole), random_images(3, 16)
        features = extract(extractor, images, batch_size=2, device=device)
        leaf = to_float(images).to(device).requires_grad_()
        (slopes,) = torch.autograd.grad(extractor(leaf).square().sum(), leaf)
        return {"features": features, "slopes": slopes}

    compared(compute)


# ------------------------------------------------------------------------ densities and neighbours


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    return numpy_generator(0, "features").standard_normal((120, 6)).astype(np.float32)


def test_pseudo_density_and_its_slopes(compared, features):
    fitted = PseudoDensity.fit(features, k=3, epochs=2)

    def compute(device):
        density = copy.deepcopy(fitted).to(device)
        leaf = torch.from_numpy(features).to(device).requires_grad_()
        (slopes,) = torch.autograd.grad(density(leaf).sum(), leaf)
        return {"of an array": density(features), "of a tensor": density(leaf), "slopes": slopes}

    compared(compute)


@pytest.mark.parametrize("kind", KINDS)
def test_densities_of_features(compared, features, kind):
    torch.manual_seed(0)
    fitted = FeatureDensity.start(KINDS[kind](features.shape[1]), torch.from_numpy(features))

    def compute(device):
        density = copy.deepcopy(fitted).to(device)
        return {"logs": density.log_density(torch.from_numpy(features).to(device))}

    compared(compute)


def test_nearest_neighbours(compared, features):
    def compute(device):
        rows = torch.from_numpy(features).to(device)
        distances, indices = knn(rows, rows, 5, exclude_self=True)
        return {
            "distances": distances,
            "indices": indices,
            "of arrays": knn(features, features, 5)[0],
        }

    compared(compute)


@pytest.mark.gpu
def test_neighbours_through_faiss_on_the_card_are_those_of_the_cpu(features, request):
    faiss = pytest.importorskip("faiss")
    if request.config.getoption("--device") != "cpu" and faiss.get_num_gpus() == 0:
        pytest.skip("this faiss computes on no GPU: install envs/gpu.txt")
    # As many candidates as faiss sorts on a GPU, and one more, which it leaves to the CPU.
    rows = numpy_generator(1, "features").standard_normal((2200, 4)).astype(np.float32)
    apart = rows[:50, None].astype(np.float64) - rows[None]
    near = np.argsort(np.square(apart).sum(-1), 1)
    for k in (3, 2048 - 9, 2048):
        np.testing.assert_array_equal(knn(rows[:50], rows, k)[1], near[:, :k])


# ------------------------------------------------------------------------ the library


def test_parts_on_two_devices_are_refused_in_one_line(features):
    generator, extractor = make("convgan"), build_extractor(CNN)
    density = PseudoDensity.fit(
        numpy_generator(0, "f").standard_normal((20, extractor.dim)), k=3, epochs=1
    )
    stream, real = torch.Generator().manual_seed(0), random_images(9, 16)
    settings = {"taus": [50], "ws": [2], "count": 5, "stream": stream}

    def refused(generator, density, extractor, judge) -> str:
        with pytest.raises(ValueError, match="move them to one") as first:
            frontier(generator, density, extractor, judge, real, **settings)
        if judge is extractor:
            with pytest.raises(ValueError, match="move them to one"):
                importance_sample(generator, density, extractor, 50, 2, 5, stream)
        assert "\n" not in str(first.value)
        return str(first.value)

    def away(module):
        return copy.deepcopy(module).to("meta")

    said = refused(away(generator), density, extractor, extractor)
    assert "the generator is on meta, the density on cpu, the extractor on cpu" in said
    refused(generator, away(density), extractor, extractor)
    refused(generator, density, away(extractor), away(extractor))
    assert "the judge on meta" in refused(generator, density, extractor, away(extractor))


def test_the_library_computes_on_another_device(compared):
    whole, steering = make("convgan"), build_extractor(CNN)
    real = random_images(30, 16)
    fitted = PseudoDensity.fit(extract(steering, real), k=3, epochs=2)

    def compute(device):
        parts = [copy.deepcopy(x).to(device) for x in (whole, fitted, steering)]
        stream = torch.Generator().manual_seed(0)
        sample = importance_sample(*parts, 50, 2, 5, stream, batch_size=4)
        points = frontier(
            *parts, parts[2], real, taus=[50], ws=[2], count=5, stream=stream, batch_size=4
        )
        found = {f"{i} {key}": p[key] for i, p in enumerate(points) for key in ("precision", "fid")}
        assert next(parts[2].parameters()).device.type == torch.device(device).type
        return found | {"latents": sample.latents, "density": sample.density}

    compared(compute)


def test_features_are_computed_where_the_extractor_is():
    extractor, images = build_extractor(CNN), random_images(3, 16)
    with SecondDevice():
        there = copy.deepcopy(extractor).to(NAME)
        np.testing.assert_allclose(extract(there, images), extract(extractor, images), rtol=1e-5)
        assert there.offset.device.type == NAME and extractor.offset.device.type == "cpu"


def test_time_is_told_on_every_device():
    for device in ("cpu", torch.device("cpu"), NAME):
        assert clock(device) <= clock(device)
