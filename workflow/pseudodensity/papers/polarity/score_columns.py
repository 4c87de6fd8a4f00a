"""The scores that the tables of polarity sampling show, and their columns."""

from __future__ import annotations

from pseudodensity.report.table import Column

__all__ = ["SCORES", "score_column", "with_paper"]

# Score -> its heading.
SCORES = {"fid": "FID ↓", "precision": "precision ↑", "recall": "recall ↑"}


def score_column(score: str) -> Column:
    """A score with its interval."""
    decimals = 2 if score == "fid" else 3
    return Column(score, SCORES[score], decimals, low=f"{score}_low", high=f"{score}_high")


def with_paper() -> list[Column]:
    """Every score, with what the paper prints beside it."""
    columns = []
    for score in SCORES:
        columns.append(score_column(score))
        columns.append(Column(f"paper_{score}", "paper", 2, of_paper=True, optional=True))
    return columns
