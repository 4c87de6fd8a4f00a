"""Figures 4, 7, 12 and 16: references, each beside the rarest sample that was searched around it.

``inputs``: ``sets``, an experiment `searched_images` of each model; ``attributes``, where there are some, an experiment
`attributes` of each. ``settings``: ``panels``, see `caption_of`; ``cell``, inches of an image; ``across``, pairs in a
line; with attributes ``attribute_sets``, see `changed_pairs`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from pseudodensity.papers.diverse_rare.boxes import MARKED
from pseudodensity.papers.diverse_rare.changed import RARE, changed_pairs
from pseudodensity.papers.diverse_rare.pictured import (
    Searched,
    caption_of,
    counted,
    open_searched,
    rarity_words,
)
from pseudodensity.report.drawing import finish, show_images, theme
from pseudodensity.report.titles import block_title

__all__ = ["variant_pairs_figure"]

TITLE, GAP = 0.3, 0.2  # inches: title of a model, from pair to pair
SIZE, LEADING = 7.5, 9.5  # points: letters below a pair, from line to line
LETTER = 0.058  # inches of a letter of that size

Lines = list[tuple[str, bool]]  # text, and whether it is bold


def variant_pairs_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A part for each model; below each pair its rarities, how far it is, and what changed."""
    sets, panels = [open_searched(path) for path in inputs["sets"]], settings["panels"]
    cell, across = settings["cell"], settings["across"]
    letters = int((2 * cell + GAP / 2) / LETTER)
    lines = [
        [_wrapped(each, letters) for each in own]
        for own in _told(sets, inputs.get("attributes"), settings)
    ]
    down = [-(-len(own) // across) for own in lines]
    heights = [
        TITLE + rows * (cell + max(map(len, own)) * LEADING / 72 + GAP)
        for own, rows in zip(lines, down, strict=True)
    ]
    with theme():
        figure = Figure(figsize=(across * (2 * cell + GAP), sum(heights)))
        parts = figure.subfigures(len(sets), 1, squeeze=False, height_ratios=heights).ravel()
        for part, own, words, panel in zip(parts, sets, lines, panels, strict=True):
            _draw(part, own, words, across)
            part.suptitle(block_title(panel), x=0.01, ha="left", weight="bold", size=10)
        return finish(figure, caption_of(panels, _said(sets, "attributes" in inputs)))


def _told(
    sets: Sequence[Searched], attributes: Sequence[str] | None, settings: Mapping[str, Any]
) -> list[list[Lines]]:
    """What stands below each pair of each model."""
    found = []
    for number, own in enumerate(sets):
        known = [_numbers(own, place) for place in range(len(own.reference))]
        if attributes is not None:
            names = settings["attribute_sets"]
            changes = changed_pairs(attributes[number], names, own.reference, own.sample[0, :, 0])
            known = [[line, *more] for line, more in zip(known, changes, strict=True)]
        else:
            known = [[line] for line in known]
        found.append(known)
    return found


def _numbers(own: Searched, place: int) -> tuple[str, bool]:
    before, after = own.reference_rarity[place], own.rarity[0, place, 0]
    words = f"{rarity_words(before)} → {rarity_words(after)}"
    # No line break before the unit.
    return f"{words}, {own.nearness[0, place, 0]:.2f}\u00a0d*", False


def _wrapped(lines: Lines, letters: int) -> Lines:
    return [(part, bold) for text, bold in lines for part in textwrap.wrap(text, letters)]


def _draw(part: SubFigure, own: Searched, words: Sequence[Lines], across: int) -> None:
    references, samples = own.boxed_references(), own.boxed_images(0)[:, 0]
    down = -(-len(references) // across)
    places = part.subplots(down, across, squeeze=False).ravel()
    for axes, *images, lines in zip(places, references, samples, words, strict=False):
        show_images(axes, np.stack(images), 2)
        _write_below(axes, lines)
    for axes in places[len(references) :]:
        axes.set_axis_off()


def _write_below(axes: Axes, lines: Lines) -> None:
    """Lines of text of which some are bold."""
    place = {"xycoords": "axes fraction", "textcoords": "offset points"}
    for number, (text, bold) in enumerate(lines):
        axes.annotate(
            text,
            (0, 0),
            **place,
            xytext=(0, -2 - number * LEADING),
            va="top",
            fontsize=SIZE,
            weight="bold" if bold else "normal",
            parse_math=False,
        )


def _said(sets: Sequence[Searched], attributes: bool) -> list[str]:
    said = [
        (
            "Each pair: a reference, and the rarest of those of its samples that were found feasible. The judge chose it: "
            "its rarity is that of a best of N. Below: rarity before and after, and its distance in units of d*."
        ),
        f"{counted(sets)}, in the order in which they were drawn.",
    ]
    if attributes:
        said.append(
            "Then the attributes that a classifier reads otherwise than in the reference, before and after; bold "
            f"where at most {RARE:.0%} of the data have the new value."
        )
    return [*said, MARKED]
