"""Table 1 from scores of known mean and spread."""

import csv
import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from pseudodensity.papers.pseudo_density import table1 as module
from pseudodensity.papers.pseudo_density.table1 import (
    block_text,
    group_by_setting,
    paper_value,
    score_values,
    table1_frame,
)
from pseudodensity.report.table import write_table

CONFIG = Path(__file__).parents[2] / "config"
BLOCKS = yaml.safe_load((CONFIG / "papers/pseudo_density.yaml").read_text())["runs"]
REPORTED = pd.read_csv(CONFIG / "reported/pseudo_density.csv")
TUNED = ("precision", "recall", "fid")
SETTINGS = ("pretrained", *TUNED, "control", "control_fid")
ORACLES = ("oracle", "oracle_precision", "oracle_recall", "oracle_fid")
SCORES = ("precision", "recall", "fid", "density", "coverage", "mean_density")


@dataclass
class Found:
    repeats: list
    facts: dict = field(default_factory=dict)
    label: str = "some method"
    n: int = 4000
    n_real: int = 5000
    k: int = 3


class Book:
    """A ScoreBook of what is put in."""

    def __init__(self, found):
        self.found = {key(pool, point): scores for pool, point, scores in found}

    def find(self, pool, point):
        return self.found[key(pool, point)]


def key(pool, point):
    return pool, json.dumps(point, sort_keys=True)


def repeats(*values: float) -> list[dict[str, float]]:
    return [dict.fromkeys(SCORES, value) for value in values]


def make_rows(block: str, seeds=(0,), settings=SETTINGS, oracles=ORACLES) -> list[dict]:
    run, rows = BLOCKS[block], []
    places = [(seed, setting) for seed in seeds for setting in settings]
    for seed, setting in [*places, *((None, name) for name in oracles)]:
        name = setting.removeprefix("oracle_")
        tuned = run[name] if name in TUNED else {"tau": None, "w": None}
        weight = 1.0 if setting == "oracle" or setting.startswith("control") else tuned["w"]
        rows.append(
            {
                "block": block,
                "dataset": "Scenes_1 & more",
                "stands_for": "LSUN",
                "model": "GAN",
                "setting": setting,
                "tau": tuned["tau"],
                "w": weight,
                "seed": seed,
                "images": None if seed is None or setting == "pretrained" else 9600,
                "reported": run["reported"],
                "pool": f"{block}-{setting}-{seed}",
                "point": {"method": "plain"},
            }
        )
    return rows


def make_book(rows, values, facts=None, oracle=(0.8, 0.9)) -> Book:
    """values: seed -> one number for all scores of each repeat."""
    found = []
    for row in rows:
        if row["seed"] is None:
            how = {"how": "fresh images of the same law"}
            scores = Found(repeats(*oracle), {"acceptance": 0.5} | how, n=2000)
        else:
            scores = Found(repeats(*values[row["seed"]]), (facts or {}).get(row["seed"], {}))
        found.append((row["pool"], row["point"], scores))
    return Book(found)


def make_frame(block: str, values, seeds=(0,)) -> pd.DataFrame:
    """Table of one block whose scores are all `values[seed]`."""
    rows = make_rows(block, seeds)
    return table1_frame(rows, make_book(rows, values), REPORTED)


def write(rows, book, tmp_path, monkeypatch) -> dict[str, str]:
    """The table as text by extension."""
    frame = table1_frame(rows, book, REPORTED)
    monkeypatch.setattr(module, "_read", lambda inputs, settings: frame)
    paths = {kind: tmp_path / f"table1.{kind}" for kind in ("csv", "md", "tex")}
    write_table(module.table1({}, {"judges": {"fid": "Inception-v3"}}), **paths)
    return {kind: path.read_text(encoding="utf-8") for kind, path in paths.items()}


def test_a_line_of_too_few_real_images_is_empty_and_says_why():
    rows = make_rows("stylegan2-faces")
    book = make_book(rows, {0: (0.1, 0.2)})
    (row,) = [row for row in rows if row["setting"] == "oracle_precision"]
    why = "it takes fewer than 10 of 16 real images"
    book.found[key(row["pool"], row["point"])] = Found([], {"note": why})
    frame = table1_frame(rows, book, REPORTED).set_index("role")
    line = frame.loc["oracle_precision"]
    assert line[["precision", "fid", "mean_pseudo_density", "acceptance"]].isna().all()
    assert (line["repeats"], line["spread_of"]) == (0, why)
    assert frame.loc["oracle_recall", "repeats"] == 2 and frame["precision"].notna().sum() == 9


def test_one_seed_spreads_over_repeats():
    line = make_frame("stylegan2-faces", {0: (0.1, 0.2, 0.6)}).iloc[0]
    assert line["recall"] == pytest.approx(0.3)
    assert line["recall_spread"] == pytest.approx(math.sqrt((0.04 + 0.01 + 0.09) / 2))
    assert line["spread_of"] == "3 sampling repeats"
    assert (line["seeds"], line["repeats"], line["n_fake"], line["k"]) == (1, 3, 4000, 3)


def test_several_seeds_spread_over_their_means():
    values = {0: (0.0, 0.2), 5: (0.3, 0.5)}
    line = make_frame("adm-bedroom", values, seeds=(0, 5)).iloc[0]
    assert line["fid"] == pytest.approx(0.25)
    assert line["fid_spread"] == pytest.approx(0.3 / math.sqrt(2))
    assert line["spread_of"] == "2 training seeds x 2 repeats"
    assert line["seeds"] == 2


def test_a_single_repeat_has_no_spread(tmp_path, monkeypatch):
    rows = make_rows("adm-bedroom")
    book = make_book(rows, {0: (0.25,)})
    frame = table1_frame(rows, book, REPORTED)
    assert np.isnan(frame["precision_spread"].iloc[0])
    assert frame["spread_of"].iloc[0] == "1 sampling repeat"
    text = write(rows, book, tmp_path, monkeypatch)["md"]
    assert "| pre-trained | – | – | 0.250 | *0.715* |" in text


def test_lines_stand_in_row_order():
    blocks = ("stylegan2-faces", "projectedgan-digits")
    rows = [row for block in blocks for row in make_rows(block)]
    frame = table1_frame(rows, make_book(rows, {0: (0.5, 0.5)}), REPORTED)
    assert list(frame["role"]) == [*SETTINGS, *ORACLES] * 2
    assert list(frame["block"]) == [block for block in blocks for _ in range(10)]
    assert list(frame["setting"].iloc[:7]) == [
        "pre-trained",
        "+ fine-tune (w = 33)",
        "+ fine-tune (w = 0.03)",
        "+ fine-tune (w = 0.5)",
        "+ control (w = 1)",
        "+ control (w = 1, FID images)",
        "oracle (w = 1)",
    ]
    assert frame["model"].iloc[6] == "real images: fresh images of the same law"
    assert frame["paper_fid"].iloc[10:].isna().all()
    assert pd.isna(frame["training_images"].iloc[0]) and frame["training_images"].iloc[1] == 9600


def test_another_control_is_named_by_its_method():
    rows = make_rows("adm-bedroom", settings=("pretrained",), oracles=())
    rows.append({**rows[0], "setting": "copies", "seed": None, "pool": "copies"})
    scores = Found(repeats(0.5), label="copies of training images")
    book = Book([(r["pool"], r["point"], scores) for r in rows])
    assert table1_frame(rows, book, REPORTED)["setting"].iloc[1] == "copies of training images"


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_finds_the_numbers_of_the_paper(block):
    run = BLOCKS[block]
    for setting in ("pretrained", *TUNED):
        tau, w = (run[setting]["tau"], run[setting]["w"]) if setting in run else (None, None)
        for score in TUNED:
            value = paper_value(REPORTED, run["reported"], setting, tau, w, score)
            assert np.isnan(value) == (run["reported"] is None)
    assert np.isnan(paper_value(REPORTED, run["reported"], "control", None, 1.0, "fid"))


@pytest.mark.parametrize(
    ("block", "setting", "score", "printed"),
    [
        ("iddpm-bedroom", "recall", "recall", 0.231),
        ("projectedgan-bedroom", "fid", "fid", 2.22),
        ("stylegan3-faces", "precision", "fid", 60.89),
        ("projectedgan-church", "pretrained", "precision", 0.577),
    ],
)
def test_numbers_of_the_paper_land_in_the_right_line(block, setting, score, printed):
    frame = make_frame(block, {0: (0.5, 0.6)}).set_index("role")
    assert frame.loc[setting, f"paper_{score}"] == printed
    assert np.isnan(frame.loc[f"oracle_{setting}".replace("_pretrained", ""), "paper_fid"])


def test_acceptance_is_the_mean_where_there_is_one():
    rows = make_rows("adm-bedroom", (0, 1), ("pretrained",), ("oracle",))
    facts = {0: {"training_acceptance": 0.2}, 1: {"training_acceptance": 0.4}}
    book = make_book(rows, {0: (0.5,), 1: (0.5,)}, facts)
    frame = table1_frame(rows, book, REPORTED)
    assert frame["acceptance"].tolist() == pytest.approx([0.3, 0.5])
    assert make_frame("adm-bedroom", {0: (0.5,)})["acceptance"].isna().sum() == len(SETTINGS)


def test_further_scores_have_columns_where_they_were_measured(tmp_path, monkeypatch):
    rows = make_rows("adm-bedroom")
    book = make_book(rows, {0: (0.25, 0.35)})
    assert "median_nearest" not in table1_frame(rows, book, REPORTED)
    for row in rows:
        for repeat in book.find(row["pool"], row["point"]).repeats:
            names = ("symmetric_precision", "symmetric_recall", "median_nearest")
            repeat |= dict.fromkeys(names, 0.6) | {"expected_coverage": 0.875}
    frame = table1_frame(rows, book, REPORTED)
    assert frame["symmetric_recall"].eq(0.6).all() and "expected_coverage_spread" not in frame
    text = write(rows, book, tmp_path, monkeypatch)
    head = next(line for line in text["md"].splitlines() if line.startswith("|"))
    heads = [cell.strip() for cell in head.split("|")]
    assert heads[heads.index("precision ↑") + 2] == "median nearest"
    assert heads[heads.index("coverage ↑") + 1] == "expected coverage"
    assert "symmetric" not in head and "0.875 |" in text["md"]
    # In LaTeX too no coverage stands without what two samples of one law would have.
    head, *lines = [line for line in text["tex"].splitlines() if " & " in line]
    names = head.removesuffix(r" \\").split(" & ")
    assert names[-2:] == [r"coverage $\uparrow$", "expected coverage"]
    assert len(lines) == 1 + len(rows) and lines[-1].endswith(r" & 0.875 \\")


def test_what_does_not_fit_is_refused():
    rows = make_rows("adm-bedroom")
    book = make_book(rows, {0: (0.5,), 1: (0.5,)})
    with pytest.raises(ValueError, match="other training seeds"):
        group_by_setting(rows[1:], make_book(rows, {0: (0.5,)})) and group_by_setting(
            [*rows, {**rows[0], "seed": 1}], book
        )
    unequal = [({}, Found(repeats(1))), ({}, Found(repeats(1, 2)))]
    with pytest.raises(ValueError, match="same number of repeats"):
        score_values(unequal, "fid")
    with pytest.raises(ValueError, match="lack 'fid'"):
        score_values([({}, Found([{"recall": 1.0}]))], "fid")
    with pytest.raises(ValueError, match="no ADM on FFHQ"):
        paper_value(REPORTED, {"dataset": "FFHQ", "model": "ADM"}, "pretrained", None, None, "fid")


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Table 1 of two blocks as text by extension."""
    blocks = ("projectedgan-church", "projectedgan-digits")
    rows = [row for block in blocks for row in make_rows(block)]
    return write(rows, make_book(rows, {0: (0.12345, 0.2, 0.3)}), tmp_path, monkeypatch)


def test_csv_holds_all_lines(written):
    lines = list(csv.DictReader(written["csv"].splitlines()))
    assert len(lines) == 20
    assert lines[0]["precision"] == "0.207817" and lines[0]["tau_percent"] == ""
    assert (lines[1]["w"], lines[2]["w"], lines[1]["training_images"]) == ("33", "0.03", "9600")


def test_markdown_is_one_table_per_block(written):
    tables = re.findall(r"(?:^\|.*\n)+", written["md"], flags=re.MULTILINE)
    assert [table.count("\n") for table in tables] == [12, 12]
    widths = {line.count("|") for table in tables for line in table.splitlines()}
    assert widths == {13}
    assert "0.208 ± 0.089 | *0.577* |" in tables[0]
    assert "GAN on Scenes_1 & more (stands for LSUN)" in written["md"]
    for fact in ("k = 3", "4,000 generated against 5,000 real", "`<=`", "Inception-v3", "2,000"):
        assert fact in written["md"]


def test_latex_holds_all_lines(written):
    text = written["tex"]
    body = [line for line in text.splitlines() if line.endswith(r"\\") and " & " in line]
    assert len(body) == 2 + 20  # the head stands on the first page and on the next ones
    assert all(line.replace(r"\&", "").count("&") == 8 for line in body)
    assert r"\begin{landscape}" in text and r"\footnotesize" in text
    assert r"Scenes\_1 \& more" in text and r"0.208 $\pm$ 0.089" in text


def test_a_block_fits_a_terminal_as_it_is_finished():
    rows = make_rows("stylegan3-faces")
    book = make_book(rows, {0: (0.2, 0.3)})
    for row in rows:
        for i, repeat in enumerate(book.find(row["pool"], row["point"]).repeats):
            repeat["fid"] = 160.89 + 20 * i
    text = block_text(table1_frame(rows, book, REPORTED))
    lines = text.splitlines()
    assert lines[0] == "GAN on Scenes_1 & more (stands for LSUN)" and len(lines) == 2 + 2 + 10
    assert max(map(len, lines)) <= 100 and "…" not in text
    assert "| control (w = 1, FID) |" in text and "170.89 ± 14.14 | 60.89 |" in text
