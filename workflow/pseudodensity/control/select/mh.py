"""Metropolis-Hastings GAN: an independence chain over proposals, by a discriminator's density ratio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudodensity.control.auxiliary.ratio import why_not
from pseudodensity.control.choice import Choice, Point, Pool
from pseudodensity.control.select.ratio import block_choice, burn_in_of, tuned_logits

__all__ = ["choose", "column_settings", "label", "points", "proposals", "why_not"]

NAME = "mh"
TITLE = "MH-GAN"
PAPER = "003"
SOURCE = "section 2.2; Turner et al. 2019, algorithm 1"
NEEDS = ("logits",)
POOL = "model"
# calibration: of logits to density ratios, see `Calibration.fit`; isotonic as in its paper.
DEFAULTS = {"calibration": "isotonic"}
CHOICES = {"calibration": ["isotonic", "logistic"]}
# chain: proposals of a chain, whose last state is the output; K = 640 in its paper.
GRID = {"chain": [10]}
LIMITS = {"chain": (1, 100_000)}
PAPER_CHAIN = 640

column_settings = tuned_logits


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """One point per length of the chain."""
    return [{"method": NAME, "chain": k, **settings} for k in grid["chain"]]


def label(point: Point) -> str:
    """With its K."""
    return f"MH-GAN, K = {point['chain']}"


def proposals(point: Point, images: int, repeats: int) -> int:
    """Its chains, and a burn-in of one repeat that calibrates and starts them."""
    return images * (1 + point["chain"] * repeats)


def choose(pool: Pool, point: Point, images: int, repeats: int) -> Choice:
    """Each output is the last state of a chain of its own, which starts at a real image's ratio.

    A chain that never leaves the real image starts again at a proposal, so no real image is returned.
    """
    import torch

    from pseudodensity.control.select.discriminator import calibrated_ratios
    from pseudodensity.control.select.schemes import metropolis
    from pseudodensity.rng import generator as stream_of

    start, length = burn_in_of(pool, images), point["chain"]
    found = calibrated_ratios(pool.column("logits"), start, point["calibration"])
    count = min((len(pool) - start) // length, images * repeats)
    stream = stream_of(pool.seed, "mh")
    # With replacement: chains may be more than real images.
    first = found.reals[torch.randint(len(found.reals), (count,), generator=stream)]
    proposed, note = found.proposals[start : start + count * length], found.note
    chosen = metropolis(proposed, length, stream, first)
    if length < PAPER_CHAIN:
        note += f"; chains shorter than the {PAPER_CHAIN} of its paper"
    return block_choice(chosen, length, start, images, repeats, note)
