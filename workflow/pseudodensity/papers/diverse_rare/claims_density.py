"""004-5: what the negative log-density of a flow has to do with k-NN distance and rarity, from Figure 8's CSV."""

from __future__ import annotations

import pandas as pd

from pseudodensity.report.claims import Contrast, Line, block_line, contrast_lines, estimate_of

__all__ = ["density_lines"]

ONE_MODEL = "interval over images of one trained model and one fit"
# Set of Figure 8 -> what its images are called.
MEASURED = {
    "training": "k-NN distance, reals that the flow was fitted to",
    "held out": "k-NN distance, held-out reals",
    "fake": "rarity score, fakes in the manifold",
}
KINDS = {"pearson": "Pearson", "spearman": "Spearman"}


def density_lines(table: pd.DataFrame) -> list[Line]:
    """Correlations of both kinds with each measure; the paper's are Pearson's. table: of `fig8`."""
    lines = []
    for name, measure in MEASURED.items():
        for kind, title in KINDS.items():
            words = f"{title}'s correlation of the flow's negative log-density with {measure}"
            contrast, found = Contrast("004-5", words, 1, "correlation"), []
            for _, own in table[table["set"].eq(name) & table[f"flow_{kind}"].notna()].iterrows():
                estimate = estimate_of(own, f"flow_{kind}")
                gain = estimate_of(own, f"gain_{kind}")
                note = f"n = {own['n']:,}; flow − Gaussian {gain.effect:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]; {ONE_MODEL}"
                paper = own["paper_pearson"] if kind == "pearson" else float("nan")
                line = block_line(
                    contrast, estimate, own, seeds=1, note=note, paper_effect=float(paper)
                )
                found.append(line)
            lines += contrast_lines(contrast, found)
    return lines
