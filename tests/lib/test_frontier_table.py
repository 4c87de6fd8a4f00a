"""Points of frontiers: intervals, fronts, facts, and methods that nobody has heard of."""

import json
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from pseudodensity.report.frontier import frontier_frame, frontier_table
from pseudodensity.report.table import write_table

FACTS = {"acceptance": 1.0, "acceptance_closed_form": 1.0, "ess": 9.0, "unique": 9, "note": ""}
NAMES = {"block": "a-b", "model": "A", "dataset": "b", "stands_for": None, "seed": 0}
PLAIN = {"method": "plain"}


@dataclass
class Found:
    repeats: list
    facts: dict = field(default_factory=lambda: dict(FACTS))
    label: str = "a point"
    n: int = 100
    n_real: int = 50
    k: int = 3


class Book(dict):
    def find(self, pool, point):
        return self[pool, json.dumps(point)]


def scored(precision, recall, fid=1.0, repeats=3, spread=0.0, **facts):
    """Scores of a point; the repeats lie symmetrically around them."""
    steps = spread * np.linspace(-1, 1, repeats) if repeats > 1 else np.zeros(repeats)
    lines = [
        {"precision": precision + s, "recall": recall + s, "fid": fid + s, "mean_density": 1.0}
        for s in steps
    ]
    return Found(lines, FACTS | facts)


def importance(tau, w):
    return {"method": "importance", "tau": tau, "w": w}


def make(points, names=NAMES):
    """Rows and a book of (point, scores); None for scores: the model cannot serve it."""
    rows, book = [], Book()
    for point, found in points:
        if found is None:
            rows.append({**names, "method": point, "not_served": "needs a w space"})
        else:
            rows.append({**names, "pool": names["block"], "point": point})
            book[names["block"], json.dumps(point)] = found
    return rows, book


def test_intervals_come_from_repeats_and_a_single_repeat_borrows_them():
    truncation = {"method": "truncation", "family": "style", "psi": 0.7}
    points = [(PLAIN, scored(0.5, 0.5, spread=0.1))]
    points.append((importance(50, 3.0), scored(0.6, 0.4, spread=0.1)))
    points += [(truncation, scored(0.7, 0.2, repeats=1)), ("style", None)]
    frame = frontier_frame(*make(points))
    assert frame["method"].tolist() == ["plain", "importance", "truncation", "style"]
    # Repeats .4 .5 .6: standard deviation .1, t quantile 4.303 at 2 degrees of freedom.
    half = 4.3027 * 0.1 / np.sqrt(3)
    assert frame["precision_high"][0] - 0.5 == pytest.approx(half, rel=1e-4)
    assert frame["precision_low"][2] == pytest.approx(0.5) and "one repeat" in frame["note"][2]
    assert frame["note"][3] == "not served: needs a w space" and frame["front"].isna()[3]
    assert frame["tau_percent"][1] == 50 and frame["psi"][2] == 0.7
    assert frame["mean_pseudo_density"][0] == 1


def test_intervals_of_shares_stay_among_the_shares(tmp_path):
    # Two repeats far apart: the half-width is 12.7 times the standard error.
    points = [(PLAIN, scored(0.5, 0.95, repeats=2, spread=0.1))]
    points += [(importance(50, 3.0), scored(0.02, 1.0, repeats=1))]
    frame = frontier_frame(*make(points))
    shares = frame[
        [f"{score}_{end}" for score in ("precision", "recall") for end in ("low", "high")]
    ]
    assert shares.notna().to_numpy().all() and shares.stack().between(0, 1).all()
    assert frame["precision_low"][0] == 0 and frame["precision_high"][0] == 1
    assert frame["recall_high"].tolist() == [1, 1] and frame["precision_low"][1] == 0
    # An FID has no upper end, and a density network no lower one.
    assert frame["fid_high"][0] > frame["fid"][0] and frame["fid_low"].min() >= 0
    # The error is that of the repeats, whatever was cut; one repeat has none.
    assert frame["precision_error"][0] == pytest.approx(0.1)
    assert pd.isna(frame["precision_error"][1])


def test_a_point_without_images_is_a_line_without_scores():
    note = "the pool holds images for 0 of 3 repeats"
    dry = scored(0, 0, repeats=0, note=note)
    frame = frontier_frame(*make([(PLAIN, scored(0.5, 0.5)), (importance(80, 100.0), dry)]))
    assert pd.isna(frame["precision"][1]) and frame["note"][1] == note
    assert not frame["front"][1]


def test_repeats_that_share_their_volumes_have_no_interval():
    polarity = {"method": "polarity", "polarity": -0.1, "replacement": True}
    shared = scored(0.6, 0.4, spread=0.1, independent_repeats=False)
    frame = frontier_frame(*make([(PLAIN, scored(0.5, 0.5, spread=0.1)), (polarity, shared)]))
    assert frame["precision"][1] == pytest.approx(0.6)
    assert pd.isna(frame["precision_low"][1]) and "not independent" in frame["note"][1]


def test_fronts_are_of_a_method_with_the_plain_model():
    points = [(PLAIN, scored(0.5, 0.5)), (importance(50, 3.0), scored(0.6, 0.4))]
    points += [(importance(80, 3.0), scored(0.55, 0.3))]
    points += [({"method": "polarity", "polarity": 0.1}, scored(0.4, 0.45))]
    assert frontier_frame(*make(points))["front"].tolist() == [True, True, False, False]


def test_a_new_method_score_and_fact_need_no_edit():
    point = {"method": "budget", "acceptance_wanted": 0.3}
    found = scored(0.6, 0.4, repeats=2, spread=0.1, rank_correlation=0.3)
    for repeat in found.repeats:
        repeat["kid"] = 0.25
    frame = frontier_frame(*make([(PLAIN, scored(0.5, 0.5)), (point, found)]))
    assert frame["acceptance_wanted"].tolist()[1] == 0.3
    assert frame["rank_correlation"].tolist()[1] == 0.3 and "independent_repeats" not in frame
    assert frame["kid"].isna().tolist() == [True, False] and frame["kid_low"][1] == 0.25


def test_written_frontier(tmp_path):
    points = [(PLAIN, scored(0.5, 0.5, spread=0.1)), (importance(50, 3.0), scored(0.6, 0.4))]
    rows, book = make(points)
    more, other = make(points, NAMES | {"block": "c-d", "stands_for": "LSUN"})
    frame = frontier_frame([*rows, *more], Book(book | other))
    files = [tmp_path / f"fig4.{kind}" for kind in ("csv", "md", "tex")]
    write_table(frontier_table(frame, "Figure 4"), *files)
    read = pd.read_csv(files[0])
    assert len(read) == 4 and list(read.columns) == list(frame.columns)
    text = files[1].read_text()
    assert "## A on b (stands for LSUN)" in text and "100 generated against 50 real" in text
    assert "0.500 [0.252, 0.748]" in text
