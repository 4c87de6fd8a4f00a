"""Claims of the rare search from made-up tables, and the targets that answer them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pseudodensity.artifacts import save_json
from pseudodensity.papers.diverse_rare.all_methods import all_methods
from pseudodensity.papers.diverse_rare.all_methods_figure import all_methods_figure
from pseudodensity.papers.diverse_rare.claims import ANSWERS, claims
from pseudodensity.papers.diverse_rare.claims_attributes import share_lines
from pseudodensity.papers.diverse_rare.claims_search import (
    diversity_lines,
    limit_lines,
    rarity_lines,
    term_lines,
    weight_lines,
)
from pseudodensity.plan.config import load_config
from pseudodensity.plan.plan import Plan
from pseudodensity.report.drawing import save
from pseudodensity.report.table import write_table

ROOT = Path(__file__).parents[2]
CATALOGUE = ROOT / "config/reported/claims.csv"
NAMES = {"block": "m-d", "model": "M", "dataset": "D", "stands_for": None, "seed": 0}


def row(method: str, **own) -> dict:
    """A line of a table of the search; gains and spreads have an interval of +-.1 over 101 references."""
    line = NAMES | {"method": method, "repeats": 4, "references": 101, "n": 10, "pairs": 180}
    for name in ("rarity", "precision", "pair_distance"):
        line |= {name: own.pop(name, 5.0), f"{name}_error": 0.01}
    line["pair_deviation"] = 1.0
    for name in ("gain", "second_gain", "spread", "away"):
        value = own.pop(name, np.nan)
        line |= {name: value, f"{name}_low": value - 0.1, f"{name}_high": value + 0.1}
        line[f"{name}_p"] = 0.001
    return line | own


@pytest.fixture
def compared() -> pd.DataFrame:
    return pd.DataFrame(
        [
            row("plain", precision=0.8),
            row("rare_search", steps=0, gain=0.2),
            row(
                "rare_search",
                steps=25,
                samples=4,
                gain=0.5,
                second_gain=-0.3,
                rarity=6.0,
                pair_distance=5.5,
            ),
            row("rare_search", steps=25, gain=9.0, rarity=9.0),
            row("rare_pick", pool=40, rarity=8.0),
            row("rare_pick", pool=100, rarity=5.75),
            row("rare_pick", pool=400, rarity=6.5),
        ]
    )


def effects(lines) -> dict[str, float]:
    return {line["measured"]: round(line["effect"], 9) for line in lines}


def test_rarity_is_that_of_the_papers_search_against_each_rival(compared):
    assert effects(rarity_lines(compared)) == {
        "rarity against the reference": 0.5,
        "rarity against the reference, second network": -0.3,
        "rarity minus that of plain samples": 1.0,
        "rarity minus that of starts without search": 1.0,
        "rarity minus that of a pool pick of as many fakes as a search makes": 0.25,
        "rarity minus that of the largest pool pick": -0.5,
        "precision minus that of plain samples": 4.2,
    }


def test_diversity_tells_the_papers_test_beside_the_interval(compared):
    (line,) = diversity_lines(compared)
    assert line["effect"] == 0.5 and line["low"] > 0.4
    # Welch of two samples of 180 with deviation 1: .5 / sqrt(2 / 180).
    assert "t = 4.7" in line["notes"]


def test_terms_are_compared_with_what_they_are_added_to():
    lines = term_lines(
        pd.DataFrame(
            [
                row("plain", steps=np.nan, similarity=np.nan, diversity=np.nan),
                row("rare_search", steps=0, similarity=30, diversity=0.1, gain=7.0, spread=7.0),
                row("rare_search", steps=25, similarity=0, diversity=0, gain=1.0, spread=2.0),
                row("rare_search", steps=25, similarity=30, diversity=0, gain=1.5, spread=2.25),
                row("rare_search", steps=25, similarity=30, diversity=0.1, gain=1.25, spread=4.0),
            ]
        )
    )
    found = effects(lines)
    assert list(found.values()) == [0.5, 0.25, -0.25, 1.75]
    assert lines[0]["low"] == pytest.approx(0.5 - np.hypot(0.1, 0.1), abs=0.002)


def test_weights_are_varied_at_the_least_of_the_other():
    weights = [(1, 0.1), (9, 0.1), (1, 0.5), (9, 0.5)]
    rows = [
        row("rare_search", steps=25, similarity=a, diversity=b, gain=a, spread=10 * b)
        for a, b in weights
    ]
    assert effects(weight_lines(pd.DataFrame(rows))) == {
        "rarity against the reference, similarity 9 minus 1": 8,
        "distance of two samples of a reference, similarity 9 minus 1": 0,
        "rarity against the reference, diversity 0.5 minus 0.1": 0,
        "distance of two samples of a reference, diversity 0.5 minus 0.1": 4,
    }


def test_limits_are_compared_end_to_end():
    rows = [
        row("rare_search", steps=25, neighbours=k, gain=k, spread=2 * k, away=3 * k)
        for k in (40, 10, 100)
    ]
    assert list(effects(limit_lines(pd.DataFrame(rows))).values()) == [90, 180, 270]


def test_shares_are_those_of_values_that_are_rare_among_reals():
    ends = {"low": 1.0, "high": 3.0}
    line = NAMES | {"attribute": "hat", "value": 1, "real": 8.0, "search_change": 2.0}
    line |= {f"search_change_{end}": value for end, value in ends.items()}
    table = pd.DataFrame([line, line | {"value": 0, "real": 92.0}])
    (found,) = share_lines(table)
    assert found["measured"] == "% of hat 1, searched images minus references"
    # Half an interval is 1.96 errors, so that z = 2 * 1.96.
    assert found["effect"] == 2 and found["p"] == pytest.approx(8.86e-5, rel=0.01)


def test_without_tables_every_claim_says_that_it_is_not_tested():
    table = claims({"catalogue": CATALOGUE}, {})
    assert len(table.frame) == len(ANSWERS) == 10
    assert table.frame["verdict"].str.startswith("not tested here").all()


def test_every_claim_of_the_paper_has_a_target_that_answers_it():
    config = load_config(ROOT / "config/config.yaml", [], {})
    plan = Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")
    inputs = plan.tables["diverse_rare/claims"].inputs
    catalogue = pd.read_csv(CATALOGUE)
    own = catalogue[catalogue["id"].str.startswith("004-")]
    assert {claim for claim, *_ in ANSWERS} == set(own["id"])
    assert {name for _, name, _ in ANSWERS} <= set(inputs)
    missing = {t.name: t.missing for t in plan.of_paper["diverse_rare"] if t.missing}
    assert not missing


def test_all_methods_have_their_time_and_their_place(tmp_path):
    points = [{"method": "held_out"}, {"method": "plain"}, {"method": "perturbation"}]
    rows, lines = [], []
    for number, point in enumerate(points):
        rows.append(NAMES | {"pool": "p", "point": point})
        scores = dict.fromkeys(("outside", "precision", "recall", "pair_distance"), 0.5)
        repeats = [scores | {"rarity": number + i} for i in range(2)]
        line = {"pool": "p", "point": point, "label": point["method"], "repeats": repeats}
        lines.append(line | {"facts": {}, "n": 4, "n_real": 9})
    save_json(tmp_path / "scores", {"rows": lines, "settings": {"k": 3}})
    costs = [{"seconds": [1.0, 3.0], "before": 0.0}, {"seconds": [None, 5.0], "before": 7.0}]
    save_json(tmp_path / "costs", {"sampling": costs, "training": []})
    inputs = {"scores": [tmp_path / "scores"], "costs": tmp_path / "costs"}
    table = all_methods(inputs, {"rows": rows, "labels": ["plain", "perturbation"]})
    # Seconds of 1,000 images are milliseconds of one.
    assert table.frame["ms"].tolist()[1:] == [2, 5] and np.isnan(table.frame["ms"][0])
    assert table.frame["before"].tolist()[1:] == [0, 7]
    write_table(table, *(tmp_path / f"t.{suffix}" for suffix in ("csv", "md", "tex")))
    look = {"titles": {"plain": "plain"}, "extractors": {"rarity": "net"}}
    save(all_methods_figure({"table": tmp_path / "t.csv"}, look), tmp_path / "f.png")
