"""What a rare search keeps of all that it passes through: the best feasible iterate, or the start."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

__all__ = ["Best", "Iterate", "Select"]

Select = Literal["per_sample", "joint"]


class Iterate(NamedTuple):
    """All samples at one step: latents (r, n, *shape), features (r, n, d), log_density (r, n), steps."""

    latents: Tensor
    features: Tensor
    log_density: Tensor
    steps: Tensor

    def where(self, chosen: Tensor, other: Iterate) -> Iterate:
        """These where chosen (r, n), else those of another."""
        pairs = zip(self, other, strict=True)
        wide = lambda x: chosen.view(*chosen.shape, *[1] * (x.ndim - 2))
        return Iterate(*(torch.where(wide(mine), mine, its) for mine, its in pairs))


class Best:
    """The best of the iterates offered so far: `kept` (the start where none was feasible) and `found`.

    See `rare_search.Settings` for what is best.
    """

    def __init__(self, start: Iterate, select: Select) -> None:
        self.start, self.kept, self.joint = start, start, select == "joint"
        self.found = torch.zeros_like(start.steps, dtype=torch.bool)
        self.losses = torch.full_like(start.log_density, torch.inf)

    def offer(self, iterate: Iterate, losses: Tensor, feasible: Tensor) -> None:
        """Keep it where it is feasible (r, n) and its losses (r, n) are the lowest."""
        if self.joint:
            better = self._better_together(losses, feasible)
            self.kept = self.start.where(better, self.kept)
            self.found &= ~better
            self.losses = self.losses.masked_fill(better, torch.inf)
            feasible = better & feasible
        better = feasible & (losses < self.losses)
        self.kept = iterate.where(better, self.kept)
        self.found |= better
        self.losses = torch.where(better, losses, self.losses)

    def _better_together(self, losses: Tensor, feasible: Tensor) -> Tensor:
        """(r, n) bool, alike for all samples of a reference."""
        total = losses.masked_fill(~feasible, 0).sum(1)
        before = self.losses.masked_fill(~self.found, 0).sum(1)
        count, kept = feasible.sum(1), self.found.sum(1)
        better = (count > kept) | ((count == kept) & (total < before))
        return better[:, None].expand_as(feasible)
