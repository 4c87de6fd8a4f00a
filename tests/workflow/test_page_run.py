"""The page of results as the pipeline writes it: on demand, and by itself after a run."""

import pandas as pd
from conftest import SMOKE

from pseudodensity.report.table import Column, Table, write_table

ASKED = ("--cores", "1", "--configfile", SMOKE, "--")


def make_table2(folder) -> None:
    """A target of the config, as an earlier run left it."""
    table = Table("Table 2", pd.DataFrame({"model": ["M"]}), [Column("model", "model")])
    write_table(table, *(folder / f"results/table2.{suffix}" for suffix in ("csv", "md", "tex")))


def test_the_page_is_made_on_demand_and_asks_for_nothing_else(workflow):
    done = workflow.run(*ASKED, "results/index.html")
    assert done.returncode == 0, done.stderr
    page = workflow.folder / "results/index.html"
    assert "Nothing is made yet" in page.read_text()
    made = sorted(path.name for path in (workflow.folder / "results").glob("[!.]*"))
    assert made == ["index.html", "index.paper.csv", "index.targets.csv", "logs"]
    # Once there is something to show, the same command writes it again.
    make_table2(workflow.folder)
    assert workflow.run(*ASKED, "results/index.html").returncode == 0
    text = page.read_text()
    assert 'href="table2.csv"' in text and "Nothing is made yet" not in text
    assert f"snakemake results/table1.svg --cores all --configfile {SMOKE}" in text
    again = workflow.run(*ASKED, "results/index.html")
    assert "Nothing to be done" in again.stdout + again.stderr


def test_a_run_writes_the_page_by_itself_and_a_bad_page_spoils_no_run(workflow):
    until_data = ("--until", "data", *ASKED, "results/density/digits.csv")
    make_table2(workflow.folder)
    (workflow.folder / "results/table2.md").write_text("no table")
    done = workflow.run(*until_data)
    assert done.returncode == 0
    (line,) = [line for line in done.stderr.splitlines() if "was not written" in line]
    assert "results/table2.md" in line and "delete it and run again" in line
    make_table2(workflow.folder)
    (data,) = (workflow.folder / "results/data").glob("digits-*")
    (data / "images.npy").unlink()
    done = workflow.run(*until_data)
    assert done.returncode == 0 and "results/index.html shows what is there" in done.stderr
    assert 'href="table2.csv"' in (workflow.folder / "results/index.html").read_text()
