"""Random streams that depend on names and indices, never on batches, devices or call order.

A sample keeps its number for ever: the latent of sample ``i`` is the same whether it is drawn
alone, in a batch of 500 or on the third of eight shards. A training step keeps its draws as
well, which is what makes a killed run resume to the same weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import torch

__all__ = ["generator", "normal", "numpy_generator", "seed_layers", "uniform"]


def _key(seed: int, names: Iterable[object]) -> int:
    text = "/".join([str(int(seed)), *map(str, names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")


def generator(seed: int, *names: object) -> torch.Generator:
    """A CPU ``torch.Generator`` for the stream called ``names`` of ``seed``."""
    return torch.Generator().manual_seed(_key(seed, names) % 2**63)


def seed_layers(stream: torch.Generator, device: str | torch.device) -> None:
    """Seed torch's own generator of ``device``, the only one that layers can draw from, by a draw
    of ``stream``. ``torch.manual_seed`` would do it for all devices, at a hundred times the cost.
    """
    seed = int(torch.randint(2**31, (), generator=stream))
    if torch.device(device).type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def numpy_generator(seed: int, *names: object) -> np.random.Generator:
    """A ``numpy.random.Generator`` for the stream called ``names`` of ``seed``."""
    return np.random.Generator(np.random.Philox(key=_key(seed, names)))


def _sample_streams(seed: int, name: str, indices: Sequence[int] | np.ndarray):
    key = _key(seed, (name,))
    for index in indices:
        # The last counter word is out of reach of the draws, so streams cannot overlap.
        yield np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, int(index)]))


def normal(
    seed: int, name: str, indices: Sequence[int] | np.ndarray, shape: Sequence[int]
) -> torch.Tensor:
    """Standard normal rows ``(len(indices), *shape)`` float32; row j depends on
    ``(seed, name, indices[j])`` only."""
    out = np.empty((len(indices), *shape), dtype=np.float32)
    for row, stream in zip(out, _sample_streams(seed, name, indices), strict=True):
        row[...] = stream.standard_normal(tuple(shape), dtype=np.float32)
    return torch.from_numpy(out)


def uniform(
    seed: int, name: str, indices: Sequence[int] | np.ndarray, shape: Sequence[int] = ()
) -> torch.Tensor:
    """Uniform [0, 1) rows ``(len(indices), *shape)`` float64, one stream per index."""
    out = np.empty((len(indices), *shape), dtype=np.float64)
    for position, stream in enumerate(_sample_streams(seed, name, indices)):
        out[position] = stream.random(tuple(shape))
    return torch.from_numpy(out)
