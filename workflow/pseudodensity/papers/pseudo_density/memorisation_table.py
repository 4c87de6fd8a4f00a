"""Memorisation: samples against the training images and against as many held-out real images.

`memorisation` wants
    inputs: all files that the settings name.
    settings: ``judge``, whose features are compared; ``mirrored``, titles of the data sets that are
    flipped in training; ``blocks``, a dict per block: block, model, dataset, stands_for, and either
    ``why`` it does not apply, or ``training`` (``features``, npy), ``held_out`` (parts of a pool of
    real images), ``reals`` (of each side), ``samples`` (of each row) and ``rows``: setting, tau, w,
    ``pool`` (parts) and its ``first`` row. A part of a pool: ``described``, safetensors.

A line of the CSV also has the pairs of lowest ratio: ``sample_1`` is a row of the pool, ``training_1`` of
the data set, ``held_out_1`` of the pool of real images, with their distances.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from pseudodensity.artifacts import load_npy
from pseudodensity.progress import Progress
from pseudodensity.report.samples import load_arrays
from pseudodensity.report.statistics import CONFIDENCE
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title, setting_title

__all__ = ["PAIRS", "RANKS", "memorisation"]

PAIRS = 2  # of lowest ratio, of each row
NAMES = ("block", "dataset", "stands_for", "model")
RANKS = range(1, PAIRS + 1)
OF_PAIR = ("sample", "ratio", "training", "to_training", "held_out", "to_held_out")
ROWS_OF_PAIR = ("sample", "training", "held_out")
COUNTS = ("n", "n_real", *(f"{name}_{i}" for i in RANKS for name in ROWS_OF_PAIR))

INTRODUCTION = (
    "The ratio of a sample is its distance to the nearest training image over its distance to the nearest "
    "of as many held-out real images. Where nothing is memorised, chance decides which is nearer."
)
NOTES = (
    (
        "*nearer to training*: share of samples with a ratio below 1. *chance*: where this share lies in "
        "95 % of all ways to call half of these real images the training images (normal approximation). "
        "It is wide for a model whose samples are alike: they have one nearest image, and one chance."
    ),
    (
        "*1 % tail*: the ratio that 1 % of the samples do not exceed; near 0 where there are copies. "
        "Samples far from all real images have ratios near 1."
    ),
    (
        "*held-out real images*: further ones in the place of samples. The judge may have learned from the "
        "training images, so compare with this row too. Real images lie close to both sides, so the tail "
        "of this row is lower than that of imprecise samples: a tail below it speaks of copies."
    ),
)


def memorisation(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """The table, see the module for inputs and settings.

    Raises:
        ArtifactError: a file is missing, damaged or of something else.
    """
    blocks, lines = settings["blocks"], []
    progress = Progress("memorisation", len(blocks), "blocks")
    for done, block in enumerate(blocks):
        progress.update(done, now=block["block"])
        lines += _lines(block, settings["judge"])
    progress.update(len(blocks))
    frame = pd.DataFrame(lines, columns=_names()).astype(dict.fromkeys(COUNTS, "Int64"))
    mirrored = ", ".join(settings["mirrored"])
    notes = [*NOTES, f"Distances are those of the features of {settings['judge']}."]
    if mirrored:
        notes.append(
            f"Training also shows mirrored images ({mirrored}). They are no side of their own here: a copy "
            "of one is found as far as the judge overlooks the mirror."
        )
    return Table(
        title="Memorisation: training images against held-out real images",
        frame=frame,
        columns=[
            Column("setting", ""),
            Column("nearer_training", "nearer to training", 3),
            Column("chance_low", "chance: from", 3),
            Column("chance_high", "to", 3),
            Column("median_ratio", "median ratio", 3),
            Column("tail_ratio", "1 % tail", 3),
            Column("ratio_1", "lowest ratio", 3),
            Column("note", "note", optional=True),
        ],
        section="block",
        section_titles={block["block"]: block_title(block) for block in blocks},
        section_notes={
            block["block"]: (
                f"{block['samples']:,} samples of each row; {block['reals']:,} training and as many "
                "held-out real images."
            )
            for block in blocks
            if "why" not in block
        },
        introduction=INTRODUCTION,
        notes=notes,
    )


def _names() -> list[str]:
    return [
        *(*NAMES, "role", "setting", "tau_percent", "w", "n", "n_real"),
        *("nearer_training", "chance_low", "chance_high"),
        *("median_ratio", "tail_ratio", "note"),
        *(f"{name}_{i}" for i in RANKS for name in OF_PAIR),
    ]


def _lines(block: Mapping[str, Any], judge: str) -> list[dict[str, Any]]:
    """Lines of the CSV of one block: a row of each, or one that says why there is none."""
    known = {name: block[name] for name in NAMES}
    if "why" in block:
        return [known | {"setting": "all models", "note": block["why"]}]
    # Here, because torch takes seconds and the table's module is read by all.
    from pseudodensity.metrics.training_ratio import chance_spread, summary, training_ratio

    training = load_npy(block["training"]["features"])
    held_out = _features(block["held_out"], judge, 0, block["reals"])
    lines = []
    for row in block["rows"]:
        fakes = _features(row["pool"], judge, row["first"], block["samples"])
        found = training_ratio(training, held_out, fakes)
        line = known | {"role": row["setting"], "tau_percent": row["tau"], "w": row["w"]}
        line["setting"] = setting_title(row["setting"], row["w"], "held-out real images")
        line |= {"n": len(fakes), "n_real": len(training)} | summary(found.ratio)
        half = ndtri(0.5 + CONFIDENCE / 2) * chance_spread(found, len(training))
        line |= {"chance_low": max(0, 0.5 - half), "chance_high": min(1, 0.5 + half)}
        for i, sample in enumerate(np.argsort(found.ratio, kind="stable")[:PAIRS], 1):
            line |= {f"{name}_{i}": values[sample] for name, values in vars(found).items()}
            line[f"sample_{i}"] = row["first"] + sample
        lines.append(line)
    return lines


def _features(parts: Sequence[Mapping[str, Any]], judge: str, first: int, count: int) -> np.ndarray:
    """Features (count, d) of the judge of some rows of a pool, from its parts in order."""
    name = f"features.{judge}"
    joined = np.concatenate([load_arrays(part["described"], [name])[name] for part in parts])
    return joined[first : first + count]
