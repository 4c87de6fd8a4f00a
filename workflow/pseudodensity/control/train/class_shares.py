"""How often each class comes, for the trainers of models with classes."""

from __future__ import annotations

import torch

__all__ = ["class_shares"]


def class_shares(numbers: torch.Tensor, count: int, weights: torch.Tensor | None) -> torch.Tensor:
    """Shares (count,) float64 of the classes among images of classes ``numbers`` (n,) int64, by their
    importance weights (n,) where there are some."""
    own = torch.ones(len(numbers)) if weights is None else weights.cpu()
    shares = torch.bincount(numbers, own.double(), minlength=count)
    return shares / shares.sum()
