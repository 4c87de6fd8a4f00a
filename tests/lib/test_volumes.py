"""Jacobian log-volumes against singular values known otherwise."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.functional import jacobian
from torch.func import jvp

from pseudodensity.generators import diffusion, fastgan, stylegan2, stylegan3
from pseudodensity.generators.generator import BaseGenerator
from pseudodensity.generators.tangents import all_columns, jacobian_columns
from pseudodensity.generators.volumes import (
    LEFT_OUT,
    gram_matrix,
    log_singular_values,
    log_values_of_gram,
    log_volumes,
    numerical_ranks,
    stretched_directions,
)

STYLEGAN2 = {"z_dim": 8, "w_dim": 12, "mapping_layers": 2, "channel_base": 128, "channel_max": 16}
STYLEGAN3 = STYLEGAN2 | {
    "num_layers": 4,
    "num_critical": 1,
    "first_cutoff": 1.5,
    "first_stopband": 2.5,
    "margin_size": 1,
}

DIFFUSION = {
    "network": "small",
    "channels": [16, 16],
    "blocks": 0,
    "attention_levels": [],
    "head_channels": 8,
    "norm_groups": 8,
    "dropout": 0.0,
    "patch": 2,
    "schedule": "cosine",
    "prediction": "v_prediction",
    "training_steps": 100,
    "sampling_steps": 2,
    "rescale_vb": False,
}


class Analytic(BaseGenerator):
    """A function of rows as a generator."""

    def __init__(self, size, function):
        super().__init__()
        self.latent_shape, self.function = (size,), function
        self.eval()

    def forward(self, z):
        return self.function(z)


def shaken(model):
    """Every parameter away from the special values it starts with."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if name.endswith(("noise_strength", "bias", "running_mean", "input.affine.weight")):
            tensor.data.add_(0.3 * torch.randn_like(tensor))
        if name.endswith("running_var"):
            tensor.data.mul_(1 + torch.rand_like(tensor))
    return model.eval().requires_grad_(False)


def small(name, clamp=None):
    torch.manual_seed(0)
    if name == "fastgan":
        return shaken(fastgan.build_generator(16, z_dim=8, ngf=4))
    if name == "stylegan2":
        return shaken(stylegan2.build_generator(16, conv_clamp=clamp, **STYLEGAN2))
    return shaken(stylegan3.build_generator(16, conv_clamp=clamp, **STYLEGAN3))


def reference(function, points):
    """Reverse-mode Jacobian in float64, logs of its singular values: summed, the volumes by top."""
    values = []
    for point in points.double():
        rows = jacobian(lambda x: function(x[None]).flatten(), point, vectorize=True)
        values.append(torch.linalg.svdvals(rows).log())
    return torch.stack(values).cumsum(1).T


def reference_energies(mapping, points):
    """Squared singular values of a mapping network's Jacobian: (m, d), in falling order."""
    rows = [jacobian(lambda x: mapping(x[None])[0], point) for point in points]
    return torch.linalg.svdvals(torch.stack(rows).double()).square()


def latents(n, size=8):
    return torch.randn(n, size, generator=torch.Generator().manual_seed(1))


# ---------------------------------------------------------------- closed forms


@pytest.mark.parametrize("top", [1, 3, 5, 30])
def test_a_linear_generator_has_its_singular_values_everywhere(top):
    matrix = torch.randn(40, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    generator = Analytic(5, lambda z: z @ matrix.T + 1)
    volumes = log_volumes(generator, latents(6, 5).double(), top=top)
    expected = torch.linalg.svdvals(matrix)[:top].log().sum()
    torch.testing.assert_close(volumes, expected.expand(6), rtol=1e-12, atol=0)
    if top >= 5:  # then it is half the log determinant
        torch.testing.assert_close(expected, torch.linalg.slogdet(matrix.T @ matrix)[1] / 2)


def test_top_one_of_a_diagonal_map_keeps_only_the_largest():
    generator = Analytic(2, lambda z: z * torch.tensor([0.5, 3.0]))
    volumes = log_volumes(generator, latents(3, 2), top=1)
    torch.testing.assert_close(volumes, torch.full((3,), math.log(3.0), dtype=torch.float64))


def test_a_piecewise_affine_map_gives_each_region_its_slope():
    direction = torch.tensor([0.6, 0.8])
    generator = Analytic(1, lambda z: torch.where(z > 0, 3 * z, z) * direction)
    volumes = log_volumes(generator, torch.tensor([[-1.0], [2.0], [-0.1]]))
    expected = torch.tensor([0, math.log(3), 0], dtype=torch.float64)
    torch.testing.assert_close(volumes, expected, rtol=0, atol=1e-6)


def test_a_relu_network_equals_the_product_of_its_masked_weights():
    stream = torch.Generator().manual_seed(0)
    first, second = torch.randn(20, 4, generator=stream), torch.randn(30, 20, generator=stream)
    first, second = first.double(), second.double()
    points = latents(5, 4).double()
    volumes = log_volumes(Analytic(4, lambda z: (z @ first.T).relu() @ second.T), points)
    masks = (points @ first.T > 0).double()
    products = second @ (masks[:, :, None] * first)
    expected = torch.linalg.slogdet(products.mT @ products)[1] / 2
    torch.testing.assert_close(volumes, expected, rtol=1e-10, atol=1e-10)


def test_small_singular_values_survive_beside_large_ones():
    # float32 numbers: squares in float32 would lose 1e-4 beside 1
    scales = torch.logspace(0, -4, 5)
    turn = torch.linalg.qr(torch.randn(50, 5, generator=torch.Generator().manual_seed(0)))[0]
    volumes = log_volumes(Analytic(5, lambda z: (z * scales) @ turn.T), latents(2, 5))
    expected = scales.double().log().sum().expand(2)
    torch.testing.assert_close(volumes, expected, rtol=0, atol=1e-3)


def test_zero_singular_values_count_as_the_rounding_error():
    eps, tiny = torch.finfo(torch.float32).eps, torch.finfo(torch.float32).tiny
    flat = Analytic(3, lambda z: z * torch.tensor([2.0, 0.0, 0.0]))
    expected = torch.tensor([3 * math.log(2) + 2 * math.log(eps)], dtype=torch.float64)
    torch.testing.assert_close(log_volumes(flat, latents(1, 3)), expected)
    constant = log_volumes(Analytic(3, lambda z: z * 0), latents(1, 3), top=1)
    torch.testing.assert_close(constant, torch.tensor([math.log(tiny)], dtype=torch.float64))


# ---------------------------------------------------------------- the zoo


@pytest.mark.parametrize("name", ["stylegan2", "stylegan3", "fastgan"])
def test_the_zoo_against_the_reverse_mode_jacobian_in_float64(name):
    # z is normalised, so that one of its eight singular values is about zero
    generator, z = small(name), latents(2)
    expected = reference(copy.deepcopy(generator).double(), z)
    for top in (3, 7):
        volumes = log_volumes(generator, z, top=top)
        torch.testing.assert_close(volumes, expected[top - 1], rtol=0, atol=2e-4)


@pytest.mark.parametrize("flavour", ["iddpm", "adm"])
def test_a_chain_of_denoising_steps_with_attention(flavour):
    torch.manual_seed(0)
    generator = diffusion.build_generator(8, flavour=flavour, **DIFFUSION).eval()
    z = torch.randn(1, 3, 8, 8)
    rows = jacobian(lambda x: generator(x).flatten(), z).flatten(1)
    expected = torch.linalg.svdvals(rows.double())[:30].log().sum()
    volume = log_volumes(generator.requires_grad_(False), z)
    torch.testing.assert_close(volume[0], expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["stylegan2", "stylegan3"])
@pytest.mark.parametrize("clamp", [None, 0.5])
@pytest.mark.parametrize("tile", [18, 5])  # one along each axis, or several of unequal sizes
def test_written_out_tangents_equal_torchs_own(name, clamp, tile, monkeypatch):
    monkeypatch.setattr("pseudodensity.generators.tiles.TILE", tile)
    generator = small(name, clamp).double()
    styles = generator.mapping(latents(2).double())
    directions = torch.randn(5, 2, 12, dtype=torch.float64)
    columns = jacobian_columns([generator.synthesis], styles, directions)
    for column, direction in zip(columns, directions, strict=True):
        expected = jvp(generator.synthesis, (styles,), (direction,))[1].flatten(1)
        torch.testing.assert_close(column, expected, rtol=1e-9, atol=1e-9)


def test_style_space_is_the_jacobian_of_the_synthesis():
    generator, z = small("stylegan2"), latents(2)
    exact = copy.deepcopy(generator).double()
    expected = reference(exact.synthesis, exact.mapping(z.double()))[5]
    volumes = log_volumes(generator, z, top=6, space="style")
    torch.testing.assert_close(volumes, expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize("route", ["exact", "mapping"])
def test_feature_space_is_the_jacobian_of_the_features(route):
    torch.manual_seed(3)
    features = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.Tanh(), nn.Flatten()).eval()
    generator, z = small("stylegan2"), latents(2)
    both = nn.Sequential(copy.deepcopy(generator), copy.deepcopy(features)).double()
    volumes = log_volumes(generator, z, top=5, space="feature", features=features, route=route)
    torch.testing.assert_close(volumes, reference(both, z)[4], rtol=0, atol=2e-4)


# ---------------------------------------------------------------- one sweep, several spaces


@pytest.mark.parametrize("route", ["exact", "mapping"])
@pytest.mark.parametrize("name", ["stylegan2", "stylegan3", "fastgan"])
def test_spaces_of_one_sweep_have_the_values_that_each_has_alone(name, route):
    torch.manual_seed(3)
    generator, z = small(name), latents(3)
    if not generator.w_space and route == "mapping":
        pytest.skip("there is no mapping network")
    spaces = ["pixel", "style"] if generator.w_space else ["pixel"]
    features = {
        "four": nn.Sequential(nn.Flatten(), nn.LazyLinear(4), nn.Tanh()).eval(),
        "nine": nn.Sequential(nn.Conv2d(3, 1, 3, stride=4), nn.Flatten()).eval(),
    }
    for network in features.values():
        network(generator(z))
    together = log_singular_values(
        generator, z, kept=6, route=route, spaces=spaces, features=features
    )
    assert list(together) == [*spaces, *features]
    for space in spaces:
        alone = {"space": space, "route": "exact" if space == "style" else route}
        volumes = log_volumes(generator, z, top=6, **alone)
        torch.testing.assert_close(together[space].logs.sum(1), volumes, rtol=0, atol=2e-4)
    for space, network in features.items():
        volumes = log_volumes(generator, z, top=4, space="feature", features=network, route=route)
        logs = together[space].logs
        torch.testing.assert_close(logs[:, :4].sum(1), volumes, rtol=0, atol=5e-4)
        assert (logs.diff(dim=1) <= 0).all()


def test_a_space_has_no_more_singular_values_than_its_numbers():
    generator = Analytic(5, lambda z: z.repeat(1, 3))
    wide = log_singular_values(
        generator, latents(2, 5), kept=9, features={"sum": lambda x: x[:, :2]}
    )
    assert wide["pixel"].logs.shape == (2, 5) and wide["sum"].logs.shape == (2, 2)
    assert numerical_ranks(wide["sum"].logs, wide["sum"].tolerance).tolist() == [2, 2]


@pytest.mark.parametrize("rank", [0, 1, 3, 6])
def test_the_numerical_rank_is_that_of_the_matrix(rank):
    stream = torch.Generator().manual_seed(rank)
    matrix = torch.randn(40, rank, generator=stream) @ torch.randn(rank, 6, generator=stream)
    found = log_singular_values(Analytic(6, lambda z: z @ matrix.T), latents(4, 6), kept=6)["pixel"]
    ranks = numerical_ranks(found.logs, found.tolerance)
    assert ranks.tolist() == [torch.linalg.matrix_rank(matrix).item()] * 4 == [rank] * 4


def test_a_space_is_named_once_and_there_is_one():
    generator, z = Analytic(2, lambda z: z), torch.zeros(1, 2)
    with pytest.raises(ValueError, match="at least one space"):
        log_singular_values(generator, z, spaces=[])
    with pytest.raises(ValueError, match="none of them twice"):
        log_singular_values(generator, z, features={"pixel": nn.Identity()})


# ---------------------------------------------------------------- the mapping route


def volumes_of_directions_alone(generator, z, columns, top):
    """What the directions give that are pushed, with nothing in place of the others."""
    styles, pushed, *_ = stretched_directions(generator.mapping, z, columns, top)
    gram = gram_matrix(jacobian_columns([generator.synthesis], styles, pushed))
    return log_values_of_gram(gram, top, torch.finfo(torch.float32)).sum(1)


@pytest.mark.parametrize("name", ["stylegan2", "stylegan3"])
def test_the_mapping_route_with_every_direction_is_exact(name):
    generator, z = small(name), latents(3)
    exact = log_volumes(generator, z, top=5, route="exact")
    mapped = log_volumes(generator, z, top=5, route="mapping", columns=8)
    torch.testing.assert_close(mapped, exact, rtol=0, atol=2e-4)


@pytest.mark.parametrize("name", ["stylegan2", "stylegan3"])
def test_directions_alone_bound_the_volume_from_below_and_more_of_them_closer(name):
    generator, z = small(name), latents(4)
    exact = log_volumes(generator, z, top=3, route="exact")
    lower = []
    for columns in (3, 4, 5, 6, 7):
        lower.append(volumes_of_directions_alone(generator, z, columns, 3))
    ladder = torch.stack([*lower, exact])
    assert (ladder.diff(dim=0) > -1e-4).all()
    assert (ladder[-2] < exact + 1e-4).all() and (lower[0] < exact - 0.01).any()


def test_what_is_left_out_is_made_up_for():
    torch.manual_seed(0)
    settings = {"channel_base": 512, "channel_max": 32, "mapping_layers": 8}
    generator = stylegan2.build_generator(16, z_dim=64, w_dim=64, **settings).eval()
    z = latents(6, 64)
    exact = log_volumes(generator, z, top=10, route="exact")
    mapped = log_volumes(generator, z, top=10, route="mapping", columns=14)
    lower = volumes_of_directions_alone(generator, z, 14, 10)
    assert (mapped - exact).abs().mean() < (lower - exact).abs().mean() / 2


@pytest.mark.parametrize("layers", [1, 8])
def test_every_latent_takes_as_many_columns_as_its_mapping_asks_for(layers):
    torch.manual_seed(0)
    settings = {"channel_base": 512, "channel_max": 32, "mapping_layers": layers}
    generator = stylegan2.build_generator(16, z_dim=128, w_dim=128, **settings).eval()
    z = latents(4, 128)
    *_, counts = stretched_directions(generator.mapping, z, None, 3)
    energies = reference_energies(generator.mapping, z)
    for count, energy in zip(counts.tolist(), energies, strict=True):
        enough = [energy[n:].sum() <= LEFT_OUT * energy[n // 4 : n].sum() for n in range(129)]
        assert count == max(enough.index(True), 6)
    *_, none_left = stretched_directions(generator.mapping, z, None, 100)
    assert (none_left == 128).all()


# ---------------------------------------------------------------- batches, shapes, refusals


@pytest.mark.parametrize(
    ("name", "route", "top"),
    [
        ("fastgan", "exact", 7),
        ("stylegan2", "exact", 7),
        ("stylegan3", "exact", 7),
        ("stylegan2", "mapping", 1),  # latents of different numbers of columns
        ("stylegan3", "mapping", 1),
    ],
)
def test_a_volume_does_not_depend_on_its_batch(name, route, top):
    generator, z = small(name), latents(5)
    together = log_volumes(generator, z, top=top, route=route)
    alone = [log_volumes(generator, row[None], top=top, route=route) for row in z]
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-4)


def test_latents_of_any_shape_and_none_at_all():
    generator = Analytic(6, lambda z: z.flatten(1) * 2)
    generator.latent_shape = (3, 2)
    volumes = log_volumes(generator, torch.randn(2, 3, 2))
    torch.testing.assert_close(volumes, torch.full((2,), 6 * math.log(2), dtype=torch.float64))
    assert log_volumes(generator, torch.empty(0, 3, 2)).shape == (0,)


def test_gram_matrix_in_strips_equals_the_product(monkeypatch):
    monkeypatch.setattr("pseudodensity.generators.volumes.STRIP", 100)
    columns = torch.randn(7, 2, 53)
    expected = columns.double().permute(1, 0, 2) @ columns.double().permute(1, 2, 0)
    torch.testing.assert_close(gram_matrix(columns), expected)


def test_all_columns_are_the_jacobian():
    points = torch.randn(2, 3)
    columns = all_columns([torch.sin, torch.square], points)
    expected = torch.diag_embed((2 * points).sin()).transpose(0, 1)
    torch.testing.assert_close(columns, expected)


RUNNING = torch.arange(1.0, 7, dtype=torch.float64)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: F.glu(x, 1),
        lambda x: F.glu(x.view(-1, 2, 3), dim=1),
        lambda x: F.batch_norm(x, RUNNING, RUNNING),
        lambda x: F.scaled_dot_product_attention(*x.view(-1, 3, 2, 1).unbind(1)),
        lambda x: x[..., None, None].contiguous(memory_format=torch.channels_last).sin(),
    ],
    ids=["glu", "glu of maps", "batch norm", "attention", "memory format"],
)
def test_calls_spelled_otherwise_for_tangents_have_the_jacobian_of_torchs_own(call):
    points = torch.randn(3, 6, dtype=torch.float64)
    columns = all_columns([call], points)
    rows = torch.stack([jacobian(lambda x: call(x[None]).flatten(), point) for point in points])
    torch.testing.assert_close(columns, rows.permute(2, 0, 1), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"route": "library"}, "route must be one of"),
        ({"space": "latent"}, "spaces of"),
        ({"top": 0}, "at least 1"),
        ({"columns": 0}, "at least 1"),
        ({"space": "style"}, "mapping network"),
        ({"route": "mapping"}, "mapping network"),
        ({"space": "feature"}, "needs features"),
        ({"features": nn.Identity()}, "needs features"),
    ],
)
def test_what_a_generator_cannot_serve_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        log_volumes(Analytic(2, lambda z: z), torch.zeros(1, 2), **settings)


def test_a_batch_norm_left_in_train_mode_is_refused():
    norm = nn.BatchNorm1d(2)
    with pytest.raises(ValueError, match="couples the latents"):
        log_volumes(Analytic(2, lambda z: norm(z)), torch.zeros(1, 2))


def test_bad_latents_modes_and_jacobians_are_refused():
    generator = Analytic(2, lambda z: z)
    with pytest.raises(ValueError, match="latents must be"):
        log_volumes(generator, torch.zeros(1, 3))
    with pytest.raises(ValueError, match="NaN"):
        log_volumes(generator, torch.full((1, 2), torch.nan))
    with pytest.raises(ValueError, match="latent 1 is not finite"):
        log_volumes(Analytic(2, torch.sqrt), torch.tensor([[1.0, 1.0], [0.0, 1.0]]))
    with pytest.raises(ValueError, match="route='exact'"):
        log_volumes(Analytic(3072, lambda z: z), torch.zeros(1, 3072))
    with pytest.raises(ValueError, match=r"eval\(\)"):
        log_volumes(generator.train(), torch.zeros(1, 2))
    with pytest.raises(ValueError, match="route='exact' for 'style'"):
        log_volumes(small("stylegan2"), latents(1), space="style", route="mapping")
