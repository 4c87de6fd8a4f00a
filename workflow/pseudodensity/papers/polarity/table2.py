"""Table 2: FID, precision and recall of every model at its best polarity, in each space of its volumes.

``inputs``: ``scores``, paths of scores files; ``reported``, config/reported/polarity.csv. ``settings``:
``rows``, see `MethodSets.rows`: the plain model and every polarity of each block; ``judges``, extractors of the
metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.papers.polarity.best_polarity import best_polarity, halves
from pseudodensity.papers.polarity.score_columns import SCORES, with_paper
from pseudodensity.report.scores import ScoreBook, bounds_of
from pseudodensity.report.statistics import t_interval
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["table2"]

NOTES = (
    (
        "ρ is chosen by FID on the first half of the repeats; all numbers are of the other half, whose latents "
        "are others. 95 % intervals, Student's, of one trained model. Where nothing beats ρ = 0 on the "
        "choosing half, there is no ρ and no gain."
    ),
    (
        "*gain*: FID at ρ = 0 minus FID at the chosen ρ, over pairs of repeats with the same latents and random "
        "numbers. Both draw with replacement, so that images which come twice cost both the same; the plain "
        "model above has every image once."
    ),
    (
        "*paper*: what it prints for its own models, data and networks: only the direction can be compared. "
        "Its spaces of features are those of VGG and Inception."
    ),
    (
        "*circular*: the volumes are in the space of a network that judges here, as the paper has it for "
        "Inception and FID: such a gain says little of the images."
    ),
    (
        "*numerical rank*: the median number of singular values beyond the rounding error of the largest, of as "
        "many as are kept; a volume is the product of the largest ones."
    ),
)


def table2(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """Lines of a model: the model itself, and the polarity chosen in each space."""
    book, reported = ScoreBook(inputs["scores"]), pd.read_csv(inputs["reported"])
    printed = reported[reported["target"].eq("table2")]
    lines: list[dict[str, Any]] = []
    for block in dict.fromkeys(row["block"] for row in settings["rows"]):
        own = [row for row in settings["rows"] if row["block"] == block]
        lines += _block(own, book, printed, settings["judges"])
    frame = pd.DataFrame(lines).astype({"improves": "boolean", "circular": "boolean"})
    firsts = {block: own.iloc[0] for block, own in frame.groupby("block", sort=False)}
    return Table(
        title="Table 2 of polarity sampling: the best polarity of every model",
        frame=frame,
        columns=_columns(),
        section="block",
        section_titles={block: block_title(first) for block, first in firsts.items()},
        section_notes={block: _counts(first) for block, first in firsts.items()},
        notes=NOTES,
    )


def _block(
    rows: Sequence[Mapping[str, Any]],
    book: ScoreBook,
    printed: pd.DataFrame,
    judges: Collection[str],
) -> list[dict[str, Any]]:
    plain = book.find(rows[0]["pool"], rows[0]["point"])
    names = {key: rows[0][key] for key in ("block", "model", "dataset", "stands_for", "seed")}
    names |= {"n": plain.n, "n_real": plain.n_real, "k": plain.k, "repeats": len(plain.repeats)}
    papers = _of_paper(printed, names)
    first = names | {"setting": "the model", "improves": None} | _scores(halves(plain.repeats)[1])
    lines = [first | papers("standard")]
    for space in dict.fromkeys(_space(row["point"]) for row in rows[1:]):
        own = [row for row in rows[1:] if _space(row["point"]) == space]
        line = names | {"setting": f"polarity, {space}", "space": space} | _chosen(own, book)
        line["circular"] = own[0]["point"]["extractor"] in judges
        lines.append(line | papers(f"polarity {space}"))
    return lines


def _space(point: Mapping[str, Any]) -> str:
    """pixel | style | features of an extractor."""
    return f"features of {point['extractor']}" if point["extractor"] else point["space"]


def _chosen(rows: Sequence[Mapping[str, Any]], book: ScoreBook) -> dict[str, Any]:
    """What the polarity of one space does that is chosen on one half of the repeats, on the other half."""
    found = {row["point"]["polarity"]: book.find(row["pool"], row["point"]) for row in rows}
    ours = {rho: one.repeats for rho, one in found.items()}
    usable = {rho: repeats for rho, repeats in ours.items() if len(repeats) == len(ours[0])}
    best = best_polarity(usable)
    chosen = 0.0 if best.polarity is None else best.polarity
    facts = found[chosen].facts
    line = {"polarity": best.polarity, "improves": best.improves}
    line |= {"ess": facts["ess"], "note": facts["note"]}
    line |= {"gain": best.gain.effect, "gain_low": best.gain.low, "gain_high": best.gain.high}
    line |= {"gain_p": best.gain.p} | _scores(halves(usable[chosen])[1])
    return line | {"fid_at_zero": _scores(halves(usable[0])[1])["fid"]}


def _scores(repeats: Sequence[Mapping[str, float]]) -> dict[str, float]:
    line = {}
    for score in SCORES:
        ends = t_interval([repeat[score] for repeat in repeats], bounds_of(score))
        line |= dict(zip((score, f"{score}_low", f"{score}_high"), ends, strict=True))
    return line


def _of_paper(printed: pd.DataFrame, names: Mapping[str, Any]) -> Callable[[str], dict[str, float]]:
    """Setting -> what the paper prints for the model that this one stands in for."""
    own = printed[printed["dataset"].eq(names["stands_for"])]
    own = own[own["model"].str.startswith(names["model"])]

    def told(setting: str) -> dict[str, float]:
        rows = own[own["setting"].eq(setting)]
        values = rows.set_index("metric")["value"]
        line = {f"paper_{score}": float(values.get(score, np.nan)) for score in SCORES}
        rho = rows["rho"].iloc[0] if len(rows) else np.nan
        return line | {"paper_polarity": float(rho)}

    return told


def _columns() -> list[Column]:
    return [
        Column("setting", "setting"),
        Column("polarity", "ρ", format="g"),
        Column("paper_polarity", "paper", format="g", of_paper=True, optional=True),
        *with_paper(),
        Column("fid_at_zero", "FID at ρ = 0", 2),
        Column("gain", "gain", format="+.3f", low="gain_low", high="gain_high"),
        Column("improves", "beyond the interval"),
        Column("circular", "circular"),
        Column("ess", "effective sample size", 0),
        Column("note", "note", optional=True, in_latex=False),
    ]


def _counts(first: Mapping[str, Any]) -> str:
    return (
        f"{first['n']:,} generated against {first['n_real']:,} real images per repeat, {first['repeats']} "
        f"repeats of which half choose, training seed {first['seed']}."
    )
