"""How hard the images of the pictures are, and what a sampler changes on the same seeds.

``inputs``: ``sets``, experiments of `measured.same_seeds` and `measured.extreme_reals`. ``settings``: ``title``;
``panels``, of each experiment block, model, dataset and stands_for of the model, and judge; ``names``, of the rows of
each experiment; ``points``, of each row that has one, else None. Where the first row is called plain, the others
are compared with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.papers.low_density.refusal import told_of_beta
from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.statistics import t_interval
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["ALL", "PLAIN", "hardness_lines", "same_seeds_table"]

ALL, PLAIN = "all", "plain"
STRENGTHS = ("loss", "alpha", "beta")
NOTES = (
    (
        "Images of one place have the same latent and the same noise in every step, whatever the sampler. None is "
        "picked, but for real images of high and of low density, which have no interval. Intervals: 95 %, Student's, over "
        "the images, of one trained model."
    ),
    (
        "*hardness*: of the Gaussian of the image's class in the judge's features, which neither guide nor train what "
        "guides; real images count with the Gaussian of the others. *harder*: share harder than 80 % of the real "
        "images."
    ),
)


def same_seeds_table(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A line for each row of images and class, and for all classes together."""
    lines: list[dict[str, Any]] = []
    described = zip(
        settings["panels"], settings["names"], settings["points"], inputs["sets"], strict=True
    )
    for panel, names, points, path in described:
        facts = load_facts(path)
        found = hardness_lines(
            load_arrays(path, ["hardness"])["hardness"],
            names,
            settings["classes"],
            facts["limit"],
            facts.get("chosen", ()),
        )
        notes = facts.get("notes", [""] * len(names))
        for line in found:
            row = line.pop("row")
            point = points[row] or {}
            strengths = {key: point.get(key) for key in STRENGTHS}
            lines.append(dict(panel) | strengths | line | {"note": notes[row]})
    frame = pd.DataFrame(lines)
    panel = settings["panels"][-1]
    return Table(
        title=settings["title"],
        frame=frame,
        columns=[
            Column("sampler", "images"),
            Column("class", "class"),
            Column("n", "images of each"),
            Column("hardness", "hardness (nats)", 1, low="hardness_low", high="hardness_high"),
            Column(
                "change", "change from plain", format="+.1f", low="change_low", high="change_high"
            ),
            Column("harder", "harder", 2),
        ],
        introduction=f"{block_title(panel)}; hardness in features of {panel['judge']}.",
        notes=[*NOTES, *filter(None, [told_of_beta(frame["note"])])],
        shown_rows=60,
    )


def hardness_lines(
    hardness: np.ndarray,
    names: Sequence[str],
    classes: Sequence[int],
    limit: float,
    chosen: Sequence[int] = (),
) -> Iterator[dict[str, Any]]:
    """Lines of some rows of images: of all classes together, then of each.

    hardness: (rows, classes, images) in nats. limit: that 80 % of the real images do not exceed. ``row`` is the
    number of the row. Nothing is compared unless the first row is plain. chosen: rows whose images were chosen by
    their hardness, so that it has no interval.
    """
    for row, name in enumerate(names):
        own, plain = hardness[row], hardness[0] if names[0] == PLAIN and row else None
        for place, label in enumerate([ALL, *classes]):
            part = slice(None) if label == ALL else slice(place - 1, place)
            values = own[part].ravel()
            line = {"row": row, "sampler": name, "class": str(label), "n": len(values)}
            line |= _with_interval("hardness", values)
            if row in chosen:
                line |= {"hardness_low": np.nan, "hardness_high": np.nan}
            changes = np.array([np.nan]) if plain is None else values - plain[part].ravel()
            line |= _with_interval("change", changes)
            yield line | {"harder": float((values > limit).mean())}


def _with_interval(name: str, values: np.ndarray) -> dict[str, float]:
    names = (name, f"{name}_low", f"{name}_high")
    return dict(zip(names, t_interval(values), strict=True))
