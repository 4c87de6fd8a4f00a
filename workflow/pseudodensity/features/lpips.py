"""LPIPS as an extractor: the squared distance of two features is the perceptual distance of two images."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pseudodensity.features.extractor import Extractor
from pseudodensity.features.pretrained import IMAGENET, load_state, read_vgg16, read_weights

# What the squared Euclidean distance of two features is called: it is a measure as it stands.
DISTANCE = "LPIPS"

# Ends of blocks of VGG-16's convolutional part. Images are compared after the rectifier that ends each.
ENDS = (0, 4, 9, 16, 23, 30)
WIDTHS = (64, 128, 256, 512, 512)
EPSILON = 1e-10  # added to the length of a vector
SMALLEST = 16  # pixels of a side: the last comparison is behind four halvings


class Lpips(Extractor):
    """LPIPS v0.1 with VGG-16 (Zhang et al. 2018, equation 1).

    A feature is long: 122 numbers per pixel, 32 MB at 256 px. It serves distances of a few images at a
    time, such as path lengths, and is no space for neighbours of many.
    """

    def __init__(
        self,
        weights: str | None,
        sha256: str | None,
        head_weights: str | None,
        head_sha256: str | None,
        resolution: int = 256,
    ):
        """weights: torchvision's vgg16 (IMAGENET1K_V1) file, its digest sha256. head_weights: the learned
        weights of channels, vgg.pth of LPIPS v0.1, its digest head_sha256. resolution: side of the images
        that the network sees.

        ValueError: as `read_weights`; files that do not fit; a negative weight; a resolution below 16."""
        if resolution < SMALLEST:
            raise ValueError(f"lpips: resolution is {resolution}, and VGG-16 needs {SMALLEST} px")
        sides = [resolution // 2**i for i in range(len(WIDTHS))]
        dim = sum(width * side**2 for width, side in zip(WIDTHS, sides, strict=True))
        # The published shift and scale of LPIPS are ImageNet's mean and deviation on the scale -1..1.
        super().__init__(dim, resolution, **IMAGENET, interpolation="bilinear")
        channels = read_heads(head_weights, head_sha256)
        layers = read_vgg16(weights, sha256).features
        self.blocks = nn.ModuleList(layers[start:stop] for start, stop in pairwise(ENDS))
        for i, (each, side) in enumerate(zip(channels, sides, strict=True)):
            # The mean over positions and the weights of channels, as factors of what is subtracted.
            self.register_buffer(f"factor{i}", (each / side**2).sqrt(), persistent=False)

    def prepare(self, x: Tensor) -> Tensor:
        """Images (n, 3, h, w) in [-1, 1] -> the network's size and normalisation.

        Whole multiples of the size are averaged over blocks, as path lengths are usually measured (Karras et
        al. 2019, their code); other sizes take the project's filter.
        """
        if not (x.shape[-2] % self.size or x.shape[-1] % self.size):
            x = F.interpolate(x, (self.size, self.size), mode="area")
        return super().prepare(x)

    def embed(self, x: Tensor) -> Tensor:
        """Prepared images -> weighted unit vectors of all positions of all layers, (n, dim)."""
        parts = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            lengths = torch.linalg.vector_norm(x, dim=1, keepdim=True)
            parts.append((x / (lengths + EPSILON) * self.get_buffer(f"factor{i}")).flatten(1))
        return torch.cat(parts, dim=1)


def read_heads(path: str | None, sha256: str | None) -> list[Tensor]:
    """Weights of channels (1, C, 1, 1) float32, of one layer after the other.

    ValueError: as `read_weights`; other names or shapes than LPIPS with VGG-16 has; a weight that is
    negative or no number, of which no distance comes.
    """
    source = "LPIPS v0.1's vgg.pth (of the package lpips)"
    state = read_weights(path, sha256, source, ("head_weights", "head_sha256"))
    # Position 0 of the published heads is dropout, which has no weights.
    heads = {
        f"lin{i}": nn.ModuleDict(
            {"model": nn.Sequential(nn.Identity(), nn.Conv2d(width, 1, 1, bias=False))}
        )
        for i, width in enumerate(WIDTHS)
    }
    model = nn.ModuleDict(heads).requires_grad_(False)
    load_state(model, state, path)
    found = dict(model.named_parameters())
    for name, channels in found.items():
        if not (channels >= 0).all():
            raise ValueError(f"{path}: {name} has a weight that is not at least 0: get {source}")
    return list(found.values())
