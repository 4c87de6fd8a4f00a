"""Layers of small maps as products: the same function, only where it is less work."""

import copy

import pytest
import torch
from diffusers.models.upsampling import Upsample2D
from torch import nn

from pseudodensity.generators.small_maps import CHUNK, MapMatrix, WinogradMaps, use_products


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(5, 7, 3, padding=1), (5, 2, 2)),
        (nn.Conv2d(5, 7, 3, padding=1, bias=False), (5, 2, 3)),
        (nn.Conv2d(4, 6, 3, stride=2, padding=1), (4, 2, 2)),
        (nn.Conv2d(4, 6, 5, padding=2, groups=2), (4, 4, 4)),
        (Upsample2D(6, use_conv=True), (6, 2, 2)),
    ],
)
def test_a_matrix_is_the_layer(layer, shape, memory_format):
    layer = layer.double()
    matrix = MapMatrix(layer, shape)
    x = torch.randn(3, *shape, dtype=torch.float64).contiguous(memory_format=memory_format)
    torch.testing.assert_close(matrix(x), layer(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("count", [3, CHUNK, 2 * CHUNK + 1])
def test_winograd_is_the_convolution(count, bias, memory_format):
    layer = nn.Conv2d(5, 7, 3, padding=1, bias=bias).double()
    x = torch.randn(count, 5, 4, 4, dtype=torch.float64).contiguous(memory_format=memory_format)
    torch.testing.assert_close(WinogradMaps(layer)(x), layer(x), rtol=1e-11, atol=1e-11)


def test_rounding_of_winograd_is_some_ten_times_that_of_a_convolution():
    layer = nn.Conv2d(64, 64, 3, padding=1)
    x = torch.randn(200, 64, 4, 4)
    exact = copy.deepcopy(layer).double()(x.double())
    error, usual = ((y - exact).square().mean().sqrt() for y in (WinogradMaps(layer)(x), layer(x)))
    assert error < 20 * usual and error / exact.std() < 1e-5


class Chain(nn.ModuleDict):
    """Its layers one after the other, but for the one that is called unused."""

    def forward(self, x):
        for name, layer in self.items():
            x = x if name == "unused" else layer(x)
        return x


def test_a_layer_becomes_the_product_that_is_less_work():
    layers = Chain(
        {
            "small": nn.Conv2d(2, 2, 3, padding=1),
            "no_taps": nn.Conv2d(2, 2, 1),
            "up": Upsample2D(2, use_conv=True),
            "four": nn.Conv2d(2, 2, 3, padding=1),
            "grouped": nn.Conv2d(2, 2, 3, padding=1, groups=2),
            "narrower": nn.Conv2d(2, 2, 3),
            "again": nn.Conv2d(2, 2, 3, padding=1),
            "wider": nn.Conv2d(2, 2, 3, padding=5),
            "large": nn.Conv2d(2, 2, 3, padding=1),
            "unused": nn.Conv2d(2, 2, 3, padding=1),
        }
    )
    changed, x = copy.deepcopy(layers), torch.ones(1, 2, 2, 2)
    use_products(changed, x)
    torch.testing.assert_close(changed(x), layers(x))
    kinds = {name: type(layer) for name, layer in changed.items()}
    assert {name for name, kind in kinds.items() if kind is MapMatrix} == {
        "small",
        "up",
        "again",
        "wider",
    }
    assert {name for name, kind in kinds.items() if kind is WinogradMaps} == {"four"}
