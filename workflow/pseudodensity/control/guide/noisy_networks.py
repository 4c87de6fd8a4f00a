"""Networks that look at noisy images and know how noisy they are: an embedder, and a classifier of real
against generated images (papers/002, section 4 and appendix A.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pixel_unshuffle, silu

from pseudodensity.generators.denoiser import folded_size
from pseudodensity.generators.unet import DownLevel, TimeEmbedding, UNetShape

__all__ = ["HeldOutAccuracy", "NoisyEmbedder", "NoisyEncoder", "RealClassifier", "at_time"]

COARSEST = 4  # side of the map that features are made of, at most
STANDARD_ERRORS = 3  # above one half that an accuracy must be
# Nats by which a loss must be worse than knowing nothing on held-out images, and better on others, to overfit.
MARGIN = 0.05


class NoisyEncoder(nn.Module):
    """The way down of a U-Net that is told the time, a layer of features, and a linear head.

    Args:
        resolution: of the images. patch: side of the pixel blocks folded into channels before it.
        channels, blocks, attention_levels, norm_groups, dropout: as of `UNetShape`.
        features: k. outputs: of the head.

    ValueError: what cannot be built.
    """

    def __init__(
        self,
        resolution: int,
        *,
        patch: int,
        channels: Sequence[int],
        blocks: int,
        attention_levels: Sequence[int],
        norm_groups: int,
        dropout: float,
        features: int,
        outputs: int,
    ):
        super().__init__()
        shape = UNetShape(
            size=folded_size(resolution, patch),
            patch=patch,
            flavour="adm",
            channels=channels,
            blocks=blocks,
            attention_levels=attention_levels,
            head_channels=None,
            norm_groups=norm_groups,
            dropout=dropout,
        )
        self.patch, widths = patch, list(channels)
        self.conv_in = nn.Conv2d(shape.inputs, widths[0], 3, padding=1)
        self.time_embedding = TimeEmbedding(widths[0])
        self.down_blocks = nn.ModuleList()
        width = widths[0]
        for level, outputs_of_level in enumerate(widths):
            inputs = [width, *[outputs_of_level] * blocks][:blocks]
            attends, last = level in attention_levels, level == len(widths) - 1
            self.down_blocks.append(DownLevel(shape, inputs, outputs_of_level, attends, last))
            width = outputs_of_level
        side = shape.size // 2 ** (len(widths) - 1)
        self.pooling = max(1, side // COARSEST)
        self.norm = nn.GroupNorm(norm_groups, width)
        self.dropout = nn.Dropout(dropout)
        self.embed = nn.Linear(width * (side // self.pooling) ** 2, features)
        self.head = nn.Linear(features, outputs)

    def features(self, x: Tensor, times: Tensor) -> Tensor:
        """Noisy images x (n, 3, R, R), their times (n,) from 0 to 1000, or (1,) for all -> (n, k)."""
        time = self.time_embedding(times)
        x = self.conv_in(pixel_unshuffle(x, self.patch))
        for level in self.down_blocks:
            x = level(x, time)[-1]
        x = avg_pool2d(silu(self.norm(x)), self.pooling).flatten(1)
        return silu(self.embed(self.dropout(x)))

    def forward(self, x: Tensor, times: Tensor) -> Tensor:
        """As :meth:`features`, -> outputs of the head (n, outputs)."""
        return self.head(self.features(x, times))


def at_time(values: Tensor, times: Tensor, time: float | Tensor) -> Tensor:
    """Values (a, ...) known at rising times (a,), between them by straight lines, beyond as at the ends."""
    time = min(max(float(time), float(times[0])), float(times[-1]))
    after = int(torch.searchsorted(times, time, right=True).clamp(max=len(times) - 1))
    before = max(0, after - 1)
    stretch = float(times[after] - times[before])
    share = (time - float(times[before])) / stretch if stretch else 0.0
    return torch.lerp(values[before], values[after], share)


@dataclass(frozen=True)
class NoisyEmbedder:
    """The embedder f with the class means of its features at every time.

    network: frozen, in eval mode; its head gives the logits of the classes. anchors: rising times (a,).
    anchor_means: (a, c, k), of noised training images at these times. resolution: of the images.
    """

    network: NoisyEncoder
    anchors: Tensor
    anchor_means: Tensor
    resolution: int

    def features(self, x: Tensor, time: Tensor) -> Tensor:
        """Features (n, k) of noisy images x (n, 3, R, R) at a time () from 0 to 1000."""
        return self.network.features(x, time.reshape(1))

    def head(self, features: Tensor) -> Tensor:
        """Logits of the classes (n, c) of features (n, k)."""
        return self.network.head(features)

    def means(self, time: Tensor) -> Tensor:
        """Means of the classes (c, k) at a time (), between the anchors by straight lines."""
        return at_time(self.anchor_means, self.anchors, time)


@dataclass(frozen=True)
class HeldOutAccuracy:
    """How often a classifier of two kinds was right on images that it did not learn from.

    times: rising (l,). shares: of right answers at each time (l,). images: of both kinds, at each time.
    loss, learnt_loss: cross-entropy in nats at each time (l,), on these images and on some that it learned
    from; without both nobody can say whether it overfits.
    """

    times: Tensor
    shares: Tensor
    images: int
    loss: Tensor | None = None
    learnt_loss: Tensor | None = None

    @property
    def chance(self) -> float:
        """What an accuracy must exceed: one half and three of its standard errors."""
        return 0.5 + STANDARD_ERRORS * math.sqrt(0.25 / self.images)

    def above_chance(self, time: float | Tensor) -> bool:
        """Whether it is at a time, between the measured ones by straight lines."""
        return float(at_time(self.shares, self.times, time)) > self.chance

    def ever_above_chance(self) -> bool:
        """Whether it is at any of the measured times."""
        return bool((self.shares > self.chance).any())

    def refusal(self) -> str | None:
        """Why its gradient means nothing and must not steer, in one line; None where it may.

        It learned its images by heart, and leads away from the data (arXiv 2503.16117), or it is never
        above chance.
        """
        if self._overfits():
            return (
                f"the real/synthetic classifier overfits: its loss is {self.loss.mean():.2f} on held-out images "
                f"and {self.learnt_loss.mean():.2f} on those it learned from, where knowing nothing has 0.69: "
                "lower auxiliaries.real_classifier.iterations, or raise its weight_decay, dropout or images"
            )
        if self.ever_above_chance():
            return None
        low, high = float(self.shares.min()), float(self.shares.max())
        return (
            f"the real/synthetic classifier cannot steer: it is right on {low:.2f} to {high:.2f} of held-out "
            f"images at every noise level, where chance reaches {self.chance:.2f}: set its strength to 0, or "
            "train it longer"
        )

    def refuse_ignorance(self) -> None:
        """ValueError: that of `refusal`, if there is one."""
        reason = self.refusal()
        if reason:
            raise ValueError(reason)

    def _overfits(self) -> bool:
        if self.loss is None or self.learnt_loss is None:
            return False
        nothing = math.log(2)
        worse = float(self.loss.mean()) > nothing + MARGIN
        return worse and float(self.learnt_loss.mean()) < nothing - MARGIN


@dataclass(frozen=True)
class RealClassifier:
    """The classifier H' of real against generated images, with what it is worth at every time.

    network: frozen, in eval mode, with one output. accuracy: held out. resolution: of the images.
    """

    network: NoisyEncoder
    accuracy: HeldOutAccuracy
    resolution: int

    def logit(self, x: Tensor, time: Tensor) -> Tensor:
        """(n,) of noisy images x (n, 3, R, R) at a time () from 0 to 1000: the log-ratio of the densities
        of real and generated images at its optimum, H'_synthetic - H'_real in the paper's terms."""
        return self.network(x, time.reshape(1))[:, 0]
