"""Figure 2 in numbers: rejection by density ratio and by latent weight, on a proposal that misses half.

``inputs``: ``compared``, the experiment. ``settings``: ``gap``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pseudodensity.papers.latent_reweighting.intervals import half_width
from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.table import Column, Table

__all__ = ["TITLES", "fig2"]

TITLES = {
    "real": "REAL (floor)",
    "oracle": "best weights up to m (oracle)",
    "plain": "proposal",
    "ratio": "DRS, ratio of a discriminator",
    "exact_ratio": "exact ratio, cut at that of the upper arcs",
    "latent_rs": "latentRS",
}


def fig2(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """One line per sampler."""
    scores = ("w1", "squared", "acceptance", "lower")
    arrays, facts = load_arrays(inputs["compared"], scores), load_facts(inputs["compared"])
    lines = []
    for name, title in TITLES.items():
        row = facts["rows"].index(name)
        line = {"method": name, "title": title}
        line |= {score: arrays[score][row].mean() for score in scores}
        line |= {f"{score}_ci97": half_width(arrays[score][row]) for score in ("w1", "squared")}
        lines.append(line | {"evaluations": arrays["w1"].shape[1]})
    frame = pd.DataFrame(lines)
    frame.loc[frame["method"].isin(("real", "oracle")), "acceptance"] = float("nan")
    return Table(
        title="Figure 2 of latent reweighting: four manifolds of which two are missed",
        frame=frame,
        columns=[
            Column("title", "sampler"),
            Column("w1", "W1 ↓", 3, spread="w1_ci97"),
            Column("squared", "squared ↓", 4, spread="squared_ci97"),
            Column("acceptance", "acceptance", 3),
            Column("lower", "on the missed half", 3),
        ],
        introduction=(
            "Reals lie on four arcs. The proposal is a circle that runs through two of them and misses the "
            f"other two by {settings['gap']:g}: half of the reals should be on the missed half."
        ),
        notes=[
            f"± is a 97 % interval over {arrays['w1'].shape[1]} evaluations of one training.",
            (
                f"Latent weights: mean {facts['mean']:.2f}, sd {facts['sd']:.2f}, P(w > m) "
                f"{facts['above']:.3f}, m {facts['largest']:g}; the best are 1.5 on all four arcs."
            ),
        ],
    )
