"""One writer of CSV, Markdown and LaTeX: what stands in a cell, and that no text breaks a table."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pseudodensity.plan.code import ROOT
from pseudodensity.report.latex import escape as latex_escape
from pseudodensity.report.markdown import aligned
from pseudodensity.report.markdown import escape as markdown_escape
from pseudodensity.report.table import Column, Table, page, write_csv, write_table

FRAME = pd.DataFrame(
    {
        "block": ["a", "a", "b"],
        "method": ["plain", "w = 33 | 50 %", "_x*_ & [y]"],
        "fid": [2.34567, 1.0, np.nan],
        "fid_spread": [0.1, np.nan, np.nan],
        "recall": [0.5, 0.25, -0.0001],
        "recall_low": [0.4, np.nan, np.nan],
        "recall_high": [0.6, np.nan, np.nan],
        "paper_fid": [2.79, np.nan, np.nan],
        "n": pd.array([5000, None, 12], dtype="Int64"),
        "front": pd.array([True, False, None], dtype="boolean"),
        "empty": [np.nan] * 3,
    }
)
COLUMNS = (
    Column("method", "method"),
    Column("fid", "FID ↓", decimals=2, spread="fid_spread"),
    Column("paper_fid", "paper", decimals=2, of_paper=True),
    Column("recall", "recall", decimals=3, low="recall_low", high="recall_high"),
    Column("n", "n"),
    Column("front", "front"),
    Column("empty", "never", optional=True),
)
TABLE = Table("A *fine* table", FRAME, COLUMNS, introduction="Of a_b & `c`.", notes=("Note 1 %.",))


def write(table, tmp_path) -> dict[str, str]:
    paths = {kind: tmp_path / f"table.{kind}" for kind in ("csv", "md", "tex")}
    write_table(table, **paths)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        path.name for path in paths.values()
    )
    return {kind: path.read_text(encoding="utf-8") for kind, path in paths.items()}


def rows(markdown: str) -> list[list[str]]:
    """Cells of each line of a Markdown table, split at the pipes that are not escaped."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def latex_lines(latex: str) -> list[str]:
    return [line for line in latex.splitlines() if " & " in line and line.endswith(r"\\")]


def test_csv_holds_the_whole_frame_and_reads_back(tmp_path):
    text = write(TABLE, tmp_path)["csv"]
    again = pd.read_csv(tmp_path / "table.csv")
    assert list(again.columns) == list(FRAME.columns)
    assert again["fid"].tolist()[:2] == [2.34567, 1.0] and "\r" not in text
    assert text.splitlines()[1] == "a,plain,2.34567,0.1,0.5,0.4,0.6,2.79,5000,True,"
    write_csv(pd.DataFrame({"x": [1 / 3, -0.0], "n": [10**9, 1]}), tmp_path / "new" / "x.csv")
    assert (tmp_path / "new/x.csv").read_text() == "x,n\n0.333333,1000000000\n0,1\n"


def test_markdown_cells(tmp_path):
    cells = rows(write(TABLE, tmp_path)["md"])
    assert cells[0] == ["method", "FID ↓", "paper", "recall", "n", "front"]
    assert cells[1] == ["-", "-:", "-:", "-:", "-:", "-"]
    assert cells[2] == ["plain", "2.35 ± 0.10", "*2.79*", "0.500 [0.400, 0.600]", "5,000", "yes"]
    assert cells[3] == [r"w = 33 \| 50 %", "1.00", "–", "0.250", "–", "no"]
    # What rounds to nothing has no sign.
    assert cells[4] == [r"\_x\*\_ & \[y\]", "–", "–", "0.000", "12", "–"]


def test_latex_cells_are_escaped(tmp_path):
    text = write(TABLE, tmp_path)["tex"]
    lines = latex_lines(text)
    assert len(lines) == 2 + 3  # the head stands on the first page and on the next ones
    assert all(line.replace(r"\&", "").count("&") == 5 for line in lines)
    assert r"w $=$ 33 $|$ 50 \%" in lines[3] and r"\_x$*$\_ \& [y]" in lines[4]
    assert r"2.35 $\pm$ 0.10 & \textit{2.79} & 0.500 [0.400, 0.600]" in lines[2]
    assert r"\caption{A \emph{fine} table. Of a\_b \& \texttt{c}.}" in text
    assert r"Note 1 \%." in text and text.isascii()
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    for name in ("longtable", "landscape"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}")


def test_every_special_character_is_escaped():
    assert latex_escape("&%$#_{}") == r"\&\%\$\#\_\{\}"
    assert latex_escape("a\\b~c^d") == r"a\textbackslash{}b\textasciitilde{}c\textasciicircum{}d"
    assert latex_escape("– ± → ≥ <") == r"-- $\pm$ $\rightarrow$ $\ge$ $<$"
    assert markdown_escape("a|b\nc") == r"a\|b c"
    assert markdown_escape("snake_case &amp; _x_ $1$") == r"snake_case \&amp; \_x\_ \$1\$"


def test_negative_numbers_and_brackets_at_the_start_of_a_line(tmp_path):
    frame = pd.DataFrame({"low": ["[0"], "x": [-1.5], "big": [np.inf]})
    columns = [Column("low", "l"), Column("x", "x", format="+.1f"), Column("big", "b")]
    text = write(Table("t", frame, columns), tmp_path)["tex"]
    # A bracket behind a line break would be taken for its option.
    assert latex_lines(text)[-1] == r"{}[0 & $-$1.5 & $\infty$ \\"


def test_a_latex_table_is_never_wider_than_the_page(tmp_path):
    def width(text):
        shares = [float(x) for x in re.findall(r"p\{([\d.]+)\\linewidth\}", text) if x != "0.98"]
        # \tabcolsep is 2 pt on each side, the line of an article 345 pt.
        return sum(shares) + len(shares) * 4 / 345

    narrow = write(TABLE, tmp_path)["tex"]
    assert 0.9 < width(narrow) <= 1
    frame = pd.DataFrame({f"column {i}": ["some words that go on and on"] for i in range(20)})
    wide = write(Table("t", frame, [Column(n, n) for n in frame]), tmp_path)["tex"]
    assert r"\begin{landscape}" in wide and r"\tiny" in wide and 0.9 < width(wide) <= 1
    assert r"\begin{landscape}" not in narrow


def test_sections_have_titles_and_notes(tmp_path):
    table = replace(
        TABLE, section="block", section_titles={"a": "Block A"}, section_notes={"b": "Of b."}
    )
    text = write(table, tmp_path)
    assert re.findall(r"^## (.*)$", text["md"], re.MULTILINE) == [
        "Block A",
        "b",
        "How to read it",
    ]
    assert "## b\n\nOf b.\n\n| method" in text["md"]
    assert len(rows(text["md"])) == 2 * 2 + 3
    assert r"{\textbf{Block A}} \\*" in text["tex"] and text["tex"].count(r"\begin{longtable}") == 1


def test_optional_columns_go_where_they_are_empty(tmp_path):
    columns = [Column("method", "method"), Column("paper_fid", "paper", optional=True)]
    text = write(replace(TABLE, columns=columns, section="block"), tmp_path)
    assert [len(line) for line in rows(text["md"])] == [2, 2, 2, 2, 1, 1, 1]
    # In LaTeX a section with other columns is a table of its own.
    assert text["tex"].count(r"\begin{longtable}") == 2


def test_long_tables_show_their_ends(tmp_path):
    frame = pd.DataFrame({"i": range(1000, 1100), "half": ["a"] * 50 + ["b"] * 50})
    table = Table("t", frame, [Column("i", "i", format="d"), Column("half", "half")], shown_rows=3)
    text = write(table, tmp_path)
    shown = [line[0] for line in rows(text["md"])[2:]]
    assert shown == ["1000", "1001", "1002", "… 94 lines more in the CSV …", "1097", "1098", "1099"]
    assert len(pd.read_csv(tmp_path / "table.csv")) == 100
    assert r"\dots{} 94 lines more" in text["tex"] and "1050" not in text["tex"]
    text = write(replace(table, section="half"), tmp_path)
    assert text["md"].count("… 47 lines more") == 2
    text = write(replace(table, shown_rows=50), tmp_path)
    assert "more in the CSV" not in text["md"]


def test_a_summary_stands_first(tmp_path):
    summary = Table("Overview", FRAME.head(1), COLUMNS[:1], introduction="At a glance.")
    text = write(replace(TABLE, summary=summary), tmp_path)
    assert text["md"].index("## Overview\n\nAt a glance.") < text["md"].index("w = 33")
    assert text["tex"].count(r"\begin{longtable}") == 2
    assert len(pd.read_csv(tmp_path / "table.csv")) == 3


def test_a_column_that_the_frame_lacks_is_refused(tmp_path):
    with pytest.raises(ValueError, match="lacks.*'precision'"):
        write(replace(TABLE, columns=[Column("precision", "P")]), tmp_path)
    assert not list(tmp_path.iterdir())


def test_aligned_text_is_never_wider_than_the_terminal():
    section = page(TABLE).sections[0]
    lines = aligned(section, 100).splitlines()
    assert len({len(line) for line in lines[2:]}) == 1 and len(lines[2]) <= 100
    cut = aligned(section, 77).splitlines()[2:]
    assert {len(line) for line in cut} == {77} and r"| w = 33 \| 5… |" in cut[3]
    with pytest.raises(ValueError, match="6 columns does not fit 20"):
        aligned(section, 20)


def test_reports_import_no_torch():
    """Tables and claims of all papers: imported for real."""
    code = (
        "import importlib, pkgutil, sys\n"
        "import pseudodensity.report as report, pseudodensity.papers as papers\n"
        "for package in (report, papers):\n"
        "    names = pkgutil.walk_packages(package.__path__, package.__name__ + '.')\n"
        "    for module in names:\n"
        # What runs as an experiment, in a job of its own, lies in a folder below that of its paper.
        "        if module.name.count('.') < 4:\n"
        "            importlib.import_module(module.name)\n"
        "assert not {'torch', 'timm', 'faiss', 'snakemake'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(ROOT.parent)})
