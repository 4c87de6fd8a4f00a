"""The effect of w against the quality of the base model, from scores files of known numbers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from scipy import stats

from pseudodensity.artifacts import save_json
from pseudodensity.papers.pseudo_density.quality_figure import quality as quality_figure
from pseudodensity.papers.pseudo_density.quality_table import quality
from pseudodensity.plan.config import load_config
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.plan import Plan
from pseudodensity.report.drawing import save
from pseudodensity.report.table import write_table

ROOT = Path(__file__).parents[2]
SMOKE, LONG = (ROOT / f"config/scales/{name}.yaml" for name in ("smoke", "long"))
PLAIN = {"method": "plain"}
# Set -> precision and recall of its repeats.
SETS = {
    "base": ([0.50, 0.52], [0.60, 0.62]),
    "tuned": ([0.70, 0.78], [0.40, 0.40]),
    "control": ([0.60, 0.62], [0.70, 0.74]),
    "sampled": ([0.55], [0.50]),
    "reals": ([0.90, 0.90, 0.93], [0.90, 0.90, 0.90]),
    "dense reals": ([0.96, 0.98, 1.00], [0.80, 0.80, 0.80]),
}


def a_set(name):
    return {"pool": name, "point": PLAIN}


def a_row(how, times, changed=None, reference=None, base="base", **more):
    row = {"block": "gan-church", "model": "GAN", "dataset": "churches", "stands_for": None}
    row |= {"times": times, "iterations": times and 100 * times, "seed": times and 0, "how": how}
    row |= {"tau": 50, "w": 33.0, **more}
    if changed:
        row |= {"base": a_set(base), "changed": a_set(changed), "reference": a_set(reference)}
    return row


ROWS = [
    a_row("fine-tuning", 1, "tuned", "control"),
    a_row("at inference", 1, "sampled", "base"),
    a_row("fine-tuning", 2),
    a_row("at inference", 2),
    a_row("oracle", None, "dense reals", "reals", base="reals"),
]


@pytest.fixture
def scores(tmp_path):
    """A file of scores of all sets."""
    rows = []
    for name, (precision, recall) in SETS.items():
        repeats = [{"precision": p, "recall": r} for p, r in zip(precision, recall, strict=True)]
        row = {"pool": name, "point": PLAIN, "label": name, "facts": {}, "repeats": repeats}
        rows.append(row | {"n": 1000, "n_real": 5000})
    path = tmp_path / "scores.json"
    save_json(path, {"settings": {"k": 3}, "rows": rows})
    return str(path)


@pytest.fixture
def table(scores):
    return quality({"scores": [scores], "sampled": [scores]}, {"rows": ROWS})


def test_fine_tuning_is_paired_with_its_control(table):
    line = table.frame.iloc[0]
    assert line["base_precision"] == pytest.approx(0.51) and line["base_recall"] == pytest.approx(
        0.61
    )
    # .10 and .16, then -.30 and -.34: means .13 and -.32, and the t-interval of two values.
    assert line["precision_effect"] == pytest.approx(0.13)
    assert line["recall_effect"] == pytest.approx(-0.32)
    low, high = stats.t.interval(0.95, 1, loc=0.13, scale=0.03)
    found = line[["precision_effect_low", "precision_effect_high"]].astype(float)
    np.testing.assert_allclose(found, [low, high])
    assert (line["iterations"], line["n"], line["n_real"], line["k"]) == (100, 1000, 5000, 3)


def test_sampling_may_have_fewer_repeats_than_plain(table):
    line = table.frame.iloc[1]
    assert line["precision_effect"] == pytest.approx(0.55 - 0.51) and line["repeats"] == 1
    assert np.isnan(line["precision_effect_low"])


def test_the_oracle_is_measured_against_plain_real_images_by_welchs_interval(table):
    line = table.frame.iloc[4]
    assert line["base_precision"] == pytest.approx(0.91) and pd.isna(line["times"])
    changed, plain = SETS["dense reals"][0], SETS["reals"][0]
    expected = stats.ttest_ind(changed, plain, equal_var=False).confidence_interval(0.95)
    found = line[["precision_effect_low", "precision_effect_high"]].astype(float)
    np.testing.assert_allclose(found, expected)
    assert line["recall_effect"] == pytest.approx(-0.1)


def test_a_training_that_was_not_reached_is_an_empty_line(table):
    empty = table.frame.iloc[2:4]
    measured = [name for name in table.frame if "precision" in name or "recall" in name]
    assert empty[[*measured, "n", "k", "repeats"]].isna().all(axis=None)
    assert list(empty["times"]) == [2, 2] and list(empty["iterations"]) == [200, 200]


def written(table, tmp_path):
    """The table as files; the path of its CSV."""
    paths = {kind: tmp_path / f"quality.{kind}" for kind in ("csv", "md", "tex")}
    write_table(table, **paths)
    return paths


def test_the_text_shows_signs_and_leaves_out_what_is_not_there(table, tmp_path):
    text = written(table, tmp_path)["md"].read_text()
    assert "GAN on churches" in text and "+0.130" in text and "-0.320" in text and "33" in text
    (line,) = (one for one in text.splitlines() if one.startswith("| at inference | 2 "))
    assert not any(f"0.{digit}" in line for digit in range(10))


def test_the_figure_says_how_many_effects_were_not_reached(table, tmp_path):
    inputs = {"table": str(written(table, tmp_path)["csv"])}
    figure = quality_figure(inputs, {"extractors": {"manifold": "the judge"}})
    words = [
        text.get_text().replace("\u00a0", " ").replace("\n", " ") for text in figure.findobj(Text)
    ]
    assert any("2 of 5 effects were not reached" in text for text in words)
    assert any("features of the judge" in text for text in words)
    assert {"fine-tuning", "at inference", "oracle", "GAN on churches", "w = 33", "1x"} <= set(
        words
    )
    assert "2x" not in words
    # Two panels, each with a point per effect that is there.
    points = [axes.collections[0].get_offsets() for axes in figure.axes]
    assert [len(offsets) for offsets in points] == [3, 3]
    np.testing.assert_allclose(sorted(points[0][:, 1]), sorted([0.13, 0.04, 0.07]), atol=1e-9)
    save(figure, tmp_path / "quality.svg", tmp_path / "quality.png")


def test_a_table_without_any_effect_is_refused(scores, tmp_path):
    empty = quality({"scores": [scores], "sampled": [scores]}, {"rows": ROWS[2:4]})
    with pytest.raises(ValueError, match="has no effect"):
        quality_figure({"table": str(written(empty, tmp_path)["csv"])}, {"extractors": {}})


# ---------------------------------------------------------------- what it is made from


def planned(*overlays, change=None):
    config = load_config(ROOT / "config/config.yaml", overlays, {})
    grid = config["papers"]["pseudo_density"]
    grid["quality"] = grid.get("quality", {}) | (change or {})
    return Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")


def test_a_longer_training_is_the_same_recipe_with_more_iterations():
    plan = planned(SMOKE, LONG)
    trained = [job for job in plan.jobs(plan.tables["quality"]) if job.kind == "trained"]
    found = {name: [] for name in ("iddpm-bedroom", "projectedgan-digits")}
    for job in trained:
        found[f"{job.facts['model']}-{job.facts['dataset']}"].append(job)
    for jobs in found.values():
        assert sorted(job.spec["iterations"] for job in jobs) == [4, 8, 16, 32]
        others = [{k: v for k, v in job.spec.items() if k != "iterations"} for job in jobs]
        assert all(spec == others[0] for spec in others)
    # The shortest is that of Table 1.
    of_table1 = {job.path for job in plan.jobs(plan.tables["table1"])}
    assert [job.spec["iterations"] for job in trained if job.path in of_table1] == [4, 4]


def test_every_weight_has_its_reference():
    plan = planned(SMOKE, LONG)
    rows = plan.tables["quality"].settings["rows"]
    # Blocks, lengths, weights, ways; and the oracle once per block and weight.
    assert len(rows) == 2 * 4 * 2 * 2 + 2 * 2
    for row in rows:
        pools = {name: row[name]["pool"] for name in ("base", "changed", "reference")}
        if row["how"] == "fine-tuning":
            assert "-pretrained-" in pools["base"] and "-control-" in pools["reference"]
            setting = "precision" if row["w"] > 1 else "recall"
            assert f"-{setting}-" in pools["changed"] and row["changed"]["point"] == PLAIN
        else:
            assert len(set(pools.values())) == 1 and row["base"] == row["reference"]
            expected = {"method": "importance" if row["how"] == "at inference" else "oracle"}
            assert row["changed"]["point"] == expected | {"tau": row["tau"], "w": row["w"]}


def test_nothing_is_trained_beyond_what_was_reached():
    plan = planned(SMOKE, LONG, change={"reached": {"iddpm-bedroom": 2, "projectedgan-digits": 0}})
    jobs = plan.jobs(plan.tables["quality"])
    trained = sorted(job.spec["iterations"] for job in jobs if job.kind == "trained")
    # The oracle of the digits needs no model.
    assert trained == [4, 8]
    rows = plan.tables["quality"].settings["rows"]
    assert len(rows) == 36 and sum("changed" in row for row in rows) == 2 * 2 * 2 + 2 * 2


def test_a_config_without_these_blocks_says_so():
    target = planned(SMOKE, change={"blocks": ["projectedgan-bedroom"]}).tables["quality"]
    assert "none of papers.pseudo_density.quality.blocks" in target.missing


def test_a_block_that_is_not_described_is_refused():
    for change in ({"blocks": ["gan-cats"]}, {"reached": {"gan-cats": 2}}):
        with pytest.raises(ConfigError, match="quality.* names 'gan-cats'; known blocks: "):
            planned(SMOKE, change=change)


def test_plain_samples_of_other_numbers_are_kept_apart(tmp_path):
    """Fine-tuning is compared on the images of Table 1, sampling on those of a frontier: of one pool."""
    paths = {}
    for name, repeats in (("scores", 3), ("sampled", 4)):
        rows = [
            {
                "pool": pool,
                "point": PLAIN,
                "label": pool,
                "n": 100 * repeats,
                "n_real": 9,
                "facts": {},
            }
            | {"repeats": [{"precision": p, "recall": 0.5} for p in [level] * repeats]}
            for pool, level in (
                ("base", 0.1 * repeats),
                ("tuned", 0.9),
                ("control", 0.8),
                ("sampled", 0.7),
            )
        ]
        paths[name] = [tmp_path / f"{name}.json"]
        save_json(paths[name][0], {"settings": {"k": 3}, "rows": rows})
    frame = quality(paths, {"rows": ROWS[:2]}).frame
    assert frame["n"].tolist() == [300, 400]
    assert frame["base_precision"].tolist() == pytest.approx([0.3, 0.4])
    assert frame["precision_effect"].tolist() == pytest.approx([0.1, 0.3])
