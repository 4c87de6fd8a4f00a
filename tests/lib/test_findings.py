"""The page of findings: what it takes from the tables of a run."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pseudodensity.report.findings import TABLES, costs_frame, write_findings


def claim(measured, block, answer, effect=0.1):
    line = {"id": "000-1", "claim": "w raises precision", "measured": measured, "block": block}
    return line | {"effect": effect, "low": effect - 0.01, "high": effect + 0.01, "answer": answer}


@pytest.fixture
def written(tmp_path):
    """A page of a made-up run of Table 2."""
    numbers = {column.name: 0.5 for column in TABLES["findings_latent"]}
    numbers |= {column.spread: 0.01 for column in TABLES["findings_latent"] if column.spread}
    lines = [numbers | {"block": "b", "setting": name} for name in ("plain", "SIR")]
    pd.DataFrame(lines).to_csv(tmp_path / "table2.csv", index=False)
    claims = [
        claim("precision", "one", "undecided"),
        claim("precision", "two", "undecided"),
        claim("precision", "all blocks", "reproduced", effect=0.2),
        claim("recall", "one", "no difference seen"),
        {"id": "000-2", "claim": "it is fast", "measured": "time", "answer": "not tested here: x"},
    ]
    pd.DataFrame(claims).to_csv(tmp_path / "claims.csv", index=False)
    Image.fromarray(np.zeros((20, 1500, 3), dtype=np.uint8)).save(tmp_path / "fig.png")
    (tmp_path / "docs").mkdir()
    inputs = SimpleNamespace(
        table=tmp_path / "table2.csv",
        claims=tmp_path / "claims.csv",
        pictures=[tmp_path / "fig.png"],
    )
    settings = SimpleNamespace(
        commit="c0ffee", config="mine", seeds=[0], targets={"t": ["none.tsv"]}, titles=["A"]
    )
    assert write_findings(inputs, settings, tmp_path / "docs/findings_latent.md") == ["fig.png"]
    return tmp_path / "docs"


def test_a_claim_is_answered_by_its_line_over_all_blocks(written):
    text = (written / "findings_latent.md").read_text()
    (line,) = [line for line in text.splitlines() if "000-1" in line]
    assert "reproduced" in line and "+0.200" in line and "precision" in line
    assert "no difference seen" not in text, "of a claim the first contrast is shown"
    assert "not tested here: x" in text


def test_the_table_and_the_pictures_of_the_page_are_shown(written):
    text = (written / "findings_latent.md").read_text()
    assert "## Table 2" in text and "| b | SIR | 0.500 ± 0.010" in text
    assert "c0ffee" in text and "![A](findings_latent/fig.png)" in text
    with Image.open(written / "findings_latent/fig.png") as picture:
        assert picture.width == 1000


def test_a_target_without_jobs_has_no_cost_to_show(tmp_path):
    (tmp_path / "job.tsv").write_text("s\tcpu_time\n5\t90\n")
    frame = costs_frame({"results/a.csv": [tmp_path / "job.tsv"], "results/b.csv": []})
    assert frame["target"].tolist() == ["results/a.csv"]
    assert frame["core_minutes"].tolist() == [1.5]
