"""Distances to training images, and the claims of the paper answered from small tables of known answer."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from pseudodensity.papers.polarity.claims import claims
from pseudodensity.papers.polarity.claims_images import (
    best_lines,
    front_lines,
    settled_lines,
    trade_lines,
)
from pseudodensity.papers.polarity.fig6 import fig6
from pseudodensity.papers.polarity.fig6_figure import fig6_figure
from pseudodensity.papers.polarity.measured.distances import nearest_training
from pseudodensity.rng import numpy_generator
from pseudodensity.tensors import save_tensors

ROOT = Path(__file__).parents[2]
CATALOGUE = ROOT / "config/reported/claims.csv"
torch.set_num_threads(1)

NAMES = {"block": "b", "model": "StyleGAN2", "dataset": "churches", "stands_for": "LSUN-Church"}


# ------------------------------------------------------------------------ figure 6


def test_distances_are_those_by_brute_force():
    draw = numpy_generator(0, "rows")
    training, images = (draw.standard_normal((n, 7)).astype(np.float32) for n in (60, 9))
    images[0] = training[5]
    found, rows = nearest_training(training, images, 3)
    every = np.linalg.norm(images[:, None].astype(float) - training[None], axis=2)
    assert found == pytest.approx(np.sort(every, axis=1)[:, :3], abs=1e-6)
    assert found[0, 0] == 0 and rows[0, 0] == 5
    assert np.array_equal(rows, np.argsort(every, axis=1)[:, :3])


@pytest.fixture
def measured(tmp_path):
    """Modes at half the distance, held-out reals at the same."""
    rows = [("ρ = -5", -5, 2.0), ("ρ = 0", 0, 300.0), ("held-out real images", None, None)]
    draw = numpy_generator(0, "distances")
    own = 1 + 0.1 * draw.random((3, 300, 3))
    own[0] /= 2
    facts = {"rows": [dict(zip(("name", "polarity", "ess"), row, strict=True)) for row in rows]}
    path = tmp_path / "measured.safetensors"
    arrays = {"pixels": own, "features": own * 10}
    save_tensors(path, arrays, {"kind": "experiment"}, facts | {"extractor": "backbone_cnn"})
    return {"measured": [path]}


def test_figure_6_compares_with_polarity_zero(measured):
    frame = fig6(measured, {"panels": [NAMES | {"kind": "GAN"}], "k": 3}).frame
    modes, model, reals = frame[frame["space"].eq("features")].to_dict("records")
    assert modes["change"] == pytest.approx(np.log(0.5), abs=0.01)
    assert modes["change_high"] < 0 and modes["mean"] == pytest.approx(5.25, abs=0.05)
    assert pd.isna(model["change"]) and abs(reals["change"]) < 0.01
    assert reals["quarter"] < reals["median"] < reals["three_quarters"]
    figure = fig6_figure(measured, {"panels": [NAMES | {"kind": "GAN"}], "k": 3})
    assert len(figure.axes) == 2 and "backbone_cnn" in figure.axes[1].texts[0].get_text()


# ------------------------------------------------------------------------ claims


def points() -> pd.DataFrame:
    """-0.1 gains precision surely, 0.1 recall within its error; polarity beats truncation."""
    columns = ("method", "polarity", "psi", "precision", "recall")
    lines = [
        ("plain", np.nan, np.nan, 0.50, 0.50),
        ("polarity", -0.1, np.nan, 0.60, 0.45),
        ("polarity", 0.0, np.nan, 0.50, 0.50),
        ("polarity", 0.1, np.nan, 0.45, 0.505),
        ("truncation", np.nan, 0.7, 0.60, 0.30),
        ("truncated_polarity", -0.1, 0.7, 0.65, 0.20),
    ]
    frame = pd.DataFrame(lines, columns=columns).assign(**NAMES, ess=90.0, repeats=6)
    return frame.assign(precision_error=0.01, recall_error=0.01)


def test_polarity_trades_precision_for_recall():
    precision, recall = trade_lines(points())
    assert precision["effect"] == pytest.approx(0.1) and precision["low"] > 0
    assert recall["effect"] == pytest.approx(0.005) and recall["low"] < 0 < recall["high"]
    assert "ρ = -0.1" in precision["notes"] and "ρ = 0.1" in recall["notes"]


def test_fronts_are_compared_beyond_the_plain_precision():
    alone, together = front_lines(points())
    # From .5 to .6 polarity keeps more recall.
    assert alone["effect"] == pytest.approx(1)
    assert together["effect"] == pytest.approx(1)
    worse = points().replace({"recall": {0.45: 0.25}})
    assert front_lines(worse)[0]["effect"] == pytest.approx(-1)
    assert front_lines(points()[:4]) == []


def test_the_gain_in_fid_is_that_of_table_2():
    table = pd.DataFrame([NAMES, NAMES, NAMES]).assign(
        space=[None, "pixel", "features of judge"],
        circular=[None, False, True],
        polarity=[np.nan, -0.1, np.nan],
        gain=[np.nan, 0.3, 0.0],
        gain_low=[np.nan, 0.1, np.nan],
        gain_high=[np.nan, 0.5, np.nan],
        gain_p=[np.nan, 0.01, np.nan],
        paper_fid=[3.97, 3.92, np.nan],
    )
    pixel, circular = best_lines(table)
    assert (pixel["effect"], pixel["low"], pixel["p"]) == (0.3, 0.1, 0.01)
    assert pixel["paper_effect"] == pytest.approx(0.05)
    assert pixel["measured"].endswith("pixel") and "nothing beat" in circular["notes"]
    assert circular["measured"].endswith("features of judge (circular)")


def test_what_settles_is_the_step_before_the_last():
    columns = ("top", "polarity", "fid_change")
    lines = [(np.nan, np.nan, np.nan), (10, 0.1, 3.0), (20, -0.1, 0.2), (20, 0.1, 0.1)]
    lines += [(30, -0.1, np.nan), (30, 0.1, np.nan)]
    table = pd.DataFrame(lines, columns=columns).assign(**NAMES)
    table = table.assign(fid_change_low=-0.1, fid_change_high=0.4, fid_change_p=0.5)
    found = settled_lines(table, "top")
    assert [line["effect"] for line in found] == [0.2, 0.1]
    assert "k = 20 minus that at 30, ρ = -0.1" in found[0]["measured"]
    assert settled_lines(table[:2], "top") == []


def test_every_claim_is_answered_or_says_why_not(tmp_path):
    points().to_csv(tmp_path / "fig3.csv", index=False)
    inputs = {"catalogue": CATALOGUE, "fig3": tmp_path / "fig3.csv"}
    frame = claims(inputs, {}).frame
    assert set(frame["id"]) == {f"001-{number}" for number in range(1, 9)}
    assert frame["claim"].notna().all() and frame["answer"].str.len().gt(0).all()
    untested = frame[frame["verdict"].str.startswith("not tested here")]
    assert {"001-5", "001-7", "001-8"} <= set(untested["id"])
    assert frame[frame["id"].eq("001-1")]["effect"].notna().all()
