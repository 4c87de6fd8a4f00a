"""Tables of all papers: what a table says, and the one writer of its CSV, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from pseudodensity.artifacts import atomic_path
from pseudodensity.report.latex import latex_text
from pseudodensity.report.markdown import markdown_text
from pseudodensity.report.text import Cell, Page, Section

__all__ = ["Column", "Table", "page", "write_csv", "write_table"]

NOTHING = "–"


@dataclass(frozen=True)
class Column:
    """One column of what people read.

    name: column of the frame. head: plain text above it. decimals, or format: a format
    specification such as ``+.3f`` (decimals 3 is ``.3f``); without either a whole number gets
    separators of thousands, a float six significant digits. spread: column shown behind the value
    as ±. low, high: columns shown behind it as an interval. words: what to write for a text,
    where that is not the text itself. of_paper: what the paper prints, set
    in italics. optional: left out where it holds nothing. in_latex: shown there too, which has the
    width of a page. align: left | right; without it, text is left.
    """

    name: str
    head: str
    decimals: int | None = None
    format: str | None = None
    spread: str | None = None
    low: str | None = None
    high: str | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    of_paper: bool = False
    optional: bool = False
    in_latex: bool = True
    align: str | None = None


@dataclass(frozen=True)
class Table:
    """A table of a paper.

    title, introduction, notes, section_notes: sentences that may hold Markdown's *emphasis* and
    `code`. frame: goes whole into the CSV. columns: what Markdown and LaTeX show. section: column
    whose value begins a section, in the order of the frame; section_titles and section_notes say
    for a value what stands above and below its heading (a value without title is its own).
    shown_rows: Markdown and LaTeX show only so many lines from each end, and say so. summary: a
    shorter table to read first; it is not in the CSV.
    """

    title: str
    frame: pd.DataFrame
    columns: Sequence[Column]
    section: str | None = None
    section_titles: Mapping[Hashable, str] = field(default_factory=dict)
    section_notes: Mapping[Hashable, str] = field(default_factory=dict)
    introduction: str = ""
    notes: Sequence[str] = ()
    shown_rows: int | None = None
    summary: Table | None = None


def write_table(table: Table, csv: str | Path, md: str | Path, tex: str | Path) -> None:
    """Write a table to compute with, to read and to paste, each whole or not at all.

    CSV as `write_csv`. LaTeX needs the packages that its first line names; it is never wider than
    the page.

    Raises:
        ValueError: a column of the table is not in its frame.
    """
    texts = {
        md: markdown_text(page(table)),
        tex: latex_text(page(replace(table, columns=[c for c in table.columns if c.in_latex]))),
    }
    write_csv(table.frame, csv)
    for path, text in texts.items():
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def write_csv(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a frame with 6 significant digits and `\\n` line ends, so that the file is stable."""
    floats = frame.select_dtypes("float")
    # Adding 0 turns -0 into 0.
    stable = frame.assign(**{name: floats[name] + 0.0 for name in floats})
    with atomic_path(path) as temporary:
        stable.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")


# ------------------------------------------------------------------------------ frame -> text


def page(table: Table) -> Page:
    """What Markdown and LaTeX show of a table.

    Raises:
        ValueError: a column of the table is not in its frame.
    """
    named = {n for c in table.columns for n in (c.name, c.spread, c.low, c.high) if n}
    missing = sorted((named | {table.section} - {None}) - set(table.frame.columns))
    if missing:
        raise ValueError(f"table {table.title!r} shows columns that its frame lacks: {missing}")
    return Page(
        title=table.title,
        introduction=table.introduction,
        sections=[_section(table, value, lines) for value, lines in _parts(table)],
        notes=table.notes,
        summary=page(table.summary) if table.summary else None,
    )


def _parts(table: Table) -> Iterator[tuple[Hashable, pd.DataFrame]]:
    frame = table.frame.reset_index(drop=True)
    if table.section is None:
        yield None, frame
    else:
        yield from frame.groupby(table.section, sort=False, dropna=False)


def _section(table: Table, value: Hashable, lines: pd.DataFrame) -> Section:
    columns = [c for c in table.columns if not c.optional or lines[c.name].notna().any()]
    return Section(
        title=table.section_titles.get(value, "" if value is None else str(value)),
        note=table.section_notes.get(value, ""),
        heads=[column.head for column in columns],
        left=[_is_left(column, table.frame[column.name]) for column in columns],
        lines=list(_lines(table, columns, lines)),
    )


def _lines(
    table: Table, columns: Sequence[Column], lines: pd.DataFrame
) -> Iterator[Sequence[Cell]]:
    """Lines of a section; those in the middle of a long table are one line that counts them."""
    total, shown = len(table.frame), table.shown_rows
    hidden = range(shown, total - shown) if shown is not None else range(0)
    skipped = [index for index in lines.index if index in hidden]
    for index, line in zip(lines.index, lines.to_dict("records"), strict=True):
        if index not in hidden:
            yield [_cell(column, line) for column in columns]
        elif index == skipped[0]:
            word = "line" if len(skipped) == 1 else "lines"
            yield [Cell(f"… {len(skipped):,} {word} more in the CSV …")]


def _is_left(column: Column, values: pd.Series) -> bool:
    if column.align:
        return column.align == "left"
    is_number = is_numeric_dtype(values) and not is_bool_dtype(values)
    return not (is_number or column.of_paper or values.isna().all())


def _cell(column: Column, line: Mapping[str, Any]) -> Cell:
    value = line[column.name]
    if pd.isna(value) or value == "":
        return Cell(NOTHING, is_number=True)
    if isinstance(value, str | bool):
        named = {True: "yes", False: "no"} if isinstance(value, bool) else column.words
        text = named.get(value, value)
        return Cell(text, of_paper=column.of_paper)
    text = _number(column, value)
    if column.spread and not pd.isna(line[column.spread]):
        text += f" ± {_number(column, line[column.spread])}"
    if column.low and column.high and not pd.isna(line[column.low]):
        text += f" [{_number(column, line[column.low])}, {_number(column, line[column.high])}]"
    return Cell(text, is_number=True, of_paper=column.of_paper)


def _number(column: Column, value: float) -> str:
    if column.format is not None:
        form = column.format
    elif column.decimals is not None:
        form = f".{column.decimals}f"
    else:
        form = "," if isinstance(value, int) else ".6g"
    text = format(value, form).replace("inf", "∞")
    # A value that rounds to nothing has no sign.
    return text[1:] if text.startswith("-") and not text.strip("-0.,%") else text
