"""What Figures 13, 15 and 20 show, image by image.

``inputs`` and ``settings``: as of `drawn_figure`, and ``title``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["drawn_table"]

SHOWN = 12  # lines at each end of what people read


def drawn_table(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A line for each image; a shorter table tells the share outside of each method."""
    lines, short = [], []
    for path, panel in zip(inputs["sets"], settings["panels"], strict=True):
        own = load_arrays(path, ["rows", "rarity"])
        names = {key: panel[key] for key in ("label", "block", "model", "dataset", "stands_for")}
        names["seed"] = panel["seed"]
        outside = np.isnan(own["rarity"])
        lines += [
            names | {"row": int(row), "rarity": rarity, "outside": bool(np.isnan(rarity))}
            for row, rarity in zip(own["rows"], own["rarity"], strict=True)
        ]
        short.append(
            names
            | {"n": len(outside), "unique": load_facts(path)["unique"], "share": outside.mean()}
            | {"mean": own["rarity"][~outside].mean() if not outside.all() else np.nan}
        )
    first = settings["panels"][0]
    return Table(
        title=settings["title"],
        frame=pd.DataFrame(lines),
        columns=[
            Column("label", "method"),
            Column("row", "row of its pool"),
            Column("rarity", "rarity", 3),
            Column("outside", "outside"),
        ],
        introduction=(
            f"{block_title(first)}, training seed {first['seed']}: rarity and the real manifold in features of "
            f"{first['judge']}, k = {first['k']}."
        ),
        shown_rows=SHOWN,
        summary=Table(
            title="Of each method",
            frame=pd.DataFrame(short),
            columns=[
                Column("label", "method"),
                Column("n", "images"),
                Column("unique", "different ones"),
                Column("share", "share outside", 2),
                Column("mean", "mean rarity of the others", 3),
            ],
        ),
    )
