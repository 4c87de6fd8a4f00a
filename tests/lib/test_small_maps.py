"""Layers of small maps as matrices: the same function, only where it is less work."""

import pytest
import torch
from diffusers.models.upsampling import Upsample2D
from torch import nn

from pseudodensity.generators.small_maps import MapMatrix, with_small_maps_as_matrices


def matrices(network):
    return {name for name, layer in network.named_modules() if isinstance(layer, MapMatrix)}


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


def test_maps_with_fewer_pixels_than_taps_become_matrices_and_no_others():
    layers = nn.ModuleDict(
        {
            "small": nn.Conv2d(2, 2, 3, padding=1),
            "no_taps": nn.Conv2d(2, 2, 1),
            "up": Upsample2D(2, use_conv=True),
            "large": nn.Conv2d(2, 2, 3, padding=1),
            "unused": nn.Conv2d(2, 2, 3, padding=1),
        }
    )

    def run(network):
        x = torch.ones(1, 2, 2, 2)
        for name in ("small", "no_taps", "up", "large"):
            x = network[name](x)
        return x

    changed = with_small_maps_as_matrices(layers, run)
    assert matrices(changed) == {"small", "up"}
    assert not matrices(layers), "the network itself stays as it is"
    torch.testing.assert_close(run(changed), run(layers))
    with pytest.raises(RuntimeError):
        with_small_maps_as_matrices(layers, lambda network: network["small"](torch.ones(1)))
    assert not any(layer._forward_hooks for layer in layers.modules())


def test_a_network_of_large_maps_is_left_as_it_is():
    network = nn.Conv2d(2, 2, 3, padding=1)
    assert with_small_maps_as_matrices(network, lambda n: n(torch.ones(1, 2, 4, 4))) is network
