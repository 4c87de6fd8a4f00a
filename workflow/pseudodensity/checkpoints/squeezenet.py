"""SqueezeNet 1.1 from arrays of Caffe's order to torchvision's (Iandola et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = ["convert_squeezenet"]

# Caffe's input: BGR from 0 to 255 without these means. torchvision's: RGB by mean and deviation.
CAFFE_MEAN = (104.006, 116.669, 122.679)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Fire modules 2 to 9, by their place among torchvision's `features`.
FIRES = {2: 3, 3: 4, 4: 6, 5: 7, 6: 9, 7: 10, 8: 11, 9: 12}
PARTS = {"squeeze1x1": "squeeze", "expand1x1": "expand1x1", "expand3x3": "expand3x3"}


def convert_squeezenet(arrays: Mapping[str, Sequence[np.ndarray]]) -> dict[str, Tensor]:
    """The state dict of torchvision's ``squeezenet1_1`` that gives the same on its own input.

    Args:
        arrays: name of a layer (conv1, fire2/squeeze1x1, ..., conv10) -> kernel (height, width,
            in, out) and bias (out,).

    What the first layer is fed otherwise is folded into its weights, which is exact because that
    layer has no padding. ValueError, in one line: a layer is missing, or is no such pair.
    """
    places = {"conv1": "features.0", "conv10": "classifier.1"}
    for fire, place in FIRES.items():
        for part, named in PARTS.items():
            places[f"fire{fire}/{part}"] = f"features.{place}.{named}"
    state: dict[str, Tensor] = {}
    for name, place in places.items():
        kernel, bias = _pair(arrays, name)
        if name == "conv1":
            kernel, bias = _fold_input(kernel, bias)
        state[f"{place}.weight"], state[f"{place}.bias"] = kernel.float(), bias.float()
    return state


def _pair(arrays: Mapping[str, Sequence[np.ndarray]], name: str) -> tuple[Tensor, Tensor]:
    found = arrays.get(name, ())
    if len(found) != 2 or found[0].ndim != 4 or found[1].shape != found[0].shape[3:]:
        raise ValueError(f"its layer {name} is missing or no kernel with a bias")
    kernel, bias = (torch.from_numpy(array.astype(np.float64)) for array in found)
    return kernel.permute(3, 2, 0, 1).contiguous(), bias


def _fold_input(kernel: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """With y torchvision's input, a pixel is 255 (std y + mean)."""
    kernel = kernel.flip(1)  # BGR to RGB
    std, mean = (torch.tensor(each, dtype=torch.float64) for each in (STD, MEAN))
    shift = 255 * mean - torch.tensor(CAFFE_MEAN[::-1], dtype=torch.float64)
    bias = bias + (kernel * shift[:, None, None]).sum((1, 2, 3))
    return kernel * (255 * std)[:, None, None], bias
