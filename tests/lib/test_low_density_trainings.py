"""Effects of guidance over trainings, on scores that are made up."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pseudodensity.artifacts import save_json
from pseudodensity.papers.low_density.claims_sampling import trained_lines
from pseudodensity.papers.low_density.trainings import trainings
from pseudodensity.plan.config import load_config
from pseudodensity.plan.plan import Plan
from pseudodensity.report.claims import claims_frame
from pseudodensity.report.table import write_table

ROOT = Path(__file__).parents[2]
CATALOGUE = ROOT / "config/reported/claims.csv"
NAMES = {"block": "a-b", "model": "A", "dataset": "b", "stands_for": None}
NO_PUSH = "beta 0.3 gave no push: the classifier is at chance"


def point(loss, alpha, beta=0.0):
    return {"method": "low_density", "loss": loss, "alpha": alpha, "beta": beta}


POINTS = [
    point(None, 0),
    point("contrastive", 0.3),
    point("random", 0.1),
    point("random", 1.0),
    point("contrastive", 0.3, 0.3),
]


def scored(seed, asked, refused):
    """Precision of the random direction falls from .9 by .02 a nat; contrastive is .1 above that line, and
    beta gives .05. Each training is a hundredth better than the one before."""
    hardness = 40 * asked["alpha"] * (0.5 if asked["loss"] == "random" else 1)
    precision = 0.9 - 0.02 * hardness + 0.01 * seed
    if asked["loss"] == "contrastive":
        precision += (0.1 + 0.01 * seed) + (0.05 if asked["beta"] and seed not in refused else 0)
    return [
        {"median_hardness": hardness + r, "precision": precision - 0.02 * r, "recall": 0.5}
        for r in (0, 1)
    ]


def made(tmp_path, seeds=(0, 1, 2), refused=()):
    paths, rows = [], []
    for seed in seeds:
        lines = []
        for number, asked in enumerate(POINTS):
            line = {
                "pool": f"pool {seed} {number}",
                "point": asked,
                "label": "x",
                "n": 9,
                "n_real": 9,
            }
            note = {"note": NO_PUSH} if asked["beta"] and seed in refused else {}
            lines.append(line | {"facts": note, "repeats": scored(seed, asked, refused)})
            rows.append(NAMES | {"pool": line["pool"], "point": asked, "seed": seed})
        path = tmp_path / f"{seed}.json"
        save_json(path, {"settings": {"k": 3}, "rows": lines})
        paths.append(path)
    return trainings({"scores": paths}, {"rows": rows, "control": "random"})


def one(frame, effect, score="precision", loss="contrastive"):
    same = frame["effect"].eq(effect) & frame["score"].eq(score) & frame["loss"].eq(loss)
    return frame[same].iloc[0]


def test_effects_are_of_each_training_and_their_interval_over_trainings(tmp_path):
    table = made(tmp_path)
    frame = table.frame
    raised = one(frame, "hardness", "median_hardness")
    assert raised["mean"] == pytest.approx(12) and raised["mean_high"] == pytest.approx(12)
    above = one(frame, "matched")
    assert [above[f"seed_{s}"] for s in (0, 1, 2)] == pytest.approx([0.1, 0.11, 0.12])
    # Student's over three values with a standard deviation of .01.
    assert above["mean_high"] - 0.11 == pytest.approx(4.3027 * 0.01 / np.sqrt(3), rel=1e-3)
    assert one(frame, "beta")["mean"] == pytest.approx(0.05)
    assert one(frame, "matched", "recall")["mean"] == pytest.approx(0)
    assert not (frame["effect"].eq("matched") & frame["loss"].eq("random")).any()
    write_table(table, *(tmp_path / f"trainings.{suffix}" for suffix in ("csv", "md", "tex")))
    assert "3 trainings" in (tmp_path / "trainings.md").read_text()


def test_a_training_whose_classifier_gave_no_push_has_no_value(tmp_path):
    frame = made(tmp_path, refused=(1,)).frame
    assert np.isnan(one(frame, "beta")["seed_1"]) and one(frame, "beta")["trainings"] == 2
    assert one(frame, "beta")["mean"] == pytest.approx(0.05)


def test_claims_have_verdict_words_from_three_trainings(tmp_path):
    frame = made(tmp_path).frame
    lines = trained_lines("002-2", "beta", "matched")(frame)
    assert all(line["seeds"] == 3 for line in lines) and len(lines) == 2
    found = claims_frame(lines, pd.read_csv(CATALOGUE))
    assert set(found["verdict"]) == {"holds"}
    nothing = made(tmp_path, refused=(0, 1, 2)).frame
    told = trained_lines("002-2", "beta")(nothing)
    assert [line["verdict"] for line in told] == [
        "not tested here: the real/synthetic classifier gives no push in any training"
    ]


def test_the_default_asks_for_three_trainings():
    config = load_config(ROOT / "config/config.yaml", [], {})
    plan = Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")
    target = plan.tables["low_density/trainings"]
    assert {row["seed"] for row in target.settings["rows"]} == {0, 1, 2}
    assert target.settings["rows"][0]["point"]["loss"] is None
