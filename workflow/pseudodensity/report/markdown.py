"""Tables as Markdown, and as aligned text for a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pseudodensity.report.text import Cell, Page, Section

__all__ = ["aligned", "escape", "markdown_text"]

# Characters that begin markup or a formula wherever they stand; `_` does so at a word's edge only.
_SPECIALS = re.compile(r"[\\|*`<\[\]~$]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)")


def escape(text: str) -> str:
    """Plain text so that Markdown shows it as it is, in one line of a table."""
    return _SPECIALS.sub(lambda found: "\\" + found[0], " ".join(text.split()))


def markdown_text(page: Page) -> str:
    """A whole page: title, introduction, summary, sections and notes."""
    text = [f"# {page.title}", "", *_paragraph(page.introduction)]
    if page.summary:
        text += [f"## {page.summary.title}", "", *_paragraph(page.summary.introduction)]
        text += [line for section in page.summary.sections for line in _section(section)]
    text += [line for section in page.sections for line in _section(section)]
    if page.notes:
        text += ["## How to read it", "", *(f"- {_one_line(note)}" for note in page.notes), ""]
    return "\n".join(text)


def _paragraph(text: str) -> list[str]:
    return [_one_line(text), ""] if text else []


def _section(section: Section) -> list[str]:
    text = [f"## {section.title}", ""] if section.title else []
    text += _paragraph(section.note)
    text += [f"| {' | '.join(escape(head) for head in section.heads)} |"]
    text += [f"|{'|'.join('-' if left else '-:' for left in section.left)}|"]
    return [*text, *(_line(cells, len(section.heads)) for cells in section.lines), ""]


def _line(cells: Sequence[Cell], width: int) -> str:
    shown = [_cell(cell) for cell in cells]
    # A line that stands for others has one cell.
    return f"| {' | '.join(shown + [''] * (width - len(shown)))} |"


def _cell(cell: Cell) -> str:
    text = cell.text if cell.is_number else escape(cell.text)
    return f"*{text}*" if cell.of_paper else text


def _one_line(text: str) -> str:
    return " ".join(text.split())


def aligned(section: Section, width: int = 100) -> str:
    """A section as a Markdown table whose columns line up, for a terminal.

    No line is longer than `width` characters: the first column gives way, down to one character
    and an ellipsis.

    Raises:
        ValueError: the other columns alone are too wide.
    """
    rows = [list(section.heads), *([cell.text for cell in line] for line in section.lines)]
    rows = [[text.replace("|", r"\|") for text in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    room = width - sum(widths[1:]) - 3 * len(widths) - 1
    if room < 2:
        raise ValueError(f"a table of {len(widths)} columns does not fit {width} characters")
    widths[0] = min(widths[0], room)
    rows = [[_cut(row[0], widths[0]), *row[1:]] for row in rows]
    ends = ["-" if is_left else ":" for is_left in section.left]
    rule = "|".join("-" * (n + 1) + end for n, end in zip(widths, ends, strict=True))
    lines = [_padded(row, widths, section.left) for row in rows]
    return "\n".join([section.title, "", lines[0], f"|{rule}|", *lines[1:]]) + "\n"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _padded(row: Sequence[str], widths: Sequence[int], left: Sequence[bool]) -> str:
    cells = [
        text.ljust(width) if is_left else text.rjust(width)
        for text, width, is_left in zip(row, widths, left, strict=True)
    ]
    return f"| {' | '.join(cells)} |"
