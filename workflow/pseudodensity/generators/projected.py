"""The projected discriminator of ProjectedGAN (Sauer et al. 2021).

Images pass through a frozen feature network; random frozen 1 x 1 convolutions mix its maps across
channels (CCM) and, from coarse to fine, across scales (CSM, Section 3.2). One small discriminator
per mixed map gives hinge logits. Only these heads are trained. Modules carry the names of the
published checkpoints; :func:`public_key` tells the remaining differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from pseudodensity.generators import fastgan
from pseudodensity.generators.discriminator import StagedDiscriminator

__all__ = ["ProjectedDiscriminator", "build_discriminator", "public_key"]

# Where the published checkpoints keep the stages of the EfficientNet-Lite0.
PRETRAINED = {
    "conv_stem": "layer0.0",
    "bn1": "layer0.1",
    "blocks.0": "layer0.3",
    "blocks.1": "layer0.4",
    "blocks.2": "layer1.0",
    "blocks.3": "layer2.0",
    "blocks.4": "layer2.1",
    "blocks.5": "layer3.0",
    "blocks.6": "layer3.1",
}


def public_key(name: str) -> str:
    """Name in a published checkpoint of our state-dict entry ``name``."""
    prefix = "feature_network.pretrained."
    for ours, public in PRETRAINED.items():
        if name.startswith(f"{prefix}{ours}."):
            return f"{prefix}{public}{name[len(prefix + ours) :]}"
    return fastgan.public_key(name)


class FusionBlock(nn.Module):
    """Adds the finer map, doubles the size, mixes the channels by a 1 x 1 convolution.

    The mixing comes first: it commutes with interpolation and has a quarter of the pixels there.
    """

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.out_conv = nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, coarse: torch.Tensor | None, fine: torch.Tensor) -> torch.Tensor:
        x = fine if coarse is None else coarse + fine
        return F.interpolate(self.out_conv(x), scale_factor=2, mode="bilinear", align_corners=True)


class RandomProjection(nn.Module):
    """Frozen features ``[(n, c_i, s_i, s_i)]``, fine to coarse, mixed across channels and scales.

    The feature network is called through its method ``pyramid`` if it has one. It stays in
    evaluation mode, and nothing in here is trained; gradients do pass to the images. The mixing
    weights are random, so a fine-tuned discriminator must load them, never draw them again.
    """

    def __init__(self, backbone: nn.Module, resolution: int, width: int, input_size: int):
        super().__init__()
        self.pretrained = backbone.eval()
        self.input_size = input_size
        shapes = [tuple(x.shape[1:]) for x in self._features(_blank_image(backbone, resolution))]
        for (_, fine, _), (_, coarse, _) in pairwise(shapes):
            if fine != 2 * coarse:
                raise ValueError(
                    "the projected discriminator needs a feature network whose maps halve from "
                    f"one to the next, not {[shape[1] for shape in shapes]}"
                )
        levels = len(shapes)
        mixed = [width * 2**i for i in range(levels)]
        self.channels = [width, *mixed[:-1]]
        self.sizes = [2 * size for _, size, _ in shapes]
        self.scratch = nn.Module()
        for i, (channels, _, _) in enumerate(shapes):
            self.scratch.add_module(f"layer{i}_ccm", nn.Conv2d(channels, mixed[i], 1))
        for i in range(levels):
            self.scratch.add_module(f"layer{i}_csm", FusionBlock(mixed[i], self.channels[i]))
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> RandomProjection:
        return super().train(False)

    def _features(self, images: torch.Tensor) -> list[torch.Tensor]:
        if images.shape[-1] < self.input_size:
            images = F.interpolate(images, self.input_size, mode="bilinear", align_corners=False)
        network = self.pretrained
        return network.pyramid(images) if hasattr(network, "pyramid") else network(images)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """``(n, 3, R, R)`` in [-1, 1] -> mixed maps, fine to coarse."""
        mixed, x = [], None
        for i, features in reversed(list(enumerate(self._features(images)))):
            x = self.scratch.get_submodule(f"layer{i}_csm")(
                x, self.scratch.get_submodule(f"layer{i}_ccm")(features)
            )
            mixed.insert(0, x)
        return mixed


def _blank_image(module: nn.Module, resolution: int) -> torch.Tensor:
    example = next(module.parameters())
    return torch.zeros(1, 3, resolution, resolution, device=example.device, dtype=example.dtype)


class DownBlock(nn.Module):
    """Halves the map: 4 x 4 convolution of stride 2, batch normalisation, leaky ReLU."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.main = nn.Sequential(
            spectral_norm(nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1)),
            nn.BatchNorm2d(channels_out),
            nn.LeakyReLU(0.2),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.main(x)


class Head(nn.Module):
    """One mixed map ``(n, channels, size, size)`` -> a map of logits ``(n, 1, m, m)``.

    It halves the map down to ``end``; its channels double as it does, from ``width`` at 64 x 64
    to ``8 * width`` at 8 x 8.
    """

    def __init__(self, channels: int, size: int, width: int, end: int):
        super().__init__()
        layers = []
        while size > end:
            size //= 2
            following = width * min(8, max(1, 64 // size))
            layers.append(DownBlock(channels, following))
            channels = following
        kernel = min(4, size)
        layers.append(spectral_norm(nn.Conv2d(channels, 1, kernel, bias=False)))
        self.main = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.main(x)


class ProjectedDiscriminator(StagedDiscriminator):
    """Images ``(n, 3, R, R)`` float32 in [-1, 1] -> hinge logits of all heads ``(n, m)``.

    In ``train()`` the batch normalisation of the heads couples the batch: real and fake images
    go through in calls of their own. Augmentation is the trainer's.

    Args:
        backbone: frozen network, images -> maps from fine to coarse, each half the one before.
        resolution: R.
        width: channels of the finest mixed map; 64 in ProjectedGAN.
        head_end: side of the map that a head turns into logits; 8 in ProjectedGAN.
        input_size: smaller images are enlarged to this side first; 224 in ProjectedGAN.

    Raises:
        ValueError: if the maps of the backbone do not halve.
    """

    def __init__(
        self,
        backbone: nn.Module,
        resolution: int,
        width: int = 64,
        head_end: int = 8,
        input_size: int = 224,
    ):
        super().__init__()
        self.feature_network = RandomProjection(backbone, resolution, width, input_size)
        maps = zip(self.feature_network.channels, self.feature_network.sizes, strict=True)
        heads = {
            str(i): Head(channels, size, width, head_end) for i, (channels, size) in enumerate(maps)
        }
        self.discriminator = nn.Module()
        self.discriminator.mini_discs = nn.ModuleDict(heads)

    def head(self) -> nn.Module:
        """All that is trained at any time: the heads."""
        return self.discriminator

    def features(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Mixed maps, fine to coarse: nothing on the way to them is trained."""
        return self.feature_network(images)

    def judge(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Logits ``(n, m)`` of all heads, each on its map."""
        heads = self.discriminator.mini_discs.values()
        return torch.cat([head(x).flatten(1) for head, x in zip(heads, features, strict=True)], 1)


def build_discriminator(
    resolution: int,
    backbone: nn.Module | None = None,
    features: dict | None = None,
    width: int = 64,
    head_end: int = 8,
    input_size: int = 224,
) -> ProjectedDiscriminator:
    """A :class:`ProjectedDiscriminator` on a ready ``backbone``, or on the timm network that
    ``features`` names: ``{kind: timm, name: tf_efficientnet_lite0, weights: file}`` with
    ``weights`` a safetensors file of timm's own names, or null for random weights.

    Raises:
        ValueError: if neither or both are given, on another kind, on weights that do not fit.
    """
    if (backbone is None) == (features is None):
        raise ValueError("the projected discriminator takes either a backbone or features")
    if backbone is None:
        backbone = _timm_backbone(**features)
    discriminator = ProjectedDiscriminator(backbone, resolution, width, head_end, input_size)
    return discriminator.to(memory_format=torch.channels_last)


def _timm_backbone(kind: str, name: str, weights: str | Path | None = None) -> nn.Module:
    if kind != "timm":
        raise ValueError(f"features of kind {kind!r} must come as a ready backbone, not by name")
    network = timm.create_model(name, features_only=True, out_indices=(1, 2, 3, 4))
    if weights is not None:
        stored = load_file(weights)
        missing = sorted(set(network.state_dict()) - set(stored))
        if missing:
            raise ValueError(f"{weights} holds no {missing[0]}: it is no checkpoint of {name}")
        # The file also holds the classifier, which a feature network lacks.
        network.load_state_dict({key: stored[key] for key in network.state_dict()})
    return network
