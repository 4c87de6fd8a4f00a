"""Singular values of the generator's Jacobian at each latent, whose volumes polarity sampling weighs by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pseudodensity.columns.context import Context, clock
from pseudodensity.columns.pool import Column
from pseudodensity.generators.volumes import Spectrum, log_singular_values

NAME = "singular_values"
TITLE = "singular values of the Jacobian"
INPUTS = ("checkpoint", "extractors")
COVERS = "rows"
# kept: the largest ones. spaces: pixel and style. extractors: whose features are further spaces. All are of one
# sweep, so that what wants several had better ask for them together.
DEFAULTS = {"kept": 64, "route": "auto", "spaces": ["pixel"], "extractors": []}


def compute(context: Context, rows: range) -> Column:
    """Logs of singular values (n, spaces, r) float32, falling; r is that of the space with most, and a
    space with fewer ends in NaN.

    facts: ``spaces``, their names in order; ``tolerance`` of each; see `log_singular_values`.
    """
    settings = context.settings
    networks = {n: one.to(context.device).eval() for n, one in context.extractors.items()}
    generator, began, parts = context.generator, clock(context.device), []
    for batch in context.batches(rows):
        spectra = log_singular_values(
            generator,
            context.latents(batch),
            kept=settings["kept"],
            route=settings["route"],
            spaces=settings["spaces"],
            features=networks,
        )
        parts.append(_side_by_side(list(spectra.values())))
    tolerances = [one.tolerance for one in spectra.values()]
    facts = {"spaces": list(spectra), "tolerance": tolerances}
    return Column(np.concatenate(parts), None, facts, clock(context.device) - began)


def _side_by_side(spectra: Sequence[Spectrum]) -> np.ndarray:
    logs = [one.logs.cpu().numpy().astype(np.float32) for one in spectra]
    most = max(one.shape[1] for one in logs)
    padded = [
        np.pad(one, ((0, 0), (0, most - one.shape[1])), constant_values=np.nan) for one in logs
    ]
    return np.stack(padded, 1)
