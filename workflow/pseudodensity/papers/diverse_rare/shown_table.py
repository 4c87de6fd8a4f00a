"""What the pictures of searches show, image by image.

``inputs``: ``sets``, experiments `searched_images`. ``settings``: ``title``; ``panels``, see `caption_of`; ``points``,
of each panel the labels of its searches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from pseudodensity.papers.diverse_rare.pictured import Searched, caption_of, open_searched
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["shown_table"]

SHOWN = 12  # lines at each end of what people read


def shown_table(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A line for each sample that is shown, in the order of the figure."""
    panels, sets = settings["panels"], [open_searched(path) for path in inputs["sets"]]
    lines = [
        line
        for panel, own, points in zip(panels, sets, settings["points"], strict=True)
        for line in _lines(panel, own, points)
    ]
    return Table(
        title=settings["title"],
        frame=pd.DataFrame(lines),
        columns=[
            Column("panel", "model", in_latex=False),
            Column("search", "search"),
            Column("reference", "reference"),
            Column("sample", "sample"),
            Column("reference_rarity", "its rarity", 3),
            Column("rarity", "rarity", 3),
            Column("found", "feasible"),
            Column("step", "step", 0),
            Column("nearness", "distance / d*", 2),
            Column("reference_log_density", "log p, reference", 1, in_latex=False),
            Column("log_density", "log p", 1, in_latex=False),
        ],
        introduction=caption_of(panels, []),
        notes=[
            (
                "*reference* and *sample*: rows of the plain pool and of the search's. No *rarity*: outside the real "
                "manifold in the features of the judge. *feasible*: within d* of the reference and in the manifold, both in "
                "the features of the search; else the start is shown. *log p*: of standardised features, in nats."
            ),
        ],
        shown_rows=SHOWN,
    )


def _lines(
    panel: Mapping[str, Any], own: Searched, points: Sequence[str]
) -> Iterator[dict[str, Any]]:
    names = {key: panel[key] for key in ("block", "model", "dataset", "stands_for", "seed")}
    for search, label in enumerate(points):
        for place, number in enumerate(own.reference):
            for column in range(own.images.shape[2]):
                where = (search, place, column)
                yield {
                    "panel": block_title(panel),
                    **names,
                    "search": label,
                    "reference": int(number),
                    "sample": int(own.sample[where]),
                    "reference_rarity": own.reference_rarity[place],
                    "rarity": own.rarity[where],
                    "found": bool(own.found[where] > 0),
                    "step": own.step[where],
                    "nearness": own.nearness[where],
                    "reference_log_density": own.reference_log_density[place],
                    "log_density": own.log_density[where],
                }
