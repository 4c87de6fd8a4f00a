"""Vendi score: the effective number of different samples, of the fakes alone."""

from collections.abc import Mapping

import numpy as np
import torch

from pseudodensity.feature_sets import as_tensors

NAME = "vendi"
TITLE = "Vendi score"
SOURCE = "Friedman, Dieng 2023, definition 3.1, with cosine similarity"
NEEDS = ("features",)
SCORES = {"vendi": 1}


def prepare(real: Mapping[str, np.ndarray]) -> int:
    """The dimension of the real `features` `(n, d)`: all that this score sees of them.

    ValueError: bad features, or fewer than 2.
    """
    return _unit_rows(real=real["features"]).shape[1]


def score(side: int, fake: Mapping[str, np.ndarray]) -> dict[str, float]:
    """`vendi`: `exp(-sum l log l)` over the eigenvalues l of K / m, in [1, min(m, d)].

    K holds the cosines of the fake `features` `(m, d)`. It grows with m: compare at equal m only,
    and with a row of held-out reals of the same m, because a set of noise is diverse too.
    ValueError: bad features, another d, fewer than 2 fakes, a feature vector of zeros.
    """
    rows = _unit_rows(fake=fake["features"])
    if rows.shape[1] != side:
        raise ValueError(f"real features have {side} dimensions, fake ones {rows.shape[1]}")
    # The smaller of the two products has the same eigenvalues, but for zeros.
    gram = rows.T @ rows if len(rows) > side else rows @ rows.T
    values = torch.linalg.eigvalsh(gram / len(rows)).clamp(min=0)
    return {"vendi": torch.special.entr(values).sum().exp().item()}


def _unit_rows(**features: np.ndarray) -> torch.Tensor:
    (rows,) = as_tensors(**features)
    (whose,) = features
    if len(rows) < 2:
        raise ValueError(f"the Vendi score needs 2 or more {whose} samples, got {len(rows)}")
    rows = rows.double()
    lengths = rows.norm(dim=1, keepdim=True)
    if not lengths.all():
        raise ValueError(f"{whose} features hold a row of zeros, which has no direction: drop it")
    return rows / lengths
