"""Table 1: polarity beside methods that choose or move latents by what a discriminator says, on churches.

``inputs``: for each number of images paths of its scores files; ``reported``, config/reported/polarity.csv.
``settings``: ``rows``, by the names of those inputs, see `MethodSets.rows`, the plain model first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.papers.polarity.score_columns import SCORES, with_paper
from pseudodensity.report.frontier import frontier_frame
from pseudodensity.report.scores import ScoreBook
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["table1"]

# Method -> what the paper calls it.
OF_PAPER = {
    "plain": "standard",
    "sir": "SIR",
    "dot": "DOT",
    "latent_rs": "latentRS",
    "latent_rs_ga": "latentRS+GA",
    "polarity": "polarity",
}
# Images behind the paper's numbers: precision and recall of the rows that it took from papers/003, and all else.
OF_OTHERS, OF_ITS_OWN = 1024, 50000
NOTES = (
    (
        "*paper*: what it prints, for a StyleGAN2 of 256 pixels: precision and recall of SIR, DOT, latentRS and "
        f"latentRS+GA are of {OF_OTHERS:,} images, as papers/003 reports them, those of the model and of "
        f"polarity of {OF_ITS_OWN:,}. They cannot be compared with each other: all three scores depend on the "
        "number of images, as the sections here show. Within a section all methods have the same number."
    ),
    (
        "Intervals: 95 %, Student's, over the repeats, of one trained model. A method that makes its images "
        "itself has fewer repeats. Polarity draws with replacement, as Algorithm 1 does."
    ),
)


def table1(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A section for each number of images, a line for each method."""
    reported = pd.read_csv(inputs["reported"])
    printed = reported[reported["target"].eq("table1")]
    frames = [
        frontier_frame(rows, ScoreBook(inputs[name])) for name, rows in settings["rows"].items()
    ]
    frame = pd.concat(frames, ignore_index=True)
    frame = pd.concat([frame, pd.DataFrame(_of_paper(frame, printed))], axis=1)
    frame["section"] = frame["n"].map("{:,} images".format)
    firsts = {section: own.iloc[0] for section, own in frame.groupby("section", sort=False)}
    return Table(
        title="Table 1 of polarity sampling: polarity beside other methods, the same number of images for all",
        frame=frame,
        columns=[
            Column("setting", "method"),
            *with_paper(),
            Column("paper_n", "its images", 0, of_paper=True, optional=True),
            Column("note", "note", optional=True),
        ],
        section="section",
        section_titles={section: section for section in firsts},
        section_notes={section: _counts(first) for section, first in firsts.items()},
        introduction=f"{block_title(frame.iloc[0])}, training seed {frame.iloc[0]['seed']}.",
        notes=NOTES,
    )


def _of_paper(frame: pd.DataFrame, printed: pd.DataFrame) -> list[dict[str, float]]:
    """What the paper prints for a method; for polarity, at the exponent of the line alone."""
    found = []
    for _, line in frame.iterrows():
        own = printed[printed["setting"].eq(OF_PAPER.get(line["method"], ""))]
        if line["method"] == "polarity":
            own = own[own["rho"].eq(line["polarity"])]
        values = own.set_index("metric")["value"]
        told = {f"paper_{score}": float(values.get(score, np.nan)) for score in SCORES}
        images = OF_ITS_OWN if line["method"] in ("plain", "polarity") else OF_OTHERS
        found.append(told | {"paper_n": images if len(values) else np.nan})
    return found


def _counts(first: Mapping[str, Any]) -> str:
    return f"{first['n']:,} generated against {first['n_real']:,} real images per repeat, k = {first['k']}."
