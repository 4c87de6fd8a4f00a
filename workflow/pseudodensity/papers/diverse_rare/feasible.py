"""How many samples of a search are feasible at each of its steps, so that nobody takes the few that stay for all.

``inputs``: ``around``, experiments `around` of searches with steps. ``settings``: ``names``, block, model, dataset
and stands_for; ``labels`` of the points, in that order; ``extractor``, in whose features was searched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pseudodensity.report.drawing import PALETTE, finish, subtitle, theme
from pseudodensity.report.samples import load_arrays
from pseudodensity.report.statistics import t_interval
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["feasible", "feasible_figure"]

SHARE = (0.0, 1.0)
NOTE = (
    "*feasible*: inside the real manifold of the searched features and within d* of the reference. *kept from here*: "
    "share of samples whose kept iterate is that of this step; starts that are kept for want of a feasible iterate count "
    "at step 0. Intervals: 95 %, Student's, over references of one trained model."
)


def feasible(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A section for each search, a line for each step."""
    pairs = zip(inputs["around"], settings["labels"], strict=True)
    frame = pd.DataFrame([line for path, label in pairs for line in _lines(path, label)])
    return Table(
        title="Diverse rare samples: what is feasible along a search",
        frame=frame.assign(**settings["names"]),
        columns=[
            Column("step", "step"),
            Column("feasible", "feasible", 3, low="feasible_low", high="feasible_high"),
            Column("kept", "kept from here", 3),
        ],
        section="setting",
        introduction=(
            f"{block_title(settings['names'])}, searched in features of {settings['extractor']}: "
            f"{frame['references'].iloc[0]} references."
        ),
        notes=[NOTE],
    )


def _lines(path: str, label: str) -> Iterator[dict[str, Any]]:
    own = load_arrays(path, ["feasible", "step"])
    for step, shares in enumerate(own["feasible"].astype(np.float64).T):
        line = {"setting": label, "step": step, "references": len(shares)}
        ends = zip(("", "_low", "_high"), t_interval(shares, SHARE), strict=True)
        line |= {f"feasible{end}": value for end, value in ends}
        yield line | {"kept": float((own["step"] == step).mean())}


def feasible_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """Both shares along the steps; ``inputs``: ``table``, the CSV of `feasible`."""
    table = pd.read_csv(inputs["table"])
    with theme():
        figure = Figure(figsize=(7.2, 3.0))
        left, right = figure.subplots(1, 2)
        for (label, own), colour in zip(
            table.groupby("setting", sort=False), PALETTE, strict=False
        ):
            left.plot(own["step"], own["feasible"], color=colour, label=label)
            left.fill_between(
                own["step"], own["feasible_low"], own["feasible_high"], color=colour, alpha=0.2
            )
            right.plot(own["step"], own["kept"].cumsum(), color=colour, label=label)
        for panel, title in ((left, "Feasible"), (right, "Kept from this step or before")):
            subtitle(panel, title)
            panel.set_ylim(0, 1)
            panel.set_xlabel("step of the search")
            panel.set_ylabel("share of samples")
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=1)
        figure.set_size_inches(7.2, 3.2 + 0.2 * len(labels))
        references = int(table["references"].iloc[0])
        caption = (
            f"{block_title(settings['names'])}, n = {references} references, searched in features of "
            f"{settings['extractor']}. Feasible: inside the real manifold there and within d* of the reference. Bands: 95 % "
            "intervals over references of one trained model."
        )
        return finish(figure, caption)
