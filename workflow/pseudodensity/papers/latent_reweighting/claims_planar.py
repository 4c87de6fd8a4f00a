"""Claim 003-1: latentRS against every rival in the plane."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pseudodensity.papers.latent_reweighting.table1 import LAWS, METHODS
from pseudodensity.report.claims import Contrast, Line, block_line, untested
from pseudodensity.report.statistics import paired

__all__ = ["REMARK", "planar_lines"]

RIVALS = ("plain", "drs", "sir", "mh", "obrs", "dot")
REMARK = (
    "*effect*: W1 of latentRS minus that of a rival on the same real sets, the mean over the evaluations; "
    "the interval is over trainings of generator, discriminator and weights. The paper's rivals are plain, "
    "DRS, SIR and DOT; MH-GAN and OBRS are ours. Its own numbers fit the squared cost and one training."
)


def planar_lines(found: Mapping[str, list[dict]]) -> list[Line]:
    """A line for each law and rival; found: of `table1.evaluations`."""
    return [line for law, trainings in found.items() for line in _of_law(law, trainings)]


def _of_law(law: str, trainings: list[dict]) -> Iterator[Line]:
    for rival in RIVALS:
        # Second to DOT on the Gaussians is all that the paper claims to lose.
        sign = 1 if (law, rival) == ("gaussians", "dot") else -1
        words = f"W1 of latentRS minus that of {METHODS[rival][0]}, {LAWS[law][0]}"
        if not all({rival, "latent_rs"} <= set(one["scores"]) for one in trainings):
            yield untested("003-1", words, "a training has no usable setting of one of the two")
            continue
        differences = [
            float((one["scores"]["latent_rs"]["w1"] - one["scores"][rival]["w1"]).mean())
            for one in trainings
        ]
        names = {"block": law, "dataset": LAWS[law][0], "model": "WGAN-GP"}
        note = "interval over trainings" if len(trainings) > 1 else "one training: no interval"
        yield block_line(
            Contrast("003-1", words, sign),
            paired(differences),
            names,
            seeds=len(trainings),
            note=note,
        )
