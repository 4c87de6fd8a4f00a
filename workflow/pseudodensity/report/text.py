"""What of a table is shown, as text that is not yet escaped: cells, sections and pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Cell", "Page", "Section"]


@dataclass(frozen=True)
class Cell:
    """What stands in a cell. of_paper: printed by the paper, not measured here."""

    text: str
    is_number: bool = False
    of_paper: bool = False


@dataclass(frozen=True)
class Section:
    """Lines under one heading: title and note ("" for none), heads of the columns, whether each
    is aligned to the left, and lines of cells. A line with a single cell speaks of lines that are
    left out."""

    title: str
    note: str
    heads: Sequence[str]
    left: Sequence[bool]
    lines: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Page:
    """A table with all that stands around it. Title, introduction and notes, as the titles and
    notes of its sections, are sentences that may hold *emphasis*, **strong** and `code`.
    summary: a page to read first."""

    title: str
    introduction: str
    sections: Sequence[Section]
    notes: Sequence[str] = ()
    summary: Page | None = None
