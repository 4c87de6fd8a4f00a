"""All blocks of the main paper, at the scale of minutes: `make test-slow`."""

import pandas as pd
import pytest
import yaml
from conftest import ROOT, SMOKE, Workflow

BLOCKS = yaml.safe_load((ROOT / SMOKE).read_text())["papers"]["pseudo_density"]["blocks"]


@pytest.mark.slow
def test_every_block_and_all_of_the_paper_are_made(tmp_path):
    workflow = Workflow(tmp_path)
    # Not the overlay of one block, which the tests of every day add.
    done = workflow.run("--cores", "2", "--configfile", SMOKE, "--", "pseudo_density")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    table = pd.read_csv(workflow.folder / "results/table1.csv")
    assert list(dict.fromkeys(table["block"])) == BLOCKS
    # Real images are few at this scale: what lacks them for one repeat has no number, and the row says so.
    measured = table[["precision", "recall", "fid"]].notna().all(axis=1)
    lacking = table[~measured]
    assert lacking["role"].str.startswith("oracle").all() and (lacking["repeats"] == 0).all()
    assert lacking["spread_of"].str.startswith("the pool holds images for 0 of").all()
    assert measured.sum() > len(table) / 2
    claims = pd.read_csv(workflow.folder / "results/claims.csv")
    assert {f"000-{number}" for number in range(1, 20)} == set(claims["id"])
    assert not claims["answer"].str.contains("this config makes no").any()
