"""What the pictures share: sizes, colours of the rows, and sentences of their captions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pseudodensity.papers.low_density.refusal import told_of_beta
from pseudodensity.report.drawing import BLACK, GREY, PALETTE
from pseudodensity.report.titles import block_title

__all__ = [
    "CELL",
    "HEADS",
    "LABELS",
    "NUMBER",
    "TITLE",
    "colour_of",
    "picture_caption",
    "strengths",
]

# Inches: image, names of columns, names of lines, room below an image for a number, title.
CELL, HEADS, LABELS, NUMBER, TITLE = 0.62, 0.22, 1.1, 0.17, 0.35
COLOURS = {"plain": BLACK, "guided": PALETTE[3], "random direction": GREY}


def colour_of(name: str) -> str:
    """Of the name of a row: plain, guided and its control have theirs; others are black."""
    return COLOURS.get(name, BLACK)


def strengths(guided: Mapping[str, Any]) -> str:
    """Loss and strengths of the guided images, in words."""
    beta = f", β = {guided['beta']:g}" if guided["beta"] else ""
    return f"{guided['loss'].replace('_', ' ')}, α = {guided['alpha']:g}{beta}"


def picture_caption(panel: Mapping[str, Any], said: str, notes: Iterable[object]) -> str:
    """Model and data, what is shown, and why H' gave no push where it gave none."""
    return f"{block_title(panel)}. {said} {told_of_beta(notes)}".rstrip()
