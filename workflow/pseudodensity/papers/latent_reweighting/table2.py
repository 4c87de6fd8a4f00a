"""Tables 2 to 5: every method on an image model, with the paper's values and the cost of one image.

``inputs``: ``scores``, paths of scores files; ``costs``, one file per block; ``reported``.
``settings``: ``rows``, see `MethodSets.rows`, each with ``of_paper`` (what the paper calls model and data
set, or None); ``labels``, of the points of each block in the order of its costs; ``target``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.artifacts import load_json
from pseudodensity.papers.latent_reweighting.intervals import half_width
from pseudodensity.report.scores import Found, ScoreBook
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["table2"]

SCORES = {"precision": "precision ↑", "recall": "recall ↑", "emd": "EMD ↓", "fid": "FID ↓"}
PERCENT = ("precision", "recall")  # the paper prints them so
NOTES = (
    (
        "± is the 97 % interval of the mean over the repeats, as in the paper: disjoint stretches of one "
        "pool of one trained model. A method that makes its images itself has fewer repeats."
    ),
    (
        "*calls*: images that the generator makes for one. *ms*: time of one core for one image, with "
        "proposals, discriminator, weights and gradients; what is trained once is not in it."
    ),
    (
        "*paper*: what it prints for its own models, data, networks and numbers of images. The models "
        "here are small ones of this project: only the direction of a change can be compared."
    ),
)


def table2(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """The table, a section for each model."""
    book, reported = ScoreBook(inputs["scores"]), pd.read_csv(inputs["reported"])
    blocks = list(dict.fromkeys(row["block"] for row in settings["rows"]))
    costs = dict(zip(blocks, map(_milliseconds, inputs["costs"], settings["labels"]), strict=True))
    printed = reported[reported["target"].eq(settings["target"])]
    lines = []
    for row in settings["rows"]:
        found = book.find(row["pool"], row["point"])
        lines.append(_line(row, found, costs[row["block"]], printed))
    frame = pd.DataFrame(lines)
    firsts = {block: own.iloc[0] for block, own in frame.groupby("block", sort=False)}
    return Table(
        title=f"{settings['target'].replace('table', 'Table ')} of latent reweighting",
        frame=frame,
        columns=_columns(),
        section="block",
        section_titles={block: block_title(first) for block, first in firsts.items()},
        section_notes={block: _counts(first) for block, first in firsts.items()},
        introduction="Methods that choose or move latents of one trained generator, side by side.",
        notes=NOTES,
    )


def _milliseconds(path: str, labels: Sequence[str]) -> dict[str, np.ndarray]:
    """Label of a point -> times of one image in milliseconds; seconds of 1,000 are as many."""
    costs = load_json(path)["sampling"]
    return {
        label: np.array([s for s in cost["seconds"] if s is not None])
        for label, cost in zip(labels, costs, strict=True)
    }


def _line(
    row: Mapping[str, Any], found: Found, costs: Mapping[str, np.ndarray], printed: pd.DataFrame
) -> dict[str, Any]:
    line = {key: row[key] for key in ("block", "model", "dataset", "stands_for", "seed")}
    line |= {"method": row["point"]["method"], "setting": found.label}
    line["amount"] = _amount(row["point"])
    made = found.n * len(found.repeats)
    line |= {"n": found.n, "repeats": len(found.repeats), "n_real": found.n_real, "k": found.k}
    for score in SCORES:
        values = np.array([repeat[score] for repeat in found.repeats])
        line |= {
            score: values.mean() if len(values) else np.nan,
            f"{score}_ci97": half_width(values),
        }
    line["acceptance"] = found.facts["acceptance"]
    line["calls"] = found.facts["generator_calls"] / made if made else np.nan
    times = costs[found.label]
    line |= {"ms": times.mean() if len(times) else np.nan, "ms_ci97": half_width(times)}
    line["timings"] = len(times)
    line |= _paper(printed, row["of_paper"], row["point"])
    return line | {"note": found.facts["note"]}


def _paper(
    printed: pd.DataFrame, names: Mapping[str, str] | None, point: Mapping[str, Any]
) -> dict[str, float]:
    """What the paper prints for a point; precision and recall as shares."""
    empty = {f"paper_{score}": np.nan for score in (*SCORES, "ms")}
    if names is None:
        return empty
    own = printed[printed["dataset"].eq(names["dataset"]) & printed["model"].eq(names["model"])]
    for words in _words(point):
        rows = own[own["setting"].eq(words)].set_index("metric")["value"]
        if not rows.empty:
            shares = {score: rows.get(score, np.nan) for score in SCORES}
            shares |= {score: shares[score] / 100 for score in PERCENT}
            told = {f"paper_{score}": value for score, value in shares.items()}
            return told | {"paper_ms": rows.get("inference_ms", np.nan)}
    return empty


def _amount(point: Mapping[str, Any]) -> int | None:
    """What the paper calls n: candidates of SIR, steps of what moves latents."""
    return point.get("candidates", point.get("steps"))


def _words(point: Mapping[str, Any]) -> list[str]:
    """How the paper may call a point: with its n in Tables 4 and 5, without where n is 10."""
    names = {"plain": "plain", "sir": "SIR", "dot": "DOT", "latent_rs": "latentRS"}
    names |= {"latent_ga": "latentGA", "latent_rs_ga": "latentRS+GA"}
    title = names.get(point["method"])
    if title is None or point.get("variant") == "paper":
        return []
    n = _amount(point)
    return [title] if n is None else [f"{title} n={n}", *([title] if n == 10 else [])]


def _columns() -> list[Column]:
    measured = []
    for score, head in SCORES.items():
        decimals = 3 if score in PERCENT else 2
        measured.append(Column(score, head, decimals, spread=f"{score}_ci97"))
        measured.append(Column(f"paper_{score}", "paper", decimals, of_paper=True, optional=True))
    return [
        Column("setting", "method"),
        *measured,
        Column("acceptance", "acceptance", 3, in_latex=False),
        Column("calls", "calls ↓", 1),
        Column("ms", "ms ↓", 3, spread="ms_ci97"),
        Column("paper_ms", "paper", 1, of_paper=True, optional=True),
        Column("note", "note", in_latex=False, optional=True),
    ]


def _counts(first: Mapping[str, Any]) -> str:
    return (
        f"{first['n']:,} generated against {first['n_real']:,} real images per repeat, k = {first['k']}, "
        f"training seed {first['seed']}."
    )
