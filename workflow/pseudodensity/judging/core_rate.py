"""How fast one core of this machine works through convolutions."""

from __future__ import annotations

import time

import torch
from torch.nn import functional

__all__ = ["core_rate"]

CHANNELS, SIDE, BATCH, KERNEL = 256, 32, 8, 3


def core_rate(tries: int = 5) -> float:
    """Operations in a second (two for a multiplication with its sum) of a 3 x 3 convolution on one core, the best of
    some tries."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        images = torch.randn(BATCH, CHANNELS, SIDE, SIDE)
        weight = torch.randn(CHANNELS, CHANNELS, KERNEL, KERNEL)
        best = min(_seconds(images, weight) for _ in range(tries))
    finally:
        torch.set_num_threads(threads)
    return 2 * BATCH * SIDE * SIDE * CHANNELS * CHANNELS * KERNEL**2 / best


def _seconds(images: torch.Tensor, weight: torch.Tensor) -> float:
    start = time.perf_counter()
    functional.conv2d(images, weight, padding=KERNEL // 2)
    return time.perf_counter() - start
