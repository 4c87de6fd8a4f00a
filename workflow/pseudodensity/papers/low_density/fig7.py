"""Figures 7 and 17 in numbers: hardness, AvgkNN and LOF of every set of images.

``inputs``: ``measured``, an experiment `sparsity` for each extractor. ``settings``: ``figure``, 7 or 17;
``extractors``, in that order; ``titles`` of the sets by name; ``names``, block, model, dataset and stands_for
of the diffusion model; ``split``, whether held-out reals are taken from the data set; ``loss`` of guidance;
``k``, neighbours by measure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.report.ranks import chance_to_exceed, distance_of_laws, median_interval
from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.statistics import Estimate
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["MEASURES", "fig7", "held_out_note", "measured_values"]

MEASURES = {"hardness": "hardness (nats)", "avg_knn": "AvgkNN", "lof": "LOF"}
# Sets with which all others are compared -> the column's name and its head.
REFERENCES = {"plain": "above a plain image", "held_out": "above a held-out real"}
# Mean of the largest absolute value of a Brownian bridge, sqrt(pi / 2) log 2.
ONE_LAW = 0.8687
INTERVALS = (
    "Intervals: 95 % over the images of one trained model and one training of the networks of guidance. Of a "
    "median between two images (sign test); of a chance Brunner and Munzel's, as if sets were independent: plain "
    "and guided images of the same latents are not, so that theirs are on the wide side."
)
CORRECTION = (
    "The paper's sentence that BigGAN's samples are predominantly from LOW-density regions must read HIGH-density: "
    "its Figures 1 and 7 and its introduction say so."
)


def fig7(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A section for each extractor and measure, a line for each set."""
    lines = []
    for extractor, path in zip(settings["extractors"], inputs["measured"], strict=True):
        lines += _lines(path, extractor, settings)
    facts = load_facts(inputs["measured"][0])
    count, number = lines[0]["n"], settings["figure"]
    subject = {7: "how sparse the reals are around each set", 17: "the same in other features"}
    return Table(
        title=f"Figure {number} of low-density diffusion: {subject[number]}",
        frame=pd.DataFrame(lines),
        columns=[
            Column("title", "images"),
            Column("median", "median", 3, low="median_low", high="median_high"),
            *(
                Column(f"above_{name}", head, 3, low=f"above_{name}_low", high=f"above_{name}_high")
                for name, head in REFERENCES.items()
            ),
            Column("distance", "distance to held-out reals", 3),
        ],
        section="section",
        introduction=(
            f"{block_title(settings['names'])}: {count:,} images of each set, judged by {facts['reference']:,} "
            f"training images. More is harder, or farther from the reals."
        ),
        notes=_notes(facts["classes"], count, settings),
    )


def measured_values(path: str) -> dict[str, dict[str, np.ndarray]]:
    """Measure -> set -> values (n,) of an experiment `sparsity`."""
    names, arrays = load_facts(path)["sets"], load_arrays(path, list(MEASURES))
    return {
        measure: dict(zip(names, arrays[measure].astype(np.float64), strict=True))
        for measure in MEASURES
    }


def held_out_note(split: bool) -> str:
    """Where the held-out reals come from."""
    if split:
        return (
            "Held-out reals are training images drawn at random, which neither the Gaussians nor the neighbours "
            "hold; the diffusion model, the GAN and the extractors learned from them too, as no other images of "
            "this data set are at hand."
        )
    return "Held-out reals are fresh images of the law of the data, from which no network learned."


def _notes(classes: bool, count: int, settings: Mapping[str, Any]) -> list[str]:
    neighbours, loss = settings["k"], settings["loss"].replace("_", " ")
    judged = "the image's own class" if classes else "the nearest class, as not all are known"
    notes = [
        (
            "*above a plain image*: the chance that an image of the set has a greater value than one of the "
            "plain sampler, 0.5 where both have one law. *distance*: the largest difference of the "
            "distribution functions (Kolmogorov and Smirnov); two sets of one law with so many images have "
            f"{ONE_LAW * np.sqrt(2 / count):.2f} on average."
        ),
        (
            f"AvgkNN has k = {neighbours['avg_knn']}, LOF k = {neighbours['lof']}. Hardness is that of {judged}. "
            "Plain images, guided ones and those of the random direction have the same latents and noise; "
            f"guidance is by the {loss} loss and β = 0 (the paper: α = β = 0.5)."
        ),
        held_out_note(settings["split"]),
        INTERVALS,
    ]
    return [*notes, CORRECTION] if settings["figure"] == 7 else notes


def _lines(path: str, extractor: str, settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for measure, values in measured_values(path).items():
        section = MEASURES[measure]
        if len(settings["extractors"]) > 1:
            section = f"{extractor}: {section}"
        for name, own in values.items():
            line = settings["names"] | {"extractor": extractor, "measure": measure, "set": name}
            line |= {"section": section, "title": settings["titles"][name], "n": len(own)}
            line |= dict(
                zip(("median", "median_low", "median_high"), median_interval(own), strict=True)
            )
            for reference in REFERENCES:
                other = values[reference]
                found = Estimate(np.nan) if name == reference else chance_to_exceed(own, other)
                line |= _named(f"above_{reference}", found)
            apart = distance_of_laws(own, values["held_out"]) if name != "held_out" else np.nan
            yield line | {"distance": apart}


def _named(name: str, found: Estimate) -> dict[str, float]:
    ends = {f"{name}_{end}": getattr(found, end) for end in ("low", "high", "p")}
    return {name: found.effect} | ends
