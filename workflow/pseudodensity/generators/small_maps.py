"""Convolutions of very small maps as matrix products, for networks that run many times unchanged.

A padded convolution of a map with fewer pixels than its kernel has taps multiplies zeros most of
the time: on 2 x 2 pixels, five of the nine taps of each output. One matrix has only the rest.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn

__all__ = ["MapMatrix", "with_small_maps_as_matrices"]


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


def _rows(maps: Tensor) -> Tensor:
    """One row per map, channels last, so that a network in that layout copies nothing."""
    return maps.permute(0, 2, 3, 1).flatten(1)


def _taps(layer: nn.Module) -> int:
    """Taps of the convolution of a layer that can be a matrix; 0 for another layer."""
    if isinstance(layer, Upsample2D):
        layer = layer.conv
    if not isinstance(layer, nn.Conv2d):
        return 0
    return layer.kernel_size[0] * layer.kernel_size[1]


@torch.no_grad()
def with_small_maps_as_matrices(
    network: nn.Module, run: Callable[[nn.Module], object]
) -> nn.Module:
    """A copy of a network with matrices where maps are small; itself where none is.

    network: its layers see maps of one size each. run: calls the network it is given once, on an
    input of that size. The copy is for inference: it does not follow the network's training.
    """
    shapes: dict[str, tuple[int, int, int]] = {}

    def note(name: str) -> Callable:
        return lambda _, inputs, __: shapes.update({name: tuple(inputs[0].shape[1:])})

    candidates = [(name, layer) for name, layer in network.named_modules() if _taps(layer) > 1]
    hooks = [layer.register_forward_hook(note(name)) for name, layer in candidates]
    try:
        run(network)
    finally:
        for hook in hooks:
            hook.remove()
    small = {
        name: MapMatrix(layer, shapes[name])
        for name, layer in candidates
        if name in shapes and shapes[name][1] * shapes[name][2] < _taps(layer)
    }
    if not small:
        return network
    network = copy.deepcopy(network)
    for name, matrix in small.items():
        if not any(name.startswith(f"{outer}.") for outer in small):
            network.set_submodule(name, matrix)
    return network
