"""Table 1 from metrics of known mean and spread, and the table of densities."""

import csv
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from pseudodensity.tables import (
    COLUMNS,
    metric_values,
    paper_value,
    table1,
    write_table1,
)

CONFIG = Path(__file__).parents[2] / "config"
BLOCKS = yaml.safe_load((CONFIG / "papers/pseudo_density.yaml").read_text())["table1"]["blocks"]
REPORTED = pd.read_csv(CONFIG / "reported/pseudo_density.csv")
SETTINGS = ("pretrained", "precision", "recall", "fid", "control", "control_fid")
METRICS = ("precision", "recall", "fid", "density", "coverage", "mean_density")


def repeats(*values: float) -> list[dict[str, float]]:
    return [dict.fromkeys(METRICS, value) for value in values]


def make_rows(block: str, seeds=(0,), settings=SETTINGS) -> list[dict]:
    run, rows = BLOCKS[block], []
    for seed in seeds:
        for setting in settings:
            tuned = run.get(setting) if setting in ("precision", "recall", "fid") else None
            weight = 1.0 if setting.startswith("control") else None
            rows.append(
                {
                    "block": block,
                    "dataset": "Scenes_1 & more",
                    "stands_for": "LSUN",
                    "model": "GAN",
                    "setting": setting,
                    "seed": seed,
                    "metrics": "-",
                    "tau": tuned["tau"] if tuned else None,
                    "samples": "-",
                    "oracle": "-",
                    "w": tuned["w"] if tuned else weight,
                    "reported": run["reported"],
                    "images": None if setting == "pretrained" else 9600,
                }
            )
    return rows


def make_metrics(found: list[dict], acceptance=None) -> dict:
    counts = {"checkpoint": "-", "k": 3, "n_real": 5000, "n_fake": 4000}
    return {**counts, "acceptance": acceptance, "repeats": found}


def make_oracle(block: str, *extra: dict) -> dict:
    run = BLOCKS[block]
    weights = [(None, 1.0)] + [(run[s]["tau"], run[s]["w"]) for s in ("precision", "recall", "fid")]
    settings = [
        {"tau": tau, "w": w, "acceptance": 0.5, "repeats": repeats(0.8, 0.9)} for tau, w in weights
    ]
    how = "fresh images of the same law"
    return {"how": how, "n_real": 5000, "n_fake": 2000, "settings": [*extra, *settings]}


def make_table(block: str, values, seeds=(0,)) -> pd.DataFrame:
    """Table of one block whose metrics are all `values[seed]`."""
    rows = make_rows(block, seeds)
    metrics = [make_metrics(repeats(*values[row["seed"]])) for row in rows]
    return table1(rows, metrics, {block: make_oracle(block)}, REPORTED)


def test_one_seed_spreads_over_repeats():
    table = make_table("stylegan2-faces", {0: (0.1, 0.2, 0.6)})
    line = table.iloc[0]
    assert line["recall"] == pytest.approx(0.3)
    assert line["recall_spread"] == pytest.approx(math.sqrt((0.04 + 0.01 + 0.09) / 2))
    assert line["spread_of"] == "3 sampling repeats"
    assert (line["seeds"], line["repeats"], line["n_fake"], line["k"]) == (1, 3, 4000, 3)


def test_several_seeds_spread_over_their_means():
    values = {0: (0.0, 0.2), 5: (0.3, 0.5)}
    line = make_table("adm-bedroom", values, seeds=(0, 5)).iloc[0]
    assert line["fid"] == pytest.approx(0.25)
    assert line["fid_spread"] == pytest.approx(0.3 / math.sqrt(2))
    assert line["spread_of"] == "2 training seeds x 2 repeats"
    assert line["seeds"] == 2


def test_a_single_repeat_has_no_spread(tmp_path):
    table = make_table("adm-bedroom", {0: (0.25,)})
    assert np.isnan(table["precision_spread"].iloc[0])
    assert table["spread_of"].iloc[0] == "1 sampling repeat"
    write_table1(table, *(tmp_path / f"table1.{x}" for x in ("csv", "md", "tex")))
    assert "| pre-trained | – | – | 0.250 | 0.715 |" in (tmp_path / "table1.md").read_text()


def test_lines_stand_in_row_order_with_the_oracles_last():
    extra = {"tau": 90, "w": 7.0, "acceptance": 1.0, "repeats": repeats(0.0, 0.0)}
    blocks = ("stylegan2-faces", "projectedgan-digits")
    rows = [row for block in blocks for row in make_rows(block)]
    metrics = [make_metrics(repeats(0.5, 0.5)) for _ in rows]
    oracles = {block: make_oracle(block, extra) for block in blocks}
    table = table1(rows, metrics, oracles, REPORTED)
    roles = [*SETTINGS, "oracle", "oracle_precision", "oracle_recall", "oracle_fid"]
    assert list(table["role"]) == roles * 2
    assert list(table["block"]) == [block for block in blocks for _ in roles]
    assert list(table.columns) == list(COLUMNS)
    assert list(table["setting"].iloc[:7]) == [
        "pre-trained",
        "+ fine-tune (w = 33)",
        "+ fine-tune (w = 0.03)",
        "+ fine-tune (w = 0.5)",
        "+ control (w = 1)",
        "+ control (w = 1, FID images)",
        "oracle (w = 1)",
    ]
    assert table["paper_fid"].iloc[10:].isna().all()
    assert pd.isna(table["training_images"].iloc[0]) and table["training_images"].iloc[1] == 9600


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_finds_the_numbers_of_the_paper(block):
    run = BLOCKS[block]
    for setting in ("pretrained", "precision", "recall", "fid"):
        tau, w = (run[setting]["tau"], run[setting]["w"]) if setting in run else (None, None)
        for metric in ("precision", "recall", "fid"):
            value = paper_value(REPORTED, run["reported"], setting, tau, w, metric)
            assert np.isnan(value) == (run["reported"] is None)
    assert np.isnan(paper_value(REPORTED, run["reported"], "control", None, 1.0, "fid"))


@pytest.mark.parametrize(
    ("block", "setting", "metric", "printed"),
    [
        ("iddpm-bedroom", "recall", "recall", 0.231),
        ("projectedgan-bedroom", "fid", "fid", 2.22),
        ("stylegan3-faces", "precision", "fid", 60.89),
        ("projectedgan-church", "pretrained", "precision", 0.577),
    ],
)
def test_numbers_of_the_paper_land_in_the_right_line(block, setting, metric, printed):
    table = make_table(block, {0: (0.5, 0.6)}).set_index("role")
    assert table.loc[setting, f"paper_{metric}"] == printed


def test_acceptance_is_the_mean_where_there_is_one():
    rows = make_rows("adm-bedroom", seeds=(0, 1), settings=("pretrained",))
    metrics = [make_metrics(repeats(0.5), acceptance) for acceptance in (0.2, 0.4)]
    table = table1(rows, metrics, {"adm-bedroom": make_oracle("adm-bedroom")}, REPORTED)
    assert table["acceptance"].tolist() == pytest.approx([0.3, 0.5])
    assert make_table("adm-bedroom", {0: (0.5,)})["acceptance"].isna().sum() == len(SETTINGS)


def test_what_does_not_fit_is_refused():
    rows = make_rows("adm-bedroom")
    metrics = [make_metrics(repeats(0.5)) for _ in rows]
    oracle = make_oracle("adm-bedroom")
    with pytest.raises(ValueError, match="one per row"):
        table1(rows, metrics[:-1], {"adm-bedroom": oracle}, REPORTED)
    lacking = {**oracle, "settings": oracle["settings"][:1]}
    with pytest.raises(ValueError, match="no tau = 80"):
        table1(rows, metrics, {"adm-bedroom": lacking}, REPORTED)
    with pytest.raises(ValueError, match="other training seeds"):
        table1(rows[1:] + make_rows("adm-bedroom", (1,)), [*metrics, *metrics[1:]], {}, REPORTED)
    with pytest.raises(ValueError, match="same number of repeats"):
        metric_values([({}, make_metrics(repeats(1))), ({}, make_metrics(repeats(1, 2)))], "fid")
    with pytest.raises(ValueError, match="lack 'fid'"):
        metric_values([({}, make_metrics([{"recall": 1.0}]))], "fid")
    with pytest.raises(ValueError, match="no ADM on FFHQ"):
        paper_value(REPORTED, {"dataset": "FFHQ", "model": "ADM"}, "pretrained", None, None, "fid")


@pytest.fixture
def written(tmp_path):
    """Table 1 of two blocks as text by extension."""
    blocks = ("projectedgan-church", "projectedgan-digits")
    rows = [row for block in blocks for row in make_rows(block)]
    metrics = [make_metrics(repeats(0.12345, 0.2, 0.3)) for _ in rows]
    table = table1(rows, metrics, {block: make_oracle(block) for block in blocks}, REPORTED)
    paths = {x: tmp_path / f"table1.{x}" for x in ("csv", "md", "tex")}
    write_table1(table, *paths.values(), judges={"fid": "Inception-v3"})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["table1.csv", "table1.md", "table1.tex"]
    return {x: path.read_text(encoding="utf-8") for x, path in paths.items()}


def test_csv_holds_four_decimals(written):
    lines = list(csv.DictReader(written["csv"].splitlines()))
    assert len(lines) == 20
    assert lines[0]["precision"] == "0.2078" and lines[0]["tau_percent"] == ""
    assert (lines[1]["w"], lines[2]["w"], lines[1]["training_images"]) == ("33", "0.03", "9600")


def test_markdown_is_one_table_per_block(written):
    tables = re.findall(r"(?:^\|.*\n)+", written["md"], flags=re.MULTILINE)
    assert [table.count("\n") for table in tables] == [12, 12]
    widths = {line.count("|") for table in tables for line in table.splitlines()}
    assert widths == {13}
    assert "0.208 ± 0.089 | 0.577 |" in tables[0]
    assert "GAN on Scenes_1 & more (stands for LSUN)" in written["md"]
    for fact in ("k = 3", "4,000 generated against 5,000 real", "`<=`", "Inception-v3", "2,000"):
        assert fact in written["md"]


def test_latex_is_balanced_and_escaped(written):
    text = written["tex"]
    body = [line for line in text.splitlines() if line.endswith(r"\\") and "&" in line]
    assert len(body) == 2 + 20  # the head stands on the first page and on the next ones
    assert all(line.replace(r"\&", "").count("&") == 7 for line in body)
    assert text.count(r"\begin{longtable}") == text.count(r"\end{longtable}") == 1
    assert text.count("{") == text.count("}")
    assert r"Scenes\_1 \& more" in text and r"0.208 $\pm$ 0.089" in text
    assert text.isascii()
