"""Figures 4 and 5 in numbers: samples by polarity, how simple they are and how near to training images.

``inputs``: ``measured``, an experiment for each panel. ``settings``: ``panels``, of each block, model, dataset
and stands_for of the model, and ``space`` of the volumes; ``figure``, its number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pseudodensity.papers.polarity.spread import COLUMNS, INTERVALS, spread_lines
from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["fig4", "panel_title"]

MEASURES = {"distance": "distance to the nearest training image", "variation": "total variation"}


def panel_title(panel: Mapping[str, Any]) -> str:
    """Model, data set and space of the volumes."""
    return f"{block_title(panel)}, volumes in {panel['space']} space"


def fig4(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A section for each panel, a line for each measure and polarity."""
    lines = []
    for panel, path in zip(settings["panels"], inputs["measured"], strict=True):
        facts, arrays = load_facts(path), load_arrays(path, MEASURES)
        named = dict(panel) | {"section": panel_title(panel), "extractor": facts["extractor"]}
        for measure, title in MEASURES.items():
            named |= {"measure": title, "n": arrays[measure].shape[1]}
            lines += [named | line for line in spread_lines(facts["rows"], list(arrays[measure]))]
    frame = pd.DataFrame(lines)
    first = frame.iloc[0]
    return Table(
        title=f"Figure {settings['figure']} of polarity sampling: what samples of a polarity look like",
        frame=frame,
        columns=[Column("measure", "of an image"), *COLUMNS],
        section="section",
        introduction=(
            f"{first['n']:,} samples of each polarity, of which the figure shows the first drawn, with their "
            f"nearest training images in features of {first['extractor']}."
        ),
        notes=[
            (
                "*total variation*: mean absolute difference of neighbouring pixels, from 0 (one colour) to 1; "
                "it stands for how simple an image is."
            ),
            (
                "Samples are drawn without replacement and with the same random numbers at every ρ; an effective "
                "sample size far below the number of images says that the exponent is stronger than so many "
                "latents can follow. The features neither steer nor judge."
            ),
            INTERVALS,
        ],
    )
