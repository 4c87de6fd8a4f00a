"""Table 1 and Figures 4, 14 and 16 of low-density diffusion: costs and comparisons that follow by hand."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from pseudodensity.artifacts import save_json, save_npy
from pseudodensity.columns.pool import Column, save_column
from pseudodensity.images.dataset import MANIFEST
from pseudodensity.metrics import hardness as metric
from pseudodensity.papers.low_density.fig14 import fig14
from pseudodensity.papers.low_density.fig14_figure import fig14_figure
from pseudodensity.papers.low_density.fig16 import changes, fig16
from pseudodensity.papers.low_density.fig16_figure import fig16_figure
from pseudodensity.papers.low_density.matched import against, calibrated, matched
from pseudodensity.papers.low_density.measured.hardness import hardnesses
from pseudodensity.papers.low_density.table1 import bounds_of_ranges, cheaper, table1
from pseudodensity.report.statistics import Mean
from pseudodensity.report.table import write_csv
from pseudodensity.rng import numpy_generator
from pseudodensity.tensors import save_tensors

ROOT = Path(__file__).parents[2]
torch.set_num_threads(1)

NAMES = {"block": "b", "model": "ADM", "dataset": "digits", "stands_for": "CIFAR-10", "seed": 0}
REPORTED = ROOT / "config/reported/low_density.csv"
EXACT = np.nan  # the error of a cost that is known


# ------------------------------------------------------------------------ table 1


def test_ranges_of_quantiles_hold_their_shares_of_the_reals():
    reals = numpy_generator(0, "hardness").standard_normal(1000)
    shares = [0.8, 0.93, 0.98, 0.995]
    bounds = bounds_of_ranges({"of": "quantiles", "bounds": shares}, reals)
    inside = [((reals > low) & (reals <= high)).sum() for low, high in pairwise(bounds)]
    assert inside == [130, 50, 15] and set(bounds) <= set(reals)
    paper = {"of": "hardness", "bounds": [200, 240, 280, 320]}
    assert bounds_of_ranges(paper, reals).tolist() == [200, 240, 280, 320]


def test_a_hit_is_cheaper_by_its_share_and_dearer_by_its_cost():
    own, plain = np.arange(1000) < 400, np.arange(1000)[::-1] < 50
    ratio, low, high, p = cheaper(own, plain, Mean(148, EXACT, 1), Mean(50, EXACT, 1))
    assert ratio == pytest.approx(0.4 / 0.05 * 50 / 148)
    assert low < ratio < high and low * high == pytest.approx(ratio**2) and p < 1e-3
    dearer = cheaper(own, plain, Mean(3, 0.3, 5), Mean(1, 0.01, 5))
    assert dearer[0] == pytest.approx(8 / 3) and dearer[1] / dearer[0] < low / ratio
    # The same images as those of the plain sampler leave no doubt.
    assert cheaper(plain, plain, Mean(2, EXACT, 1), Mean(1, EXACT, 1))[:3] == (0.5, 0.5, 0.5)


def test_without_a_hit_there_is_a_ratio_and_no_interval():
    none, some = np.zeros(10, bool), np.arange(10) < 2
    one = Mean(1, EXACT, 1)
    assert cheaper(none, some, one, one)[0] == 0 and np.isnan(cheaper(none, some, one, one)[1])
    assert cheaper(some, none, one, one)[0] == np.inf and np.isnan(cheaper(some, none, one, one)[2])


def test_the_interval_of_a_ratio_misses_as_often_as_it_says():
    """Hits of both samplers that go together, of known shares."""
    draw, missed, runs = numpy_generator(0, "hits"), 0, 400
    for _ in range(runs):
        common, rest = draw.random(400), draw.random((2, 400))
        own = (common < 0.2) | (rest[0] < 0.1)
        plain = (common < 0.2) & (rest[1] < 0.5)
        _, low, high, _ = cheaper(own, plain, Mean(1, EXACT, 1), Mean(1, EXACT, 1))
        missed += not low <= 0.28 / 0.1 <= high
    assert 0.02 < missed / runs < 0.085


@pytest.fixture
def costs(tmp_path):
    """Hardness of 100 reals from 0.01 to 1, and of two samplers of known shares, in 40 and 100 calls."""
    reals = np.arange(1, 101) / 100
    plain, guided = np.full(1000, 0.0), np.full(1000, 2.0)
    # The upper bound of a range belongs to it.
    plain[:100], plain[100:110], guided[:300], guided[300:500] = 0.9, 0.95, 0.85, 0.96
    passes = [{"generator": 40}, {"generator": 40, "noisy_embedder": 60}]
    arrays = {"real_hardness": reals, "hardness_0": plain, "hardness_1": guided}
    facts = {"passes": passes, "extractor": "judge"}
    save_tensors(tmp_path / "measured.safetensors", arrays, {"kind": "experiment"}, facts)
    timed = [{"seconds": [100.0, 100.0]}, {"seconds": [200.0, 400.0]}]
    save_json(tmp_path / "costs.json", {"sampling": timed, "training": []})
    inputs = {"measured": tmp_path / "measured.safetensors", "costs": tmp_path / "costs.json"}
    sets = [{"name": "plain", "loss": None, "alpha": 0, "timed": 0}]
    sets.append({"name": "contrastive, alpha 1", "loss": "contrastive", "alpha": 1, "timed": 1})
    ranges = {"of": "quantiles", "bounds": [0.8, 0.9, 0.96, 0.99]}
    told = {"names": NAMES, "sets": sets, "ranges": ranges, "images": 5000}
    return inputs | {"reported": REPORTED}, told | {"reference": "contrastive"}


def test_the_cost_of_a_known_share_has_the_closed_form(costs):
    frame = table1(*costs).frame
    assert len(frame) == 3 * 3
    plain, guided, reals = (frame[frame["range"].eq(1)].iloc[i] for i in range(3))
    assert plain["share"] == 0.1 and guided["share"] == 0.3 and reals["share"] == 0.1
    assert plain["images"] == 50_000 and guided["images"] == pytest.approx(5000 / 0.3)
    assert plain["calls"] == 2_000_000 and guided["calls"] == pytest.approx(5000 / 0.3 * 100)
    assert plain["hours"] == pytest.approx(50_000 * 0.1 / 3600)
    assert guided["cheaper_calls"] == pytest.approx(3 / 2.5)
    assert guided["cheaper_hours"] == pytest.approx(3 / 3) and np.isnan(plain["cheaper_calls"])
    second = frame[frame["range"].eq(2)].iloc[1]
    assert second["cheaper_calls"] == pytest.approx(20 / 2.5)
    assert plain["images_low"] < 50_000 < plain["images_high"]


def test_a_range_that_nothing_falls_into_costs_at_least_something(costs):
    last = table1(*costs).frame.query("range == 3").iloc[0]
    assert last["hits"] == 0 and last["images"] == last["images_high"] == np.inf
    assert last["images_low"] == pytest.approx(5000 / (1 - 0.025 ** (1 / 1000)))


def test_the_paper_stands_beside_rejection_and_the_cheapest_guided_line(costs):
    frame = table1(*costs).frame
    first = frame[frame["range"].eq(1)]
    assert first["paper_days"].fillna(0).tolist() == [1.99, 1.88, 0]
    assert first["paper_cheaper"].iloc[1] == pytest.approx(1.99 / 1.88)
    assert first["best"].tolist()[:2] == [False, True]
    # Nothing guided fell into the last range, so that no line of it is the paper's.
    last = frame[frame["range"].eq(3)]
    assert last["paper_days"].fillna(0).tolist() == [16.79, 0, 0] and not last["best"].iloc[1]


# ------------------------------------------------------------------------ hardness of every image


@pytest.fixture
def pools(tmp_path):
    """Reals of two classes in the plane, and a pool of two points."""
    draw = numpy_generator(0, "features")
    labels = np.arange(80) % 2
    features = draw.standard_normal((80, 2)) + 6 * labels[:, None]
    about = {"names": ["digit"], "cardinalities": [2], "continuous_names": []}
    known = {"categorical": labels[:, None], "log_prob": np.zeros(80)}
    known["continuous"] = np.zeros((80, 0), np.float32)
    spec = {"resolution": 16}
    save_tensors(tmp_path / "labels.safetensors", known, spec, {})
    save_json(tmp_path / MANIFEST, {"labels": about, "spec": spec, "names": []})
    save_npy(tmp_path / "features.npy", features.astype(np.float32))
    made = {"density": np.zeros(3, np.float32)}
    made["features.judge"] = np.array([[0, 0], [6, 6], [5.5, 6]], np.float32)
    meta = {"calls": 1, "facts": {"passes": {"generator": 7}}}
    save_tensors(tmp_path / "described.safetensors", made, {}, meta)
    save_column(tmp_path / "label.safetensors", Column(np.array([0.0, 0.0, 1.0])), {})
    inputs = {"data": tmp_path / "images.npy", "features": tmp_path / "features.npy"}
    inputs |= {"set_0": [tmp_path / "described.safetensors"]}
    return inputs | {"label_0": [tmp_path / "label.safetensors"]}, features, labels


def test_images_are_of_their_class_where_no_other_is_likelier(pools):
    inputs, features, labels = pools
    arrays, facts = hardnesses(inputs, {"extractor": "judge", "seed": 0})
    assert arrays["own_0"].tolist() == [True, False, True]
    assert facts["passes"] == [{"generator": 7}]
    gaussians = metric.prepare({"features": features.astype(np.float32), "labels": labels})
    made = np.array([[0, 0], [6, 6], [5.5, 6]], np.float32)
    assert np.array_equal(arrays["hardness_0"], gaussians.hardness(made, np.array([0, 0, 1])))
    # The limit of the metric is a quantile of the same numbers.
    limit = np.quantile(arrays["real_hardness"], metric.HARD, method="inverted_cdf")
    assert limit == pytest.approx(gaussians.limit(labelled=True), rel=1e-12)
    assert arrays["real_own"].all() and len(arrays["real_own"]) == 80


def test_too_few_reals_of_a_class_are_said_in_one_line(pools):
    inputs, features, _ = pools
    save_npy(inputs["features"], features[:80].astype(np.float32))
    known = {"categorical": (np.arange(80) < 3).astype(np.int64)[:, None]}
    known |= {"log_prob": np.zeros(80), "continuous": np.zeros((80, 0), np.float32)}
    folder = inputs["data"].parent
    save_tensors(folder / "labels.safetensors", known, {"resolution": 16}, {})
    with pytest.raises(ValueError, match="two classes of 10 or more") as raised:
        hardnesses(inputs, {"extractor": "judge", "seed": 0})
    assert "\n" not in str(raised.value)


# ------------------------------------------------------------------------ at the same hardness


def point(loss, alpha, beta=0, **more):
    networks = ["noisy_embedder"] * bool(alpha)
    own = {"method": "low_density", "loss": loss if alpha else None, "alpha": alpha, "beta": beta}
    return own | {"auxiliaries": networks, "steps": 50} | more


def scored(*pairs):
    """Repeats of (hardness, precision)."""
    return [{"median_hardness": h, "precision": p, "recall": 1 - p} for h, p in pairs]


CURVE = [scored((0, 0.9), (0, 0.8)), scored((10, 0.7), (20, 0.4))]


def test_a_score_is_compared_on_the_straight_line_between_the_controls_points():
    found = matched(scored((5, 0.9), (5, 0.8)), CURVE)
    # At 5 the control has 0.8 and 0.7.
    assert found.effect == pytest.approx(0.1) and found.low == pytest.approx(found.high)
    assert np.isnan(matched(scored((5, 0.9), (21, 0.8)), CURVE).effect), "beyond the curve"
    recall = matched(scored((5, 0.9), (5, 0.8)), CURVE, "recall")
    assert recall.effect == pytest.approx(-0.1)


def test_only_other_losses_are_compared_with_the_control_and_beta_is_on_no_curve():
    points = [point(None, 0), point("a", 1), point("random", 1), point("random", 2, beta=1)]
    repeats = [CURVE[0], scored((5, 0.9), (5, 0.8)), CURVE[1], scored((5, 0), (5, 0))]
    lines = against(points, repeats, "random", name="x")
    assert [line["x"] for line in lines[:3]] == pytest.approx([np.nan, 0.1, np.nan], nan_ok=True)
    assert set(lines[0]) == {"x", "x_low", "x_high", "x_p"}


def test_the_calibrated_alpha_is_where_the_reference_is_as_hard():
    points = [point(None, 0), point("a", 1), point("a", 3), point("b", 9), point("b", 10)]
    repeats = [scored((h, 0.5)) for h in (0, 10, 30, 20, 99)]
    found = calibrated(points, repeats, "a")
    assert found == pytest.approx([np.nan, 1, 3, 2, np.nan], nan_ok=True)


# ------------------------------------------------------------------------ figures 14 and 16


def scores_file(path, rows, repeats):
    lines = [
        {
            "pool": row["pool"],
            "point": row["point"],
            "label": f"row {number}",
            "n": 20,
            "n_real": 80,
            "facts": {"note": ""},
            "repeats": own,
        }
        for number, (row, own) in enumerate(zip(rows, repeats, strict=True))
    ]
    save_json(path, {"settings": {"k": 3}, "rows": lines})
    return [path]


def row(number, own, **more):
    return NAMES | {"pool": f"p{number}", "point": own} | more


def test_figure_14_compares_losses_where_they_are_as_hard(tmp_path):
    points = [point(None, 0), {"method": "held_out"}, point("contrastive", 1), point("logits", 1)]
    repeats = [*CURVE[:1], scored((1, 0.9), (1, 0.9)), CURVE[1], scored((5, 0.9), (5, 0.8))]
    rows = [row(number, own) for number, own in enumerate(points)]
    arrays = {"real_own": np.array([True, True, True, False])}
    # Two repeats of two images each: plain, contrastive, logits.
    for number, own in enumerate(([1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 1, 1])):
        arrays[f"own_{number}"] = np.array(own, bool)
    save_tensors(tmp_path / "own.safetensors", arrays, {"kind": "experiment"}, {})
    inputs = {"scores": scores_file(tmp_path / "s.json", rows, repeats)}
    inputs["measured"] = tmp_path / "own.safetensors"
    settings = {"rows": rows, "reference": "contrastive", "control": "random"}
    frame = fig14(inputs, settings).frame
    assert frame["own_class"].tolist() == [1, 0.75, 0, 0.75]
    # The reals have one share and no repeats; equal shares of repeats leave no doubt.
    assert np.isnan(frame["own_class_low"][1]) and frame["own_class_low"][0] == 1
    assert frame["against_reference"][3] == pytest.approx(0.1)
    # At a hardness of 5 contrastive has 1 - 5 / 10 and 1 - 5 / 20 of its images in their class.
    assert frame["own_against_reference"][3] == pytest.approx((0.5 - 0.5 + 1 - 0.75) / 2)
    assert frame["calibrated"][3] == pytest.approx(1 / 3)
    assert frame["against_control"].isna().all(), "there is no random direction"
    write_csv(frame, tmp_path / "fig14.csv")
    judged = {"extractors": {"manifold": "judge"}}
    figure = fig14_figure({"table": tmp_path / "fig14.csv"}, judged)
    lines = {len(line.get_xdata()) for line in figure.axes[0].get_lines()}
    assert lines == {1, 2}, "curves of two points, and the marks of plain and of reals"


ROLES = ("plain", "guided", "random direction")


def stepped(tmp_path):
    """Two numbers of steps of three samplers, and held-out reals."""
    rows, repeats = [], []
    for steps, gain in ((5, 2), (10, 6)):
        for role in ROLES:
            own = point(
                "contrastive" if role == "guided" else "random", role != "plain", steps=steps
            )
            rows.append(row(len(rows), own | {"step": "ddim"}, role=role))
            more = gain * (role == "guided")
            repeats.append(scored((steps + more, 0.8 - more / 20), (steps + more, 0.7 - more / 20)))
    rows.append(row(len(rows), {"method": "held_out"}, role="held-out real images"))
    repeats.append(scored((0, 0.9), (1, 0.9)))
    return rows, repeats


def test_changes_are_from_the_plain_sampler_with_as_many_steps(tmp_path):
    lines = changes(*stepped(tmp_path))
    guided = lines[1], lines[4]
    assert [line["median_hardness_change"] for line in guided] == [2, 6]
    assert [line["precision_change"] for line in guided] == pytest.approx([-0.1, -0.3])
    assert guided[0]["precision_beside_most"] == pytest.approx(0.2)
    assert guided[0]["median_hardness_beside_most"] == -4
    assert np.isnan(guided[1]["precision_beside_most"]) and np.isnan(lines[0]["precision_change"])
    assert np.isnan(lines[6]["precision_change"]) and lines[2]["precision_change"] == 0


def test_figure_16_draws_each_number_of_steps(tmp_path):
    rows, repeats = stepped(tmp_path)
    samplers = [{"step": "ddim", "steps": steps} for steps in (5, 10)]
    sums = np.array([[2.0, 2.0, 2.0], [3.0, 3.0, 3.0]])
    save_tensors(tmp_path / "pushed.safetensors", {"sums": sums}, {}, {"samplers": samplers})
    inputs = {"scores": scores_file(tmp_path / "s.json", rows, repeats)}
    inputs["pushed"] = tmp_path / "pushed.safetensors"
    table = fig16(inputs, {"rows": rows})
    # Both guides have an alpha of 1.
    expected = [0, 2, 2, 0, 3, 3, np.nan]
    assert table.frame["pushed"].tolist() == pytest.approx(expected, nan_ok=True)
    write_csv(table.frame, tmp_path / "fig16.csv")
    stored = []
    for number in range(6):
        images = np.full((5, 3, 4, 4), 40 * number, np.uint8)
        save_npy(tmp_path / f"images{number}.npy", images)
        stored.append(tmp_path / f"images{number}.npy")
    drawn = [{"role": own["role"], "steps": own["point"]["steps"]} for own in rows[:6]]
    settings = {"rows": drawn, "shown": 3, "extractors": {"manifold": "judge"}}
    figure = fig16_figure({"table": tmp_path / "fig16.csv", "stored": stored}, settings)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[3:] == ["5 steps", "10 steps"]
    names = [label.get_text() for label in figure.axes[3].get_yticklabels()]
    assert names == ["plain", "guided", "random"]


def test_the_ranges_of_the_paper_are_there():
    printed = pd.read_csv(REPORTED).query("metric == 'days_per_5k'")
    assert len(printed) == 6 and printed["setting"].str.contains(" hardness ").all()
