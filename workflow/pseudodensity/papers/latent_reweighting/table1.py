"""Table 1: earth mover's distance of every method on the Swiss roll and on 25 Gaussians.

``inputs``: ``evaluated``, paths of the experiments ``evaluate``; ``costs``, one per law; ``reported``.
``settings``: ``evaluated``, law and seed of each path; ``laws``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.papers.latent_reweighting.intervals import half_width
from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.statistics import paired
from pseudodensity.report.table import Column, Table

__all__ = ["LAWS", "METHODS", "evaluations", "table1"]

# Name -> title of this project, and what the paper calls it.
LAWS = {"swiss_roll": ("Swiss roll", "Swiss roll"), "gaussians": ("25 Gaussians", "25 Gaussians")}
METHODS = {
    "real": ("REAL (floor)", ""),
    "oracle": ("best weights up to m (oracle)", ""),
    "plain": ("WGAN-GP", "plain"),
    "drs": ("DRS", "DRS"),
    "sir": ("SIR", "SIR"),
    "mh": ("MH-GAN", ""),
    "obrs": ("OBRS", ""),
    "dot": ("DOT", "DOT"),
    "latent_rs": ("latentRS", "latentRS"),
    "latent_ga": ("latentGA", ""),
    "latent_rs_ga": ("latentRS+GA", ""),
    "latent_rs_printed": ("latentRS, the paper's own form", ""),
}
SCORES = ("w1", "squared", "off", "acceptance", "calls")

NOTES = (
    (
        "*W1*: mean distance of the optimal match; *squared*: mean squared distance of the match that "
        "makes that least. The numbers that the paper prints fit the squared cost, so they stand there."
    ),
    (
        "± is a 97 % interval over the evaluations, of the mean over the trainings. *against plain* is "
        "paired on the same real sets, with a 95 % interval over the trainings of everything."
    ),
    (
        "*off*: share of points further from the noise-free law than three standard deviations of the "
        "noise. Methods by density ratio lower it and raise W1 where they unbalance the modes."
    ),
    (
        "Settings are chosen on other real sets, by W1, in each training anew; every rival has as many "
        "as latentRS. The ascents climb the weights that latentRS chose."
    ),
    (
        "*REAL*: fresh reals against reals, the floor. The oracle takes the best of m times as many "
        "fakes for other reals and is judged on fresh ones: no weights up to m can do much better."
    ),
    (
        "*calls*: passes through the generator per point, a gradient counted as one. *CPU ms*: one core, "
        "1,000 points, measured on the first training; what is learned or calibrated once is not in it."
    ),
)


def table1(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """The table, a section for each law."""
    found = evaluations(inputs["evaluated"], settings["evaluated"])
    costs = dict(zip(settings["laws"], map(load_facts, inputs["costs"]), strict=True))
    reported = pd.read_csv(inputs["reported"])
    lines = [
        line
        for law in settings["laws"]
        for line in _lines(law, found[law], costs[law]["cpu_ms"], reported)
    ]
    frame = pd.DataFrame(lines)
    return Table(
        title="Table 1 of latent reweighting: earth mover's distance in the plane",
        frame=frame,
        columns=_columns(),
        section="dataset",
        section_notes={LAWS[law][0]: _told(found[law]) for law in settings["laws"]},
        introduction=(
            f"{int(frame['count'].iloc[0]):,} points of each set, {int(frame['evaluations'].iloc[0])} "
            f"evaluations, {int(frame['trainings'].iloc[0])} trainings of generator, discriminator and "
            "weights."
        ),
        notes=NOTES,
    )


def _columns() -> list[Column]:
    return [
        Column("title", "method"),
        Column("w1", "W1 ↓", 3, spread="w1_ci97"),
        Column("squared", "squared ↓", 4, spread="squared_ci97"),
        Column("paper_emd", "paper", 3, spread="paper_ci97", of_paper=True),
        Column(
            "difference",
            "W1 against plain",
            format="+.3f",
            low="difference_low",
            high="difference_high",
        ),
        Column("off", "off ↓", 3),
        Column("acceptance", "acceptance", 3),
        Column("calls", "calls", format=".1f"),
        Column("cpu_ms", "CPU ms", format=",.0f", optional=True),
        Column("setting", "settings chosen", in_latex=False, optional=True),
    ]


def evaluations(paths: list[str], trainings: list[Mapping[str, Any]]) -> dict[str, list[dict]]:
    """Law -> for each of its trainings the facts, ``count``, and ``scores``: method -> score ->
    (evaluations,)."""
    found: dict[str, list[dict]] = {}
    for path, training in zip(paths, trainings, strict=True):
        facts, arrays = load_facts(path), load_arrays(path, [*SCORES, "reals"])
        scores = {
            name: {score: arrays[score][row] for score in SCORES}
            for row, name in enumerate(facts["rows"])
        }
        one = {**facts, "seed": training["seed"], "scores": scores, "count": len(arrays["reals"])}
        found.setdefault(training["law"], []).append(one)
    return found


def _lines(
    law: str, trainings: list[dict], cpu_ms: Mapping[str, float], reported: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    for name, (title, printed) in METHODS.items():
        # A method of which one training found no usable setting has no line of its own.
        if not all(name in one["scores"] for one in trainings):
            continue
        # (trainings, evaluations)
        values = {
            score: np.array([one["scores"][name][score] for one in trainings]) for score in SCORES
        }
        plain = np.array([one["scores"]["plain"]["w1"] for one in trainings])
        against = paired((values["w1"] - plain).mean(1))
        line = {"dataset": LAWS[law][0], "method": name, "title": title}
        line |= {score: values[score].mean() for score in SCORES}
        for score in ("w1", "squared"):
            line[f"{score}_ci97"] = half_width(values[score].mean(0))
        if name != "plain":
            line |= {
                "difference": against.effect,
                "difference_ci97": half_width(_paired(values, plain)),
            }
            line |= {"difference_low": against.low, "difference_high": against.high}
        line |= _paper(reported, LAWS[law][1], printed)
        line |= {"cpu_ms": cpu_ms.get(name, np.nan), "setting": _chosen(trainings, name)}
        line |= {"count": trainings[0]["count"], "trainings": len(trainings)}
        line |= {"evaluations": values["w1"].shape[1]}
        if name in ("real", "oracle"):  # nobody can draw them
            line |= {"calls": np.nan, "acceptance": np.nan}
        yield line


def _paired(values: Mapping[str, np.ndarray], plain: np.ndarray) -> np.ndarray:
    """Differences to the plain generator on each real set, (evaluations,)."""
    return (values["w1"] - plain).mean(0)


def _paper(reported: pd.DataFrame, law: str, printed: str) -> dict[str, float]:
    of_table = reported["target"].eq("table1") & reported["dataset"].eq(law)
    row = reported[of_table & reported["setting"].eq(printed) & reported["metric"].eq("emd")]
    if row.empty:
        return {"paper_emd": np.nan, "paper_ci97": np.nan}
    return {"paper_emd": float(row["value"].iloc[0]), "paper_ci97": float(row["ci97"].iloc[0])}


def _chosen(trainings: list[dict], name: str) -> str:
    """Settings of a method, those of several trainings once."""
    words = [_words(one, name) for one in trainings if name in one["chosen"]]
    return "; ".join(dict.fromkeys(filter(None, words)))


def _words(training: Mapping[str, Any], name: str) -> str:
    if name in ("latent_rs", "latent_rs_printed"):
        number = training["chosen"][name].get("weights")
        facts = training["printed"] if number is None else training["weights"][number]
        words = f"m {facts['largest']:g}, E w {facts['mean']:.2f}, P(w > m) {facts['above']:.2f}"
        lambda_norm = facts.get("lambda_norm")
        return words if lambda_norm is None else f"lambda1 {lambda_norm:g}, {words}"
    chosen = training["chosen"][name].items()
    return ", ".join(f"{key} {'none' if value is None else value}" for key, value in chosen)


def _told(trainings: list[dict]) -> str:
    """How far the ratios can be trusted."""
    aucs = ", ".join(f"{one['auc']:.2f}" for one in trainings)
    zs = ", ".join(f"{one['z']['isotonic']:.1f}" for one in trainings)
    weights = [w for one in trainings for w in [*one["weights"], one["printed"]]]
    collapsed = sum(bool(facts["collapsed"]) for facts in weights)
    return (
        f"Of the discriminators of the {len(trainings)} trainings, on points that they did not see: area "
        f"under the curve {aucs}; Z statistic of the isotonic calibration {zs} (within ±2 is calibrated). "
        f"{collapsed} of {len(weights)} trainings of weights collapsed."
    )
