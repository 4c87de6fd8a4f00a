"""Goals and who reaches them: found on one half of the repeats, confirmed on the other."""

import pandas as pd
import pytest

from pseudodensity.artifacts import save_json
from pseudodensity.papers.pseudo_density.wanted import cheapest, wanted, wanted_frame
from pseudodensity.plan.methods import method
from pseudodensity.report.scores import ScoreBook
from pseudodensity.report.table import write_table

PLAIN = {"method": "plain"}
HELD_OUT = {"method": "held_out"}


def importance(w):
    return {"method": "importance", "tau": 80, "w": w}


# Point, precision of each repeat, calls of the generator for one image.
SETS = [
    (PLAIN, [0.60, 0.62, 0.61, 0.63], 1),
    (importance(10.0), [0.75, 0.77, 0.78, 0.80], 3),
    (importance(33.0), [0.85, 0.83, 0.70, 0.72], 4),
    (importance(100.0), [0.90, 0.92, 0.91, 0.93], 9),
    (HELD_OUT, [0.99, 0.99, 0.99, 0.99], 1),
]
NOT_SERVED = {"method": "polarity", "not_served": "needs a Jacobian"}


@pytest.fixture
def scores(tmp_path) -> str:
    """A scores file of the sets: 100 images in each repeat; recall is 1 - precision."""
    rows = [
        {
            "pool": "p",
            "point": point,
            "label": method(point["method"]).label(point),
            "n": 100,
            "n_real": 500,
            "facts": {"generator_calls": calls * 100 * len(precision)},
            "repeats": [{"precision": value, "recall": 1 - value} for value in precision],
        }
        for point, precision, calls in SETS
    ]
    path = tmp_path / "scores.json"
    content = {"metric": "manifold", "settings": {"k": 3}, "extractor": "judge", "rows": rows}
    save_json(path, content)
    return str(path)


ROWS = [{"pool": "p", "point": point} for point, *_ in SETS] + [NOT_SERVED]


def answers(scores, *goals) -> pd.DataFrame:
    return wanted_frame(ROWS, ScoreBook([scores]), goals)


@pytest.mark.parametrize(
    ("goal", "calls"),
    [
        ({"score": "a", "at_least": 0.5}, 2),
        ({"score": "a", "at_least": 0.7}, 5),
        ({"score": "a", "at_most": 0.35}, 1),
        ({"score": "a", "at_least": 0.95}, None),
        ({"score": "b", "at_least": 0.0}, None),
    ],
)
def test_the_cheapest_line_that_reaches_a_goal(goal, calls):
    lines = [{"found": {"a": a}, "calls": c} for a, c in ((0.3, 1), (0.9, 5), (0.6, 2), (0.8, 5.5))]
    best = cheapest(lines, goal)
    assert best is None if calls is None else best["calls"] == calls


def test_a_goal_is_reached_at_the_least_cost_and_confirmed_on_the_other_half(scores):
    frame = answers(scores, {"score": "precision", "at_least": 0.7})
    (answer,) = frame.to_dict("records")
    assert answer["goal"] == "precision >= 0.7"
    assert answer["setting"] == "importance sampling, tau 80 %, w 10"
    # Means of the last two repeats, not of those that found it.
    assert answer["reached"] == answer["precision"] == pytest.approx(0.79)
    assert answer["recall"] == pytest.approx(0.21) and answer["confirmed"] is True
    assert answer["generator_calls_per_image"] == 3 and pd.isna(answer["fid"])


def test_what_was_found_by_luck_is_not_confirmed(scores):
    """w = 33 reaches .84 in the half that finds it, and .71 in the other."""
    (answer,) = answers(scores, {"score": "precision", "at_least": 0.8}).to_dict("records")
    assert answer["setting"] == "importance sampling, tau 80 %, w 33"
    assert answer["reached"] == pytest.approx(0.71) and answer["confirmed"] is False


def test_a_goal_that_none_reaches_says_so_and_real_images_are_no_answer(scores):
    goals = {"score": "precision", "at_least": 0.95}, {"score": "fid", "at_most": 5.0}
    frame = answers(scores, *goals)
    assert frame["goal"].tolist() == ["precision >= 0.95", "fid <= 5"]
    assert frame["setting"].tolist() == ["none of the points reaches it"] * 2
    assert frame["reached"].isna().all() and frame["confirmed"].isna().all()


def test_a_point_of_one_repeat_leaves_nothing_to_confirm(scores):
    book = ScoreBook([scores])
    del book.find("p", PLAIN).repeats[1:]
    (answer,) = wanted_frame(ROWS, book, [{"score": "recall", "at_least": 0.3}]).to_dict("records")
    assert answer["setting"] == "none of the points reaches it"


def test_the_table_is_written(scores, tmp_path):
    settings = {"title": "Goals", "rows": ROWS}
    settings["wanted"] = [
        {"score": "recall", "at_least": 0.3},
        {"score": "recall", "at_least": 0.9},
    ]
    files = [tmp_path / f"wanted.{kind}" for kind in ("csv", "md", "tex")]
    write_table(wanted({"scores": [scores]}, settings), *files)
    frame = pd.read_csv(files[0])
    assert frame["setting"].tolist() == ["plain", "none of the points reaches it"]
    assert frame["generator_calls_per_image"].tolist()[0] == 1
    assert "recall >= 0.3" in files[1].read_text()
