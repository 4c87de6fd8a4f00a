"""Tables 15 to 17 from scores that are made up, and the claims that their CSVs answer."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from pseudodensity.artifacts import save_json
from pseudodensity.control.select.polarity_inside import draw_inside
from pseudodensity.control.select.schemes import effective_sample_size
from pseudodensity.papers.diverse_rare.claims_polarity import (
    precision_lines,
    rejection_lines,
    replacement_lines,
)
from pseudodensity.papers.diverse_rare.polarity_table import polarity_table
from pseudodensity.report.claims import claims_frame, lines_of_csv
from pseudodensity.report.statistics import t_interval
from pseudodensity.report.table import write_table
from pseudodensity.rng import generator

torch.set_num_threads(1)

REPORTED = Path(__file__).parents[2] / "config/reported/diverse_rare.csv"

CATALOGUE = pd.read_csv(Path(__file__).parents[2] / "config/reported/claims.csv")
NAMES = {"block": "a-b", "model": "A", "dataset": "b", "stands_for": "FFHQ", "seed": 0}
PLAIN, SEARCH = {"method": "plain"}, {"method": "rare_search", "steps": 50, "manifold_k": 5}
IMAGES, REPEATS = 100, 3


def polarity(exponent, replacement=False, inside=False):
    point = {"method": "polarity_inside" if inside else "polarity", "polarity": exponent}
    manifold = {"manifold": "judge", "manifold_k": 3} if inside else {}
    return point | {"replacement": replacement, "volumes": 400, "beside": []} | manifold


def scored(point, values, repeats=REPEATS, **facts):
    """A row of a scores file; each repeat is .01 above the one before."""
    told = {"acceptance": None, "ess": None, "generator_calls": IMAGES * repeats, "note": ""}
    each = [{name: value + 0.01 * r for name, value in values.items()} for r in range(repeats)]
    row = {"pool": "p", "point": point, "label": str(point), "facts": told | facts}
    return row | {"n": IMAGES, "n_real": 300, "repeats": each}


def made(folder, rows, table=15, names=NAMES):
    path = folder / "scores.json"
    save_json(path, {"settings": {"k": 3}, "rows": rows})
    lines = [names | {"pool": "p", "point": row["point"]} for row in rows]
    return polarity_table({"scores": [path], "reported": REPORTED}, {"rows": lines, "table": table})


def values(rarity, precision, recall, **more):
    return {"rarity": rarity, "precision": precision, "recall": recall, **more}


@pytest.fixture
def by_exponent(tmp_path):
    rows = [
        scored(PLAIN, values(1.0, 0.7, 0.4), acceptance=1.0),
        scored(SEARCH, values(1.5, 0.8, 0.5), repeats=1, generator_calls=5000),
        scored(polarity(1), values(1.4, 0.5, 0.45), ess=80.0, generator_calls=1200),
        scored(polarity(5), values(1.6, 0.3, 0.5), ess=20.0, generator_calls=1200),
        scored(polarity(-1), values(0.9, 0.9, 0.2), ess=60.0, generator_calls=1200),
    ]
    return made(tmp_path, rows)


def test_every_point_is_a_line_with_its_intervals(by_exponent):
    frame = by_exponent.frame
    assert frame.columns.is_unique and set(frame["k"]) == {3} and frame["manifold_k"][1] == 5
    assert list(frame["method"]) == ["plain", "rare_search", *["polarity"] * 3]
    mean, low, high = t_interval([1.4, 1.41, 1.42])
    found = frame.loc[2, ["rarity", "rarity_low", "rarity_high"]]
    assert list(found) == pytest.approx([mean, low, high])
    assert list(frame["draws"]) == [1, 50, 1, 1, 1] and frame["draws_low"].isna().all()
    assert frame["volumes_per_image"].tolist()[2:] == [4, 4, 4]
    assert frame["volumes_per_image"].isna().tolist()[:2] == [True, True]


def test_what_is_not_scored_is_left_out_and_what_is_stands_in_the_text(by_exponent, tmp_path):
    heads = [column.head for column in by_exponent.columns]
    assert not {"FID ↓", "pair distance ↑", "distinct ↑"} & set(heads)
    assert {"rarity", "precision ↑", "draws", "volumes", "effective size"} <= set(heads)
    write_table(by_exponent, *(tmp_path / f"t.{kind}" for kind in ("csv", "md", "tex")))
    text = (tmp_path / "t.md").read_text()
    assert "Table 15" in text and "stands for FFHQ" in text and "over the repeats" in text
    every = values(1.0, 0.7, 0.4, outside=0.2, pair_distance=0.5, fid=3.0, distinct=0.9)
    full = made(tmp_path, [scored(PLAIN, every), scored(polarity(1, True), every, ess=9.0)], 16)
    heads = [column.head for column in full.columns]
    assert {"outside ↓", "pair distance ↑", "FID ↓", "distinct ↑"} <= set(heads)
    assert "Table 16" in full.title


def test_a_point_without_repeats_has_nothing_to_show(tmp_path):
    none = scored(polarity(5, inside=True), {}, repeats=0, generator_calls=1200)
    frame = made(tmp_path, [scored(PLAIN, values(1.0, 0.7, 0.4)), none], 17).frame
    assert frame.loc[1, ["rarity", "draws", "draws_low"]].isna().all()


@pytest.mark.parametrize("replacement", [True, False])
def test_the_interval_of_draws_covers_what_it_says(replacement, tmp_path):
    """Pools of log-normal weights, of which 45 % lie inside: 1 / .45 draws are expected."""
    stream, rows = generator(0, "pools"), []
    for trial in range(300):
        draws, sizes = 0, []
        for _ in range(REPEATS):
            weights = torch.randn(400, generator=stream, dtype=torch.float64)
            inside = torch.rand(400, generator=stream) < 0.45
            _, count = draw_inside(weights, inside, IMAGES, stream, replacement=replacement)
            draws += count
            sizes.append(effective_sample_size(weights))
        acceptance, ess = IMAGES * REPEATS / draws, float(np.mean(sizes))
        point = polarity(1 + trial, replacement, inside=True)
        facts = {"acceptance": acceptance, "ess": ess, "generator_calls": draws}
        rows.append(scored(point, {"rarity": 1.0}, **facts))
    frame = made(tmp_path, rows, 17).frame
    assert frame["draws"].mean() == pytest.approx(1 / 0.45, rel=0.03)
    covered = (frame["draws_low"].lt(1 / 0.45) & frame["draws_high"].gt(1 / 0.45)).mean()
    # Without replacement the draws take most of what is inside: the interval is too wide.
    assert covered >= 0.91 and (covered <= 0.98 or not replacement)


# ------------------------------------------------------------------------------------ claims


def read(table, folder):
    """As claims read it: written and read again."""
    write_table(table, *(folder / f"t.{kind}" for kind in ("csv", "md", "tex")))
    return pd.read_csv(folder / "t.csv")


def effects(lines):
    return {line["measured"]: pytest.approx(line["effect"]) for line in lines}


def test_polarity_gains_rarity_and_loses_precision(by_exponent, tmp_path):
    lines = precision_lines(read(by_exponent, tmp_path))
    assert effects(lines) == {
        "rarity, ρ = 1, without replacement minus plain": 0.4,
        "precision, ρ = 1, without replacement minus plain": -0.2,
        "rarity, ρ = 5, without replacement minus plain": 0.6,
        "precision, ρ = 5, without replacement minus plain": -0.4,
    }
    assert [line["sign"] for line in lines] == [1, -1, 1, -1]
    # Two means of three repeats with a deviation of .01 each: Welch's interval has 4 degrees of freedom.
    half = 2.7764 * 0.01 * math.sqrt(2 / 3)
    assert lines[0]["high"] - lines[0]["effect"] == pytest.approx(half, rel=1e-3)
    assert {line["as_claimed"] for line in lines} == {"yes"}
    answers = claims_frame(lines, CATALOGUE)["answer"]
    assert set(answers) == {"as claimed in this pair"}


def test_replacement_is_compared_at_the_same_polarity(tmp_path):
    rows = [scored(PLAIN, values(1.0, 0.7, 0.4))]
    for exponent, lost in ((1, 0.2), (5, 0.6)):
        for kind in (False, True):
            own = values(1.4, 0.5, 0.45 - 0.1 * kind, outside=0.4 + 0.05 * kind)
            own["distinct"] = 1 - lost * kind
            rows.append(scored(polarity(exponent, kind), own, ess=30.0))
    table = read(made(tmp_path, rows, 16), tmp_path)
    lines = replacement_lines(table)
    assert effects(lines) == {
        f"{words} with replacement minus without, ρ = {exponent}": value
        for exponent, lost in ((1, -0.2), (5, -0.6))
        for words, value in (
            ("share of distinct images", lost),
            ("share outside the real manifold", 0.05),
            ("recall", -0.1),
        )
    }
    assert "effective sample size 30" in lines[0]["notes"]
    assert replacement_lines(table[table["replacement"].ne(False)]) == []


def test_rejection_is_held_against_two_draws_the_search_and_plain_polarity(tmp_path):
    rows = [
        scored(PLAIN, values(1.0, 0.7, 0.40)),
        scored(SEARCH | {"steps": 0}, values(1.1, 0.7, 0.20), generator_calls=300),
        scored(SEARCH, values(1.5, 0.8, 0.50), generator_calls=5000),
        scored(polarity(1), values(1.4, 0.5, 0.45), ess=80.0),
        scored(
            polarity(1, inside=True),
            values(1.45, 1.0, 0.3),
            acceptance=0.4,
            ess=90.0,
            generator_calls=750,
        ),
    ]
    table = read(made(tmp_path, rows, 17), tmp_path)
    draws, *others = rejection_lines(table)
    assert draws["effect"] == pytest.approx(math.log(2.5 / 2)) and draws["scale"] == "log-ratio"
    error = math.sqrt(0.6 / 0.4 * (1 / 750 + 1 / 270))
    assert draws["high"] - draws["effect"] == pytest.approx(1.9690 * error, rel=1e-3)
    assert "2.5 draws" in draws["notes"]
    named = "with rejection, ρ = 1, without replacement, minus that of"
    assert effects(others) == {
        f"rarity {named} the rare search": -0.05,
        f"recall {named} the rare search": -0.2,
        f"recall {named} polarity without rejection": -0.15,
    }
    assert [line["sign"] for line in others] == [0, -1, -1]
    alone = rejection_lines(table[table["method"].isin(["plain", "polarity_inside"])])
    assert len(alone) == 1


def test_two_models_are_two_blocks_and_one_over_all(by_exponent, tmp_path):
    table = read(by_exponent, tmp_path)
    both = pd.concat([table, table.assign(block="c-d", dataset="d")])
    lines = precision_lines(both)
    assert [line["block"] for line in lines[:3]] == ["a-b", "c-d", "all blocks"]


@pytest.mark.parametrize(
    ("claim", "measure"),
    [
        ("004-2", precision_lines),
        ("004-9", replacement_lines),
        ("004-10", rejection_lines),
    ],
)
def test_a_claim_without_its_table_or_rows_says_so(claim, measure, by_exponent, tmp_path):
    missing = lines_of_csv({}, claim, "table", measure)
    table = read(by_exponent, tmp_path)
    table[table["method"].eq("plain")].to_csv(tmp_path / "table.csv", index=False)
    empty = lines_of_csv({"table": tmp_path / "table.csv"}, claim, "table", measure)
    for (line,) in (missing, empty):
        assert line["id"] == claim and line["verdict"].startswith("not tested here")
    assert claims_frame(missing, CATALOGUE)["claim"].notna().all()
