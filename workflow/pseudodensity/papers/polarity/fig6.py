"""Figure 6 in numbers: distance of samples to their nearest training images, by polarity.

``inputs``: ``measured``, an experiment for each panel. ``settings``: ``panels``, of each block, model, dataset
and stands_for of the model, and its ``kind``, GAN or VAE; ``k``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pseudodensity.papers.polarity.spread import COLUMNS, INTERVALS, spread_lines
from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.table import Table
from pseudodensity.report.titles import block_title

__all__ = ["SPACES", "fig6"]

SPACES = ("pixels", "features")


def fig6(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A section for each model and space, a line for each set of images."""
    lines, images = [], 0
    for panel, path in zip(settings["panels"], inputs["measured"], strict=True):
        facts, arrays = load_facts(path), load_arrays(path, SPACES)
        images = arrays["pixels"].shape[1]
        words = {"pixels": "pixels", "features": f"features of {facts['extractor']}"}
        for space in SPACES:
            # A number for each image: its k distances are not independent.
            means = [own.mean(axis=1) for own in arrays[space]]
            named = dict(panel) | {"space": space}
            named["section"] = f"{block_title(panel)}, {words[space]}"
            lines += [named | line for line in spread_lines(facts["rows"], means)]
    return Table(
        title="Figure 6 of polarity sampling: distance to the nearest training images",
        frame=pd.DataFrame(lines),
        columns=COLUMNS,
        section="section",
        introduction=(
            f"Distance of an image to its {settings['k']} nearest training images, their mean; {images:,} images "
            "of each kind."
        ),
        notes=[
            (
                "Samples are drawn without replacement: an effective sample size far below the number of images "
                "says that the exponent is stronger than so many latents can follow."
            ),
            (
                "These features neither steer a method nor judge in a table. Held-out real images are fresh ones "
                "of the same law, where there is one: a model that copies comes nearer than they do."
            ),
            INTERVALS,
        ],
    )
