"""Figure 8 in numbers: does a learned density tell the density that neighbours tell?

``inputs``: ``measured``, the experiments `densities`, one for each block; ``reported``, what the paper prints. ``settings``: ``panels``, titles of the
blocks, each with ``paper``, whether the paper has this one's correlations; ``extractor``; ``k``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from pseudodensity.report.bootstrap import RESAMPLES, bootstrap
from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.statistics import Estimate, t_interval
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["KINDS", "LAWS", "SETS", "fig8", "sets_of"]

LAWS = {"flow": "flow", "gaussian": "Gaussian"}
# Name of a set -> whose images, which share of the fit (None for fakes), and what the paper calls it.
SETS = {
    "training": ("real", 0, "real"),
    "held out": ("real", 2, None),
    "fake": ("fake", None, "fake"),
}
TITLES = {
    "training": "reals the flow was fitted to",
    "held out": "reals it has not seen",
    "fake": "fakes in the manifold",
}
KINDS = ("pearson", "spearman")
ARRAYS = tuple(f"{whose}_{what}" for whose in ("real", "fake") for what in ("sparsity", *LAWS))
NOTES = (
    (
        "*distance*: of reals to the k-th nearest other real; of fakes the rarity score, the smallest radius of a "
        "real ball that holds it. Fakes outside all balls have none and are left out, as in the paper. Distances and "
        "density are of the same features, in standard deviations of the reals, so that some of the correlation is "
        "that of any two measures of distance there."
    ),
    (
        f"Intervals: 95 %, over images of one trained model and one fit; of correlations and their differences by "
        f"the bootstrap ({RESAMPLES:,} resamples of pairs, the same for flow and Gaussian), of means Student's. That "
        "neighbours are shared is not in them."
    ),
    (
        "*Gaussian*: what the flow began as, a Gaussian of the same training images (shrunk full covariance). Negative "
        "log-densities are in nats, per volume of standardised features: a flow that fits better has the lower mean on "
        "held-out reals."
    ),
    (
        "*paper*: Pearson's correlation in the paper, of VGG16 features and Glow on FFHQ, which does not say whether its "
        "reals were the ones that the flow learned from; here beside those."
    ),
)


def fig8(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A section for each block, a line for each set of images."""
    pairs = list(zip(settings["panels"], inputs["measured"], strict=True))
    reported = pd.read_csv(inputs["reported"])
    printed = dict(reported[reported["target"].eq("fig8")].set_index("setting")["value"])
    lines = [line for panel, path in pairs for line in _lines(panel, path, printed)]
    return Table(
        title="Figure 8 of diverse rare samples: negative log-density against distances to neighbours",
        frame=pd.DataFrame(lines),
        columns=[
            Column("title", "images"),
            Column("n", "n"),
            *(_estimate(f"{law}_nll", f"{LAWS[law]}: mean −log p", ".2f") for law in LAWS),
            Column("paper_pearson", "Pearson, paper", 3, of_paper=True, optional=True),
            *(_estimate(f"{law}_pearson", f"Pearson, {LAWS[law]}", "+.3f") for law in LAWS),
            _estimate("gain_pearson", "flow − Gaussian", "+.3f"),
            *(_estimate(f"{law}_spearman", f"Spearman, {LAWS[law]}", "+.3f") for law in LAWS),
            _estimate("gain_spearman", "flow − Gaussian", "+.3f"),
        ],
        section="block",
        section_titles={panel["block"]: block_title(panel) for panel, _ in pairs},
        section_notes={panel["block"]: _of_fit(path) for panel, path in pairs},
        introduction=(
            f"How negative log-densities of images go with their distances to real neighbours, k = {settings['k']}, in "
            f"features of {settings['extractor']}."
        ),
        notes=NOTES,
    )


def sets_of(path: str) -> dict[str, dict[str, np.ndarray]]:
    """Of each of `SETS`: ``sparsity``, ``flow`` and ``gaussian`` (n,), of images that have all three."""
    arrays = load_arrays(path, [*ARRAYS, "share"])
    found = {}
    for name, (whose, share, _) in SETS.items():
        known = np.isfinite(arrays[f"{whose}_sparsity"])
        rows = known if share is None else known & (arrays["share"] == share)
        found[name] = {what: arrays[f"{whose}_{what}"][rows] for what in ("sparsity", *LAWS)}
    return found


def _lines(
    panel: Mapping[str, Any], path: str, printed: Mapping[str, float]
) -> Iterator[dict[str, Any]]:
    for name, own in sets_of(path).items():
        line = {key: panel[key] for key in ("block", "model", "dataset", "stands_for")}
        line |= {"set": name, "title": TITLES[name], "n": len(own["sparsity"])}
        line["paper_pearson"] = printed.get(SETS[name][2], np.nan) if panel["paper"] else np.nan
        for law in LAWS:
            ends = (
                zip(("", "_low", "_high"), t_interval(own[law]), strict=True) if line["n"] else ()
            )
            line |= {f"{law}_nll{end}": value for end, value in ends}
        yield line | _correlations(own)


def _correlations(own: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Both correlations of both densities with the distance, and the flow's less the Gaussian's."""

    def statistic(rows: np.ndarray) -> np.ndarray:
        taken = np.stack([own[what][rows] for what in ("sparsity", *LAWS)])
        found = []
        for values in (taken, rankdata(taken, axis=1)):
            flow, gaussian = _pearson(values)
            found += [flow, gaussian, flow - gaussian]
        return np.array(found)

    names = [f"{what}_{kind}" for kind in KINDS for what in (*LAWS, "gain")]
    found = bootstrap(statistic, len(own["sparsity"]))
    return {
        f"{name}{end}": value
        for name, estimate in zip(names, found, strict=True)
        for end, value in _ends(estimate)
    }


def _pearson(values: np.ndarray) -> np.ndarray:
    """Of the first line of values (3, n) with each of the others, (2,); NaN where one does not vary."""
    if values.shape[1] < 2:
        return np.full(2, np.nan)
    away = values - values.mean(1, keepdims=True)
    lengths = np.linalg.norm(away, axis=1)
    products = lengths[0] * lengths[1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(products > 0, away[1:] @ away[0] / products, np.nan)


def _ends(estimate: Estimate) -> Iterator[tuple[str, float]]:
    values = (estimate.effect, estimate.low, estimate.high, estimate.p)
    return zip(("", "_low", "_high", "_p"), values, strict=True)


def _estimate(name: str, head: str, form: str) -> Column:
    return Column(name, head, format=form, low=f"{name}_low", high=f"{name}_high", optional=True)


def _of_fit(path: str) -> str:
    """What the fit itself reports: how much likelier than under its Gaussian held-out images are."""
    report = load_facts(path)["report"]
    return (
        f"Mean log-density under the flow minus that under the Gaussian on held-out reals: {report['gain']:+.2f} nats, "
        f"standard error over them {report['gain_error']:.2f}."
    )
