"""Table 2: exact likelihood of every set of images under a flow on pixels.

``inputs``: ``measured``, the experiment `likelihoods`; ``reported``, what the paper prints. ``settings``:
``titles`` of the sets by name; ``names``, block, model, dataset and stands_for of the diffusion model;
``split``; ``side``, ``grey`` and ``levels``, see `likelihoods`; ``other``, title of the other data set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.papers.low_density.fig7 import held_out_note
from pseudodensity.report.ranks import chance_to_exceed
from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.statistics import Estimate, Mean, difference, t_interval
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["row_titles", "table2"]

# Row -> what the paper calls its like.
PAPER = {
    "held_out": "real",
    "gan": "BigGAN",
    "plain": "baseline",
    "guided": "low-density",
    "edges": "sketch",
    "posterised": "rendition",
    "other": "ImageNet-O",
}
NOTES = (
    (
        "*edges*: Sobel's gradient of the brightness of held-out reals, bright on black. *posterised*: their "
        "channels at {levels} levels. The paper has sketches, renditions and ImageNet-O, photographs of other "
        "classes: other images of other origin, so that its numbers show an order, not a size."
    ),
    (
        "*likelier than a held-out real*: the chance that an image has fewer bits, 0.5 where both have one law. "
        "Under a likelihood that tells density, sets that no training image is like are the least likely."
    ),
    (
        "Intervals: 95 % over images, of one trained flow: Student's of a mean, Welch's of a difference, "
        "Brunner and Munzel's of a chance."
    ),
    "The number of guided samples is missing in the copy of the paper that this project has.",
)


def table2(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A line for each set, and for what was made of held-out reals."""
    facts, bits = load_facts(inputs["measured"]), load_arrays(inputs["measured"], ["bits"])["bits"]
    titles, values = row_titles(settings), dict(zip(facts["rows"], bits, strict=True))
    printed = _printed(inputs["reported"])
    lines = [_line(name, values, titles, printed, settings) for name in facts["rows"]]
    report, side = facts["report"], settings["side"]
    kind = "brightness" if settings["grey"] else "colours"
    return Table(
        title="Table 2 of low-density diffusion: exact likelihood under a flow",
        frame=pd.DataFrame(lines),
        columns=[
            Column("title", "images"),
            Column("bits", "bits/dim", 3, low="bits_low", high="bits_high"),
            Column(
                "change",
                "minus held-out reals",
                format="+.3f",
                low="change_low",
                high="change_high",
            ),
            Column(
                "likelier",
                "likelier than a held-out real",
                3,
                low="likelier_low",
                high="likelier_high",
            ),
            Column("paper_bits", "paper", 1, of_paper=True),
        ],
        introduction=(
            f"{block_title(settings['names'])}: negative log-likelihood of {lines[0]['n']:,} images of each kind, "
            f"their {kind} at {side} x {side} pixels. Fewer bits are more likely; even noise has 8. The flow learned "
            f"from {report['images']:,} training images, {report['best']} of {report['epochs']} epochs, seed "
            f"{report['seed']}."
        ),
        notes=[
            NOTES[0].format(levels=settings["levels"]),
            *NOTES[1:],
            _flow_note(report, settings),
        ],
    )


def row_titles(settings: Mapping[str, Any]) -> dict[str, str]:
    """How table and figure call their rows, by name."""
    made = {"edges": "edges of held-out reals", "posterised": "posterised held-out reals"}
    made["other"] = settings["other"]
    return {"training": "training images"} | settings["titles"] | made


def _line(
    name: str,
    values: Mapping[str, np.ndarray],
    titles: Mapping[str, str],
    printed: Mapping[str, float],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    own, reals = values[name], values["held_out"]
    line = settings["names"] | {"set": name, "title": titles[name], "n": len(own)}
    line |= dict(zip(("bits", "bits_low", "bits_high"), t_interval(own), strict=True))
    change = likelier = Estimate(np.nan)
    if name != "held_out":
        change = difference(Mean.of(own), Mean.of(reals))
        likelier = chance_to_exceed(-own, -reals)
    for key, found in (("change", change), ("likelier", likelier)):
        line |= {key: found.effect, f"{key}_low": found.low, f"{key}_high": found.high}
        line |= {f"{key}_p": found.p}
    return line | {"paper_bits": printed.get(PAPER.get(name, ""), np.nan)}


def _printed(reported: str) -> dict[str, float]:
    rows = pd.read_csv(reported)
    rows = rows[rows["target"].eq("table2") & rows["metric"].eq("bits_per_dimension")]
    return dict(zip(rows["setting"], rows["value"], strict=True))


def _flow_note(report: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    first, best = report["held_out"]
    return (
        f"A Gaussian with affine couplings (`density/pixel_flow.py`), no DenseFlow: on training images that only said "
        f"when to stop, couplings raised the log-density of logits from {first:.1f} to {best:.1f} nats an image. "
        "That it knows other images than those it learned from is seen in the first two lines. "
        + held_out_note(settings["split"])
        + " The flow learned from none of them."
    )
