"""Convolutions of very small maps as matrix products, for networks that run many times unchanged.

A padded convolution of a map with fewer pixels than its kernel has taps multiplies zeros most of
the time: on 2 x 2 pixels, five of the nine taps of each output. One matrix has only the rest.
On 4 x 4 pixels Winograd's algorithm multiplies a quarter as often; torch has it on GPUs only.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn

__all__ = ["MapMatrix", "WinogradMaps", "use_products"]

# F(4 x 4, 3 x 3) of Lavin and Gray (2016), along one axis: six points from four pixels between two
# zeros of padding; six points from three taps; four pixels from the six products.
POINTS_OF_PIXELS = (
    (0, -5, 0, 1),
    (-4, -4, 1, 1),
    (4, -4, -1, 1),
    (-2, -1, 2, 1),
    (2, -1, -2, 1),
    (4, 0, -5, 0),
)
POINTS_OF_TAPS = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
PIXELS_OF_PRODUCTS = (
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 2, -2, 0),
    (0, 1, 1, 4, 4, 0),
    (0, 1, -1, 8, -8, 1),
)
WINOGRAD_NEEDS = {
    "kernel_size": (3, 3),
    "stride": (1, 1),
    "padding": (1, 1),
    "padding_mode": "zeros",
    "dilation": (1, 1),
    "groups": 1,
}
CHUNK = 125  # maps at once: their points fit in a CPU's cache


class MapMatrix(nn.Module):
    """An affine layer on maps (n, c, h, w) as the matrix and offset that it amounts to.

    layer: affine in its input. shape: (c, h, w) of the input.
    """

    def __init__(self, layer: nn.Module, shape: tuple[int, int, int]):
        super().__init__()
        channels, height, width = shape
        example = next(layer.parameters())
        basis = torch.eye(channels * height * width, device=example.device, dtype=example.dtype)
        basis = basis.unflatten(1, (height, width, channels)).permute(0, 3, 1, 2)
        offset = layer(torch.zeros_like(basis[:1]))
        self.shape = offset.shape[1:]
        self.register_buffer("offset", _rows(offset)[0])
        self.register_buffer("matrix", _rows(layer(basis)) - self.offset)

    def forward(self, x: Tensor, *_) -> Tensor:
        """(n, c, h, w) -> what the layer makes of it, channels last."""
        channels, height, width = self.shape
        y = torch.addmm(self.offset, _rows(x), self.matrix)
        return y.unflatten(1, (height, width, channels)).permute(0, 3, 1, 2)


class WinogradMaps(nn.Module):
    """A 3 x 3 convolution of 4 x 4 maps, padded to keep their size, by 36 products instead of 144.

    Its rounding error is some ten times that of the convolution, in float32 about 1e-6 of a map.
    """

    def __init__(self, layer: nn.Conv2d):
        super().__init__()
        pixels, taps, products = (
            torch.kron(axis, axis).to(layer.weight.device)
            for axis in (
                torch.tensor(table, dtype=torch.float64)
                for table in (POINTS_OF_PIXELS, POINTS_OF_TAPS, PIXELS_OF_PRODUCTS)
            )
        )
        weight = (layer.weight.double().flatten(2) @ taps.T).permute(2, 1, 0).contiguous()
        bias = layer.weight.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias
        self.register_buffer("weight", weight.to(bias))
        self.register_buffer("bias", bias.detach())
        self.register_buffer("points_of_pixels", pixels.to(bias))
        self.register_buffer("pixels_of_products", products.to(bias))

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, 4, 4) -> (n, o, 4, 4), channels last."""
        pixels = x.permute(0, 2, 3, 1).flatten(1, 2)
        maps = torch.cat([self._convolve(part) for part in pixels.split(CHUNK)])
        return maps.unflatten(1, (4, 4)).permute(0, 3, 1, 2)

    def _convolve(self, pixels: Tensor) -> Tensor:
        count = len(pixels)
        points = torch.bmm(self.points_of_pixels.expand(count, -1, -1), pixels)
        products = torch.bmm(points.transpose(0, 1), self.weight).transpose(0, 1)
        return torch.baddbmm(self.bias, self.pixels_of_products.expand(count, -1, -1), products)


def _rows(maps: Tensor) -> Tensor:
    """One row per map, channels last, so that a network in that layout copies nothing."""
    return maps.permute(0, 2, 3, 1).flatten(1)


def _convolution(layer: nn.Module) -> nn.Conv2d | None:
    """The convolution of a layer that may become a product, if it is one."""
    layer = layer.conv if isinstance(layer, Upsample2D) else layer
    return layer if isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1) else None


def _as_product(layer: nn.Module, shape: tuple[int, int, int]) -> nn.Module | None:
    """A layer of maps (c, h, w) as the product that is less work, if there is one."""
    convolution, pixels = _convolution(layer), shape[1] * shape[2]
    if pixels < convolution.kernel_size[0] * convolution.kernel_size[1]:
        return MapMatrix(layer, shape)
    usual = all(getattr(layer, name, None) == value for name, value in WINOGRAD_NEEDS.items())
    if usual and shape[1:] == (4, 4) and layer.weight.device.type == "cpu":
        return WinogradMaps(layer)
    return None


@torch.no_grad()
def use_products(network: nn.Module, *inputs: Tensor) -> None:
    """Replace layers by products where their maps are small and a product is less work.

    network: its layers see maps of one size each; afterwards it is for inference only. inputs: to
    call it with once, of that size.
    """
    shapes: dict[str, tuple[int, int, int]] = {}

    def note(name: str) -> Callable:
        return lambda _, inputs, __: shapes.update({name: tuple(inputs[0].shape[1:])})

    layers = {name: layer for name, layer in network.named_modules() if _convolution(layer)}
    hooks = [layer.register_forward_hook(note(name)) for name, layer in layers.items()]
    network(*inputs)
    for hook in hooks:
        hook.remove()
    products = {name: _as_product(layers[name], shape) for name, shape in shapes.items()}
    products = {name: product for name, product in products.items() if product is not None}
    for name, product in products.items():
        if not any(name.startswith(f"{outer}.") for outer in products):
            network.set_submodule(name, product)
