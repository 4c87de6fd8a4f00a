"""When a guide acts: most of a push falls where images are nearly all noise, and hurts there
(Kynkaanniemi et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ALWAYS", "Interval"]


@dataclass(frozen=True)
class Interval:
    """Times from low to high, both with it, on the network's clock of 0 (images) to 1000 (noise).

    ValueError: no such stretch of time.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 1000:
            raise ValueError(
                "guidance acts between two times from 0 to 1000, the lower one first, got "
                f"{self.low:g} and {self.high:g}"
            )

    def holds(self, time: float | Tensor) -> bool:
        """Whether a time lies in it."""
        return self.low <= float(time) <= self.high


ALWAYS = Interval(0, 1000)
