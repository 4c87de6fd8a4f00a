"""What the methods share that weigh images by the density ratio of a discriminator that was taught it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pseudodensity.control.choice import Choice, Point, Pool, stretches

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["block_choice", "burn_in_of", "tuned_logits"]


def tuned_logits(point: Point) -> dict[str, dict[str, Any]]:
    """`column_settings`: the logits of the auxiliary network "ratio"."""
    return {"logits": {"auxiliary": "ratio"}}


def burn_in_of(pool: Pool, images: int) -> int:
    """Proposals that calibrate and are not sampled from: one repeat, or half of a small pool."""
    return min(images, len(pool) // 2)


def block_choice(
    chosen: Tensor, length: int, start: int, images: int, repeats: int, note: str
) -> Choice:
    """A choice of one proposal out of each block.

    Args:
        chosen: (blocks,) int64, within the proposals from `start` on.
        length: proposals of a block. start: proposals that were spent on calibration.
    """
    taken, _ = stretches(chosen.numpy() + start, images, repeats)
    blocks = len(taken) * images or len(chosen)
    used = start + blocks * length
    return Choice(taken, used, 1 / length, 1 / length, note=note)
