"""The project's own Markdown, read back: tables that a run wrote, and the glossary.

What stands in a Markdown table was written by `report.markdown`, whose inverse `read_page` is, but names
of data sets and models in it come from whoever wrote the config. So everything leaves here as text, or
as HTML in which all but the marks of emphasis is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from markupsafe import Markup, escape

from pseudodensity.report.text import Cell, Page, Section

__all__ = ["inline", "read_glossary", "read_page"]

NOTES = "How to read it"
LONGEST = 5_000_000  # characters; a table of all images of a data set has no Markdown
_MARKS = (
    (re.compile(r"`([^`]+)`"), r"<code>\1</code>"),
    (re.compile(r"\*\*([^*]+)\*\*"), r"<strong>\1</strong>"),
    (re.compile(r"\*([^*]+)\*"), r"<em>\1</em>"),
    (re.compile(r"\[([^\]]+)\]\([^)\s]*\)"), r"\1"),
)
_ESCAPED = re.compile(r"\\(.)")
_BARS = re.compile(r"(?<!\\)((?:\\\\)*)\|")


def inline(text: str) -> Markup:
    """A sentence with *emphasis*, **strong**, `code` and links as HTML; of a link the words are kept."""
    # A character behind a backslash is set aside first, so that it is no mark.
    kept = [str(escape(found)) for found in _ESCAPED.findall(text)]
    marked = str(escape(_ESCAPED.sub("\0", text.replace("\0", ""))))
    for pattern, html in _MARKS:
        marked = pattern.sub(html, marked)
    for character in kept:
        marked = marked.replace("\0", character, 1)
    return Markup(marked)


def read_page(text: str) -> Page:
    """A table's Markdown, as `report.markdown.markdown_text` writes it. A summary becomes the first
    sections.

    Raises:
        ValueError: it has no title, or is longer than any table of ours.
    """
    if not text.startswith("# ") or len(text) > LONGEST:
        raise ValueError("a table's Markdown begins with its title: delete it and run again")
    head, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    title, _, body = head.removeprefix("# ").partition("\n")
    introduction, sections = _part("", body)
    notes = []
    for part in parts:
        heading, _, body = part.partition("\n")
        if heading == NOTES:
            notes = [line.removeprefix("- ") for line in body.splitlines() if line]
            continue
        note, tables = _part(heading, body)
        sections += tables or [Section(heading, note, [], [], [])]
    return Page(title, introduction, sections, notes)


def _part(title: str, body: str) -> tuple[str, list[Section]]:
    """Paragraphs, and the tables below them: below a summary stands the table itself, without a title."""
    lines = body.splitlines()
    words = " ".join(line for line in lines if line and not line.startswith("|"))
    runs = [
        list(run) for is_table, run in groupby(lines, lambda line: line.startswith("|")) if is_table
    ]
    sections = []
    for heads, rule, *rows in (map(_split, run) for run in runs if len(run) > 1):
        left = [not mark.endswith(":") for mark in rule]
        named = (title, words if title else "") if not sections else ("", "")
        cells = [_cells(row, left) for row in rows]
        sections.append(Section(*named, list(map(_plain, heads)), left, cells))
    return words, sections


def _split(line: str) -> list[str]:
    """Cells of a line, still escaped."""
    inside = line.strip().removeprefix("|").removesuffix("|")
    return [cell.strip() for cell in _BARS.sub("\\1\n", inside).split("\n")]


def _cells(row: Sequence[str], left: Sequence[bool]) -> list[Cell]:
    if row[0].startswith("… ") and not any(row[1:]):
        return [Cell(_plain(row[0]))]
    return [_cell(text, is_left) for text, is_left in zip(row, left, strict=True)]


def _cell(text: str, is_left: bool) -> Cell:
    of_paper = len(text) > 2 and text[0] == text[-1] == "*" and text[-2] != "\\"
    plain = _plain(text[1:-1] if of_paper else text)
    return Cell(plain, is_number=not is_left or plain == "–", of_paper=of_paper)


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


def read_glossary(text: str) -> list[tuple[str, Markup]]:
    """Words and what they mean, in the order of docs/glossary.md: a paragraph for each, which begins
    with the word in bold."""
    paragraphs = (" ".join(part.split()) for part in text.split("\n\n"))
    found = [re.match(r"\*\*(.+?)\*\*\s*(.*)", part) for part in paragraphs]
    return [(match[1], inline(match[2].lstrip(": "))) for match in found if match]
