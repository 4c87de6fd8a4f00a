"""A batch that is worked through in equal parts, so that the graph of only one of them is held at a time.

The gradients of the parts add up to that of the whole batch, but for what compares its images.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ["buffers_put_back", "size_of_part"]


def size_of_part(batch_size: int, parts: int) -> int:
    """Images of each of so many parts of a batch. ValueError: they are not equal."""
    if parts < 1 or batch_size % parts:
        raise ValueError(
            f"accumulate is {parts}, which does not divide a batch of {batch_size} into equal parts: "
            "give a divisor of it"
        )
    return batch_size // parts


@contextmanager
def buffers_put_back(module: nn.Module) -> Iterator[None]:
    """Afterwards the buffers of a module are what they were, so that a second pass over the same parts
    meets what the first one met, and running statistics move once. A graph made inside is not to be used
    afterwards."""
    before = [buffer.clone() for buffer in module.buffers()]
    yield
    with torch.no_grad():
        for buffer, value in zip(module.buffers(), before, strict=True):
            buffer.copy_(value)
