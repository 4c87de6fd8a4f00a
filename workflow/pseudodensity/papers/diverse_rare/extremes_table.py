"""Figures 3 and 6 in numbers: which images of high and of low density are shown, and how dense each is.

``inputs``: ``sets``, experiments `extremes`, one for each block. ``settings``: ``number`` of the figure; ``panels``,
titles of the blocks; ``extractor``; ``k``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["NUMBERS", "extremes_table"]

NUMBERS = ("row", "number", "share", "sparsity", "flow", "gaussian")
# In the order of the shares of a fit; -1 is a fake.
SHARES = {0: "fitted to", 1: "to stop by", 2: "held out", -1: ""}
NOTES = (
    (
        "None is picked: each row has the first images in its order, of as many as *of* says. *distance*: of a real "
        "image to the k-th nearest other real; of a fake the rarity score. A fake without one lies outside the real "
        "manifold, and is in no other row; the densest of these may be fine images, as the paper says."
    ),
    (
        "*fit*: what the flow's fit used a real image for. −log p: nats per volume of standardised features. Single "
        "images of one trained model: no intervals."
    ),
)


def extremes_table(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A section for each block, a line for each image."""
    pairs = list(zip(settings["panels"], inputs["sets"], strict=True))
    frame = pd.concat([_lines(panel, path) for panel, path in pairs], ignore_index=True)
    return Table(
        title=f"Figure {settings['number']} of diverse rare samples: images of high and of low density",
        frame=frame,
        columns=[
            Column("name", "row"),
            Column("place", "place"),
            Column("number", "image"),
            Column("of", "of"),
            Column("fit", "fit"),
            Column("sparsity", "distance", 3),
            Column("flow", "−log p, flow", 2),
            Column("gaussian", "−log p, Gaussian", 2),
        ],
        section="block",
        section_titles={panel["block"]: block_title(panel) for panel, _ in pairs},
        introduction=(
            f"Features of {settings['extractor']}, k = {settings['k']}, distances in standard deviations of the reals."
        ),
        notes=NOTES,
    )


def _lines(panel: Mapping[str, Any], path: str) -> pd.DataFrame:
    facts, lines = load_facts(path), pd.DataFrame(load_arrays(path, NUMBERS))
    lines["name"] = [facts["rows"][row] for row in lines["row"]]
    lines["of"] = [facts["candidates"][row] for row in lines["row"]]
    lines["place"] = lines.groupby("row").cumcount() + 1
    lines["fit"] = lines["share"].map(SHARES)
    titles = {key: panel[key] for key in ("block", "model", "dataset", "stands_for")}
    return lines.drop(columns=["row", "share"]).assign(**titles)
