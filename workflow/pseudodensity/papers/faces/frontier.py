"""Precision and recall of every point of the first look.

``inputs``: ``scores``, paths of scores files. ``settings``: ``rows``, dicts with ``block, model,
dataset, pool, point``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pseudodensity.report.pareto import pareto_front
from pseudodensity.report.scores import ScoreBook
from pseudodensity.report.table import Column, Table

__all__ = ["frontier"]

SETTINGS = ("tau", "w", "psi")
SCORES = ("precision", "recall", "mean_density")


def frontier(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """One line per point that has scores; front: no point of any method has more of both."""
    book, lines = ScoreBook(inputs["scores"]), []
    for row in settings["rows"]:
        found = book.find(row["pool"], row["point"])
        if not found.repeats:  # the pool held too few
            continue
        line = {key: row[key] for key in ("block", "model", "dataset")}
        line |= {"method": row["point"]["method"], "setting": found.label}
        line |= {key: row["point"].get(key) for key in SETTINGS}
        line |= {key: found.repeats[0][key] for key in SCORES}
        line |= {"acceptance": found.facts.get("acceptance")}
        lines.append(line | {"n": found.n, "n_real": found.n_real, "k": found.k})
    frame = pd.DataFrame(lines).rename(columns={"mean_density": "mean_pseudo_density"})
    frame["front"] = pareto_front(frame["precision"], frame["recall"])
    return Table(
        title="The first look: precision and recall",
        frame=frame,
        columns=[
            Column("setting", "method"),
            Column("precision", "precision ↑", 3),
            Column("recall", "recall ↑", 3),
            Column("mean_pseudo_density", "pseudo density", 3),
            Column("acceptance", "acceptance", 3),
            Column("front", "front"),
        ],
        notes=[
            "One repeat: no intervals.",
            (
                "The reference are images of the same generator, so precision says how typical of "
                "it an image is, not how real."
            ),
        ],
    )
