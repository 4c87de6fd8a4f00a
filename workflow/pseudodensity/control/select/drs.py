"""Discriminator rejection sampling (Azadi et al. 2019), and as the main paper ran it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudodensity.control.auxiliary.ratio import why_not
from pseudodensity.control.choice import (
    Choice,
    Point,
    Pool,
    accepted_stretches,
    proposals_for,
)
from pseudodensity.control.select.ratio import burn_in_of, tuned_logits

__all__ = ["choose", "column_settings", "label", "points", "proposals", "why_not"]

NAME = "drs"
TITLE = "DRS"
PAPER = "000"
SOURCE = "figure 6; Azadi et al. 2019, section 3.2"
NEEDS = ("logits",)
POOL = "model"
# gamma_percentile: of the variant "shifted", the setting for images of Azadi et al. acceptance: what the
# pool is drawn for; exact sampling accepts one in M, and then repeats are missing. calibration: see
# `Calibration.fit`.
DEFAULTS = {"gamma_percentile": 80.0, "acceptance": 0.2, "calibration": "isotonic"}
CHOICES = {"calibration": ["isotonic", "logistic"]}
LIMITS = {"acceptance": (0.001, 1), "gamma_percentile": (0, 100)}
VARIANTS = {
    "paper": "setting of the paper",
    "exact": "calibrated",
    "shifted": "calibrated, gamma shifted",
}
GRID = {"variants": ["paper", "exact", "shifted"]}
PAPER_BATCH = 4  # of the main paper's code; gamma is a percentile of each batch


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """One point per variant."""
    return [{"method": NAME, "variant": variant, **settings} for variant in grid["variants"]]


def column_settings(point: Point) -> dict[str, dict[str, Any]]:
    """The logits of a discriminator that was taught the ratio, as its paper asks; the main paper took those
    that the GAN left."""
    return {} if point["variant"] == "paper" else tuned_logits(point)


def label(point: Point) -> str:
    """With the variant."""
    shift = f" at {point['gamma_percentile']:g} %" if point["variant"] == "shifted" else ""
    return f"DRS, {VARIANTS[point['variant']]}{shift}"


def proposals(point: Point, images: int, repeats: int) -> int:
    """For the acceptance of the settings, and a burn-in of one repeat."""
    return images + proposals_for(point["acceptance"], images * repeats)


def choose(pool: Pool, point: Point, images: int, repeats: int) -> Choice:
    """Rejection by the discriminator's density ratio, or by its raw logits as the paper did it."""
    import torch

    from pseudodensity.control.select.discriminator import (
        calibrated_ratios,
        drs_log_acceptance,
        paper_drs_log_acceptance,
    )
    from pseudodensity.rng import generator as stream_of

    stream = stream_of(pool.seed, "drs")
    if point["variant"] == "paper":
        logits = torch.from_numpy(pool.values("logits")).double()
        whole = len(logits) // PAPER_BATCH * PAPER_BATCH
        chances = paper_drs_log_acceptance(logits[:whole], batch=PAPER_BATCH)
        note = "raw logits, log M = 29.34, percentile 0.95 of 100, batches of 4"
        return accepted_stretches(chances, stream, images, repeats, note=note)
    burn_in = burn_in_of(pool, images)  # it sets the maximum too
    found = calibrated_ratios(pool.column("logits"), burn_in, point["calibration"])
    ratios = found.proposals
    gamma = point["gamma_percentile"] if point["variant"] == "shifted" else None
    chances = drs_log_acceptance(
        ratios[burn_in:], log_max=float(ratios[:burn_in].max()), gamma_percentile=gamma
    )
    note = f"{found.note}, M = {float(ratios.max().exp()):.3g}"
    return accepted_stretches(chances, stream, images, repeats, start=burn_in, note=note)
