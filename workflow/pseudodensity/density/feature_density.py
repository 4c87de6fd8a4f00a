"""How likely a feature vector is: what the search for rare samples goes down (papers/004, sections 3.2 and B.2).

Features are standardised by those of real images. There a density is learned, of one of two kinds: a
`Gaussian`, or a `Flow`, which begins as that Gaussian. `control/train/feature_density.py` fits them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pseudodensity.density.flow import Flow
from pseudodensity.density.gaussian import Gaussian
from pseudodensity.feature_sets import as_tensors
from pseudodensity.rng import generator
from pseudodensity.tensors import load_tensors, save_tensors

__all__ = ["FeatureDensity", "Shares", "compare", "rows_of_shares", "split"]

SPEC = {"kind": "feature_density", "format": 1}
KINDS = {"flow": Flow, "gaussian": Gaussian}
FEWEST = 2  # rows of each share: one has neither a spread nor an error
BATCH = 1000  # rows that are looked at at once


class FeatureDensity(nn.Module):
    """A density of features (n, d); it computes in float32.

    law: of standardised features. report: of the fit, JSON-able. centre, scale: (d,) float32, mean and
    standard deviation of the real features. A feature that does not vary among them keeps its own unit.
    """

    def __init__(self, law: Gaussian, report: Mapping[str, Any]):
        """The scaler leaves features as they are until `start` or `load` set it."""
        super().__init__()
        self.law, self.report = law, dict(report)
        self.register_buffer("centre", torch.zeros(self.dimensions))
        self.register_buffer("scale", torch.ones(self.dimensions))

    @classmethod
    def start(cls, law: Gaussian, features: Tensor) -> FeatureDensity:
        """Fit scaler and Gaussian to real features (n, d). A Gaussian is complete then, a flow is as good
        as one. ValueError: they do not vary at all."""
        density, wide = cls(law, {}), features.double()
        varies = wide.amax(0) > wide.amin(0)
        density.centre.copy_(wide.mean(0))
        density.scale.copy_(wide.std(0, correction=0).where(varies, 1.0))
        law.fit_gaussian(density.standardised(features))
        return density

    @property
    def dimensions(self) -> int:
        """d."""
        return self.law.settings["dimensions"]

    @property
    def kind(self) -> str:
        """``flow`` or ``gaussian``."""
        return next(kind for kind, law in KINDS.items() if type(self.law) is law)

    def as_gaussian(self) -> FeatureDensity:
        """The Gaussian that a flow began as, of the same features; of a Gaussian a copy."""
        law = Gaussian(self.dimensions)
        state = self.law.state_dict()
        law.load_state_dict({name: state[name] for name in law.state_dict()})
        density = FeatureDensity(law, self.report)
        density.centre.copy_(self.centre)
        density.scale.copy_(self.scale)
        return density.to(self.centre.device)

    def standardised(self, features: Tensor) -> Tensor:
        """Features (n, d) in standard deviations of the real ones, from their mean, float32. Distances of the
        search are meant in this unit: its weights then mean the same for every extractor."""
        return (features.float() - self.centre) / self.scale

    def log_density(self, features: Tensor) -> Tensor:
        """Log-density (n,) float32 of features (n, d), differentiable in them. In nats, per unit volume of the
        features as they are given; `log_volume` more is per volume of standardised ones.

        ValueError: another number of dimensions, NaN or infinity.
        """
        as_tensors(features=features)  # only to refuse what is none
        if features.shape[1] != self.dimensions:
            raise ValueError(
                f"the density was fitted on {self.dimensions}-d features and got {features.shape[1]}-d ones: "
                "take features of the same extractor"
            )
        return self.law.log_density(self.standardised(features)) - self.log_volume

    @property
    def log_volume(self) -> float:
        """Logarithm of the volume, in units of the features, of a cube of standard deviations."""
        return self.scale.double().log().sum().item()

    @property
    def facts(self) -> dict[str, Any]:
        """What a file says of it beside its weights."""
        return {"kind": self.kind, "law": self.law.settings, "report": self.report}

    def save(self, path: Path | str, spec: Mapping[str, Any] = SPEC) -> None:
        """Write weights, settings and report to one safetensors file. spec: what defines it."""
        save_tensors(path, self.state_dict(), spec, self.facts)

    @classmethod
    def load(cls, path: Path | str, spec: Mapping[str, Any] | None = SPEC) -> FeatureDensity:
        """Read what `save` wrote, frozen; the densities are bit-identical. ArtifactError for other files.

        spec: that the file has; None for any.
        """
        tensors, meta = load_tensors(path, spec)
        density = cls(KINDS[meta["kind"]](**meta["law"]), meta["report"])
        density.load_state_dict(tensors)
        return density.requires_grad_(False)


@dataclass(frozen=True)
class Shares:
    """Real features, each (n, d) float32: ``learned`` from; ``stopping``, that say when to stop; ``held_out``,
    which no fit has seen."""

    learned: Tensor
    stopping: Tensor
    held_out: Tensor


def split(features: np.ndarray | Tensor, share: float, seed: int) -> Shares:
    """Share out real features (n, d) as `rows_of_shares` says.

    ValueError: NaN or infinity, also where float32 has no room; too few rows for the share.
    """
    checked = as_tensors(features=features)[0].float()
    (checked,) = as_tensors(features=checked)  # a float64 may be beyond float32
    return Shares(*(checked[rows] for rows in rows_of_shares(len(checked), share, seed)))


def rows_of_shares(count: int, share: float, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Rows, int64, of `count` real features in each of `Shares`, shared out by chance. share: of the rows, to
    stop by, and as many to be held out. ValueError: too few rows for the share."""
    part = int(share * count)
    if part < FEWEST or count - 2 * part < FEWEST:
        raise ValueError(
            f"a share of {share:g} of {count} real features, twice, leaves no {FEWEST} rows to each part "
            "of the fit of a density: give more images, or another held_out"
        )
    order = torch.randperm(count, generator=generator(seed, "shares of real features"))
    stopping, held_out, learned = order.split([part, part, count - 2 * part])
    return learned.sort().values, stopping, held_out


@torch.no_grad()
def compare(density: FeatureDensity, shares: Shares) -> dict[str, Any]:
    """How likely both kinds find real features, in nats of `FeatureDensity.log_density`.

    Returns: ``learned`` and ``held_out``, mean log-density by kind; ``gain``, mean difference of the density
    to its Gaussian on held-out features, with ``gain_error``, its standard error over them; ``log_volume``.
    """
    found: dict[str, Any] = {"learned": {}, "held_out": {}, "log_volume": density.log_volume}
    logs = {}
    for law in (density.as_gaussian(), density):
        logs[law.kind] = _log_densities(law, shares.held_out)
        found["held_out"][law.kind] = logs[law.kind].mean().item()
        found["learned"][law.kind] = _log_densities(law, shares.learned).mean().item()
    gains = logs[density.kind] - logs["gaussian"]
    error = gains.std().item() / math.sqrt(len(gains))
    return found | {"gain": gains.mean().item(), "gain_error": error}


def _log_densities(density: FeatureDensity, features: Tensor) -> Tensor:
    return torch.cat([density.log_density(part).double() for part in features.split(BATCH)])
