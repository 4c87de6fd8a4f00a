"""Tables as LaTeX: booktabs in a longtable, as wide as the page and as long as it must be."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pseudodensity.report.text import Cell, Page, Section

__all__ = ["escape", "latex_text"]

_SYMBOLS = {
    "±": r"\pm",
    "×": r"\times",
    "≤": r"\le",
    "≥": r"\ge",
    "→": r"\rightarrow",
    "↑": r"\uparrow",
    "↓": r"\downarrow",
    "∞": r"\infty",
    "−": "-",
    "λ": r"\lambda",
    "τ": r"\tau",
    "ψ": r"\psi",
    "σ": r"\sigma",
}
_SPECIALS = str.maketrans(
    {char: f"\\{char}" for char in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"`": r"\textasciigrave{}", '"': "''", "–": "--", "—": "---", "…": r"\dots{}"}
    | {"“": "``", "”": "''", "’": "'", "\u00a0": "~"}
    | {char: f"${char}$" for char in "<>=|*"}
    | {char: f"${command}$" for char, command in _SYMBOLS.items()}
)
# Size, characters in a line of a page of the article class, and whether it lies on its side.
_SIZES = (
    (r"\normalsize", 66, False),
    (r"\footnotesize", 80, False),
    (r"\scriptsize", 92, False),
    (r"\footnotesize", 128, True),
    (r"\scriptsize", 147, True),
    (r"\tiny", 190, True),
)
_TEXT_WIDTH = 20  # characters at which a column of text is broken into lines
_GAP = 0.015  # of the line, beside each column, at the \tabcolsep that is set below


def escape(text: str) -> str:
    """Plain text so that LaTeX prints it as it is."""
    return text.translate(_SPECIALS)


def latex_text(page: Page) -> str:
    """All of a page: its summary, the table with its sections, and the notes below."""
    summary = page.summary
    parts = [_longtable(summary.sections, summary.title, summary.introduction)] if summary else []
    parts.append(_longtable(page.sections, page.title, page.introduction))
    notes = [rf"{_sentence(note)}\par" for note in page.notes]
    if notes:
        notes = [r"\par\noindent{\footnotesize", *notes, "}"]
    packages = "array,booktabs,longtable,pdflscape"
    return "\n".join([rf"% needs \usepackage{{{packages}}}", *parts, *notes]) + "\n"


def _sentence(text: str) -> str:
    """Markdown's emphasis and code as LaTeX, the rest escaped."""
    pieces = re.split(r"(`[^`]+`|\*\*[^*]+\*\*|\*[^*]+\*)", " ".join(text.split()))
    shown = []
    for piece in pieces:
        if len(piece) > 2 and piece[0] == piece[-1] == "`":
            shown.append(rf"\texttt{{{escape(piece[1:-1])}}}")
        elif len(piece) > 4 and piece.startswith("**") and piece.endswith("**"):
            shown.append(rf"\textbf{{{escape(piece[2:-2])}}}")
        elif len(piece) > 2 and piece[0] == piece[-1] == "*":
            shown.append(rf"\emph{{{escape(piece[1:-1])}}}")
        else:
            shown.append(escape(piece))
    return "".join(shown)


def _longtable(sections: Sequence[Section], title: str, introduction: str) -> str:
    """One longtable; sections that leave out other columns follow as tables of their own."""
    groups: list[list[Section]] = []
    for section in sections:
        if groups and list(groups[-1][0].heads) == list(section.heads):
            groups[-1].append(section)
        else:
            groups.append([section])
    caption = _sentence(f"{title}. {introduction}".strip())
    continued = _sentence(f"{title}, continued.")
    return "\n".join(_group(g, continued if i else caption) for i, g in enumerate(groups))


def _group(sections: Sequence[Section], caption: str) -> str:
    heads, left = sections[0].heads, sections[0].left
    size, shares, sideways = _layout(sections)
    columns = "".join(
        rf">{{\ragged{'right' if is_left else 'left'}\arraybackslash}}p{{{share:.4f}\linewidth}}"
        for share, is_left in zip(shares, left, strict=True)
    )
    head = " & ".join(escape(head) for head in heads) + r" \\"
    text = [
        *([r"\begin{landscape}"] if sideways else []),
        rf"\begingroup{size}\setlength{{\tabcolsep}}{{2pt}}",
        rf"\begin{{longtable}}{{@{{}}{columns}@{{}}}}",
        rf"\caption{{{caption}}}\\",
        *(r"\toprule", head, r"\midrule", r"\endfirsthead"),
        *(r"\toprule", head, r"\midrule", r"\endhead"),
        *(r"\bottomrule", r"\endfoot"),
    ]
    for i, section in enumerate(sections):
        text += [r"\midrule"] if i else []
        text += [_wide(rf"\textbf{{{_sentence(section.title)}}}", heads)] if section.title else []
        text += [_wide(_sentence(section.note), heads)] if section.note else []
        text += [_line(cells, heads) for cells in section.lines]
    text += [r"\end{longtable}", r"\endgroup", *([r"\end{landscape}"] if sideways else [])]
    return "\n".join(text)


def _wide(text: str, heads: Sequence[str]) -> str:
    """A line across all columns that the next one follows on the same page."""
    return rf"\multicolumn{{{len(heads)}}}{{@{{}}p{{0.98\linewidth}}@{{}}}}{{{text}}} \\*"


def _line(cells: Sequence[Cell], heads: Sequence[str]) -> str:
    if len(cells) < len(heads):
        return _wide(escape(cells[0].text), heads).removesuffix("*")
    line = " & ".join(_cell(cell) for cell in cells) + r" \\"
    # Behind a line break a bracket would be its option.
    return f"{{}}{line}" if line.startswith("[") else line


def _cell(cell: Cell) -> str:
    text = cell.text
    if cell.is_number:
        # A hyphen in front of a digit is a minus sign.
        text = re.sub(r"-(?=[\d.∞])", "−", text)
    text = escape(text)
    return rf"\textit{{{text}}}" if cell.of_paper else text


def _layout(sections: Sequence[Section]) -> tuple[str, list[float], bool]:
    """Size of the type, each column's share of the line, and whether the page lies on its side:
    the largest type in which no word is broken, or the smallest."""
    needs = [
        max(_need(text) for text in [section.heads[i] for section in sections] + cells)
        for i, cells in enumerate(_columns(sections))
    ]
    room = 1 - _GAP * len(needs)
    fitting = [found for found in _SIZES if sum(needs) <= found[1] * room]
    size, _, sideways = fitting[0] if fitting else _SIZES[-1]
    return size, [room * need / sum(needs) for need in needs], sideways


def _columns(sections: Sequence[Section]) -> list[list[str]]:
    width = len(sections[0].heads)
    lines = [line for section in sections for line in section.lines if len(line) == width]
    return [[line[i].text for line in lines] for i in range(width)]


def _need(text: str) -> int:
    """Characters that a text needs beside each other: all, or the longest word of a long one."""
    words = text.split() or [""]
    return max(min(len(text), _TEXT_WIDTH), max(map(len, words)))
