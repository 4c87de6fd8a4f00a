"""Table 6: the time of one pass of each graph, beside the paper's.

``inputs``: ``passes``, one experiment of `images.passes` per block; ``reported``. ``settings``: ``panels``, per file:
block, model, dataset, stands_for, seed and ``of_paper``, what the paper calls model and data set, or None;
``batch``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.papers.latent_reweighting.intervals import half_width
from pseudodensity.papers.latent_reweighting.shown_tables import NAMES
from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["table6"]

TITLES = {
    "generator": "G",
    "generator + discriminator": "G, D",
    "grad_z D(G(z))": "gradient through D and G",
    "network w": "w",
    "grad_z w(z)": "gradient through w",
}


def table6(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A section per model, a line per graph."""
    printed = pd.read_csv(inputs["reported"])
    printed = printed[printed["target"].eq("table6")]
    panels, lines = settings["panels"], []
    for panel, path in zip(panels, inputs["passes"], strict=True):
        ms, graphs = load_arrays(path, ["ms"])["ms"], load_facts(path)["graphs"]
        alone = ms[graphs.index("generator")].mean()
        for graph, values in zip(graphs, ms, strict=True):
            line = {name: panel[name] for name in NAMES} | {"graph": graph, "title": TITLES[graph]}
            line |= {"ms": values.mean(), "ms_ci97": half_width(values)}
            line |= {"times_g": values.mean() / alone, **_paper(printed, panel["of_paper"], graph)}
            lines.append(line | {"repeats": len(values)})
    return Table(
        title="Table 6 of latent reweighting: the time of one pass of each graph",
        frame=pd.DataFrame(lines),
        columns=[
            Column("title", "graph"),
            Column("ms", "ms per image", 3, spread="ms_ci97"),
            Column("times_g", "in passes of G", 2),
            Column("paper_ms", "paper, ms", 1, of_paper=True, optional=True),
            Column("paper_times_g", "paper, in passes of G", 2, of_paper=True, optional=True),
        ],
        section="block",
        section_titles={panel["block"]: block_title(panel) for panel in panels},
        introduction="What the methods of Tables 2 to 5 are made of, graph by graph.",
        notes=[
            f"± is the 97 % interval over {len(values)} measurements, in batches of {settings['batch']}.",
            (
                "The gradient of w is taken where latentGA climbs: in z, or in w behind a mapping network; "
                "the pass of w has the mapping in it. The paper's are those of a GPU and of networks hundreds "
                "of times larger: only passes of G can be compared."
            ),
        ],
    )


def _paper(printed: pd.DataFrame, names: Mapping[str, str] | None, graph: str) -> dict[str, float]:
    if names is None:
        return {"paper_ms": np.nan, "paper_times_g": np.nan}
    own = printed[printed["dataset"].eq(names["dataset"]) & printed["model"].eq(names["model"])]
    values = own.set_index("setting")["value"]
    found = values.get(graph, np.nan)
    return {"paper_ms": found, "paper_times_g": found / values.get("generator", np.nan)}
