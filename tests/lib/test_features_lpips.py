"""LPIPS as an extractor: squared distances of features are LPIPS by its definition; bad files are one line."""

import copy
import zipfile

import numpy as np
import pytest
import torch
import torchvision

from pseudodensity.artifacts import file_sha256
from pseudodensity.features.build import build_extractor, load_extractor, save_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.features.lpips import DISTANCE, Lpips, read_heads
from pseudodensity.papers.polarity.measured.path_lengths import squared_speeds

torch.set_num_threads(1)

SIDE = 32
WIDTHS = (64, 128, 256, 512, 512)
NAMES = [f"lin{i}.model.1.weight" for i in range(5)]


@pytest.fixture(scope="module")
def vgg() -> torch.nn.Sequential:
    """VGG-16's convolutions with random weights that keep the size of what passes."""
    torch.manual_seed(0)
    with torch.device("meta"):
        layers = torchvision.models.vgg16(weights=None, init_weights=False).features
    layers = layers.to_empty(device="cpu").eval().requires_grad_(False)
    for layer in layers:
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)
            layer.bias.normal_(std=0.1)
    return layers


@pytest.fixture(scope="module")
def heads() -> dict[str, torch.Tensor]:
    """Random weights under the public names; a fifth of the channels counts nothing."""
    torch.manual_seed(1)
    found = {name: torch.rand(1, width, 1, 1) for name, width in zip(NAMES, WIDTHS, strict=True)}
    return {name: each * (torch.rand_like(each) > 0.2) for name, each in found.items()}


def written(heads, path) -> dict[str, str]:
    """The settings of a file of heads."""
    torch.save(heads, path)
    return {"head_weights": str(path), "head_sha256": file_sha256(path)}


@pytest.fixture(scope="module")
def spec(vgg, heads, tmp_path_factory) -> dict:
    """Entry of a config: both files with the names that the public ones have."""
    folder = tmp_path_factory.mktemp("lpips")
    with torch.device("meta"):
        shapes = torchvision.models.vgg16(weights=None, init_weights=False).state_dict()
    # One number stands for all weights of the wide layers, which LPIPS has no use for.
    state = {name: torch.zeros(1).expand(each.shape) for name, each in shapes.items()}
    state |= {f"features.{name}": each for name, each in vgg.state_dict().items()}
    torch.save(state, folder / "vgg16.pth")
    backbone = {
        "weights": str(folder / "vgg16.pth"),
        "sha256": file_sha256(folder / "vgg16.pth"),
    }
    own = written(heads, folder / "heads.pth")
    return {"kind": "lpips", **backbone, **own, "resolution": SIDE}


@pytest.fixture(scope="module")
def lpips(spec) -> Lpips:
    return build_extractor(spec)


def images(count: int, seed: int, side: int = SIDE) -> torch.Tensor:
    """Uniform noise in [-1, 1]."""
    draw = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(count, 3, side, side, generator=draw) - 1


def by_definition(first, second, vgg, heads) -> torch.Tensor:
    """LPIPS of pairs of images in float64, layer by layer; the images are scaled by the published numbers."""
    shift = torch.tensor([-0.030, -0.088, -0.188], dtype=torch.float64).view(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450], dtype=torch.float64).view(1, 3, 1, 1)
    exact = copy.deepcopy(vgg).double()
    x, y = ((each.double() - shift) / scale for each in (first, second))
    distance, compared = 0, 0
    for i, layer in enumerate(exact):
        x, y = layer(x), layer(y)
        # relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3 are those before a pooling.
        if isinstance(exact[i + 1] if i + 1 < len(exact) else None, torch.nn.MaxPool2d):
            unit = [
                each / (each.square().sum(dim=1, keepdim=True).sqrt() + 1e-10) for each in (x, y)
            ]
            weights = heads[NAMES[compared]].double()
            distance = distance + (weights * (unit[0] - unit[1]) ** 2).sum(dim=1).mean(dim=(1, 2))
            compared += 1
    assert compared == 5
    return distance


def distances(first: torch.Tensor, second: torch.Tensor) -> np.ndarray:
    return (first - second).double().square().sum(dim=1).numpy()


def test_squared_distances_of_features_are_lpips_by_its_definition(lpips, vgg, heads):
    first, second = images(4, 0), images(4, 1)
    second[3] = first[3] + 0.02 * second[3]  # two that hardly differ
    features = [lpips(each) for each in (first, second)]
    assert features[0].shape == (4, lpips.dim) and features[0].dtype == torch.float32
    found, expected = distances(*features), by_definition(first, second, vgg, heads).numpy()
    assert (expected > 0).all() and expected[3] < expected[:3].min() / 2
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_array_equal(distances(features[1], features[0]), found)
    np.testing.assert_array_equal(distances(features[0], lpips(first)), 0)


def test_where_no_channel_is_active_derivatives_are_finite(lpips, vgg, heads):
    """The length of a vector of zeros has no derivative of its own."""
    blind = copy.deepcopy(vgg)
    blind[28].bias.fill_(-1e6)
    extractor = copy.deepcopy(lpips)
    extractor.blocks[4].load_state_dict(blind[23:30].state_dict())
    first, second = images(1, 6), images(1, 7)
    assert (extractor(first)[:, -512:] == 0).all()
    found = distances(extractor(first), extractor(second))
    np.testing.assert_allclose(found, by_definition(first, second, blind, heads), rtol=1e-4)
    speeds = squared_speeds([extractor], first, second, unit=False)
    assert torch.isfinite(speeds).all() and (speeds > 0).all()
    moved = first.clone().requires_grad_()
    extractor(moved).sum().backward()
    assert torch.isfinite(moved.grad).all()


def test_larger_images_are_averaged_over_blocks(lpips):
    large = images(2, 3, 2 * SIDE)
    blocks = large.view(2, 3, SIDE, 2, SIDE, 2).mean(dim=(3, 5))
    np.testing.assert_allclose(lpips(large).numpy(), lpips(blocks).numpy(), atol=1e-6)
    assert lpips(images(1, 3, 48)).shape == (1, lpips.dim)  # no whole multiple


def test_speeds_are_what_lpips_of_a_small_step_comes_to(lpips, vgg, heads):
    exact, draw = copy.deepcopy(lpips).double(), torch.Generator().manual_seed(4)
    weights = torch.randn(5, 3 * SIDE**2, generator=draw, dtype=torch.float64)

    def drawn(latents):
        return torch.tanh(latents @ weights).view(-1, 3, SIDE, SIDE)

    points, velocities = (torch.randn(3, 5, generator=draw, dtype=torch.float64) for _ in range(2))
    step = 1e-3
    pairs = drawn(points), drawn(points + step * velocities)
    stepped = by_definition(*pairs, vgg, heads) / step**2
    found = squared_speeds([drawn, exact], points, velocities, unit=False, batch=2)
    np.testing.assert_allclose(found.numpy(), stepped.numpy(), rtol=2e-2)
    scaled = squared_speeds([drawn, exact], points, velocities)
    assert not np.allclose(scaled.numpy(), stepped.numpy(), rtol=0.2)


def test_it_is_kept_as_its_spec_and_its_distance_has_a_name(lpips, spec, tmp_path):
    save_extractor(tmp_path / "e.safetensors", lpips)
    assert (tmp_path / "e.safetensors").stat().st_size < 10_000
    loaded = load_extractor(tmp_path / "e.safetensors")
    shown = ((images(2, 5) + 1) * 127.5).to(torch.uint8)
    np.testing.assert_allclose(extract(loaded, shown), extract(lpips, shown, 1), atol=1e-6)
    assert loaded.spec == spec and DISTANCE == "LPIPS"


# ------------------------------------------------------------------------ files


def refused(settings) -> str:
    with pytest.raises(ValueError) as error:
        build_extractor(settings)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("wrong", [-1e-3, float("nan")])
def test_a_weight_that_gives_no_distance_is_refused(spec, heads, wrong, tmp_path):
    weights = heads[NAMES[2]].clone()
    weights[0, 7] = wrong
    own = written(heads | {NAMES[2]: weights}, tmp_path / "heads.pth")
    message = refused(spec | own)
    assert f"{NAMES[2]} has a weight that is not at least 0" in message
    assert own["head_weights"] in message


def test_heads_of_another_network_are_refused(spec, heads, tmp_path):
    others = {
        "narrow": heads | {NAMES[0]: torch.ones(1, 32, 1, 1)},
        "flat": heads | {NAMES[1]: torch.ones(128)},
        "missing": {name: heads[name] for name in NAMES[:4]},
        "more": heads | {"lin5.model.1.weight": torch.ones(1, 512, 1, 1)},
    }
    for name, state in others.items():
        own = written(state, tmp_path / f"{name}.pth")
        assert f"{name}.pth does not fit the model" in refused(spec | own), name


def test_a_file_of_heads_is_never_executed(spec, heads, tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("the file of heads was executed",))

    own = written(heads | {NAMES[4]: Trap()}, tmp_path / "trap.pth")
    with zipfile.ZipFile(tmp_path / "trap.pth") as archive:
        assert b"executed" in archive.read("trap/data.pkl")
    assert "trap.pth is no plain state dict" in refused(spec | own)


def test_the_two_files_are_told_apart(spec, tmp_path):
    message = refused(spec | {"head_sha256": "0" * 64})
    assert "correct `head_sha256`" in message and spec["head_sha256"] in message
    message = refused(spec | {"head_weights": str(tmp_path / "none.pth")})
    assert "none.pth does not exist: download LPIPS v0.1's vgg.pth" in message
    message = refused(spec | {"head_weights": None, "head_sha256": None})
    assert "put its path in `head_weights`" in message
    assert "correct `sha256`" in refused(spec | {"sha256": "0" * 64})
    assert "it needs head_weights, head_sha256" in refused(
        {k: spec[k] for k in ("kind", "weights", "sha256")}
    )
    assert "VGG-16 needs 16 px" in refused(spec | {"resolution": 15})


def test_heads_come_layer_by_layer(spec, heads):
    found = read_heads(spec["head_weights"], spec["head_sha256"])
    for name, channels in zip(NAMES, found, strict=True):
        assert torch.equal(channels, heads[name])
