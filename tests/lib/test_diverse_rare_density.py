"""Density of diverse rare samples: correlations with known values, and rows that are shown."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import multivariate_normal, spearmanr

from pseudodensity.artifacts import save_npy
from pseudodensity.density.feature_density import FeatureDensity, rows_of_shares, split
from pseudodensity.density.flow import Flow
from pseudodensity.density.gaussian import Gaussian
from pseudodensity.papers.diverse_rare.claims_density import density_lines
from pseudodensity.papers.diverse_rare.extremes_figure import extremes_figure
from pseudodensity.papers.diverse_rare.extremes_table import extremes_table
from pseudodensity.papers.diverse_rare.fig8 import SETS, fig8
from pseudodensity.papers.diverse_rare.fig8_figure import fig8_figure
from pseudodensity.papers.diverse_rare.measured.densities import densities, densities_of
from pseudodensity.papers.diverse_rare.measured.extremes import (
    ROWS,
    extremes,
    rows_of_extremes,
)
from pseudodensity.report.bootstrap import bootstrap
from pseudodensity.report.drawing import save
from pseudodensity.report.table import write_table
from pseudodensity.rng import normal
from pseudodensity.tensors import save_tensors

torch.set_num_threads(1)

REPORTED = Path(__file__).parents[2] / "config/reported/diverse_rare.csv"

PANEL = {"block": "gan-faces", "model": "GAN", "dataset": "faces", "stands_for": "FFHQ"}
PANEL |= {"paper": True}


def points(name: str, count: int, width: int) -> np.ndarray:
    return normal(0, name, range(count), (width,)).numpy()


def standard(width: int) -> FeatureDensity:
    """The standard normal law, exact."""
    return FeatureDensity(Gaussian(width), {"gain": 0.0, "gain_error": 0.0})


# ------------------------------------------------------------------------------- Figure 8


@pytest.mark.parametrize("width", [2, 4])
def test_on_a_gaussian_the_exact_density_goes_with_distances_as_theory_says(width):
    """Given x, d log r_k - as the count of points grows - is -log p(x) and the logarithm of a gamma variable of
    shape k, whose variance is trigamma(3) = .3949; that of -log p is d / 2."""
    features = points("reals", 6000, width)
    found = densities_of(standard(width), features, features[:50], 3)
    exact = -multivariate_normal(np.zeros(width)).logpdf(features)
    np.testing.assert_allclose(found["real_flow"], exact, rtol=1e-5)
    assert np.array_equal(found["real_flow"], found["real_gaussian"])
    correlation = np.corrcoef(np.log(found["real_sparsity"]), exact)[0, 1]
    assert correlation == pytest.approx(math.sqrt(width / 2 / (width / 2 + 0.3949)), abs=0.02)


def test_distances_and_rarity_are_those_of_brute_force_in_standard_deviations():
    reals = points("reals", 60, 3) * [40.0, 0.05, 1.0] + 7
    fakes = (points("fakes", 30, 3) * [60.0, 0.07, 1.5] + 7).astype(np.float32)
    reals = reals.astype(np.float32)
    flow = FeatureDensity.start(Flow(3, 2, 8), torch.from_numpy(reals))
    found = densities_of(flow, reals, fakes, 2)
    centre, scale = reals.astype(float).mean(0), reals.astype(float).std(0)
    real, fake = (reals - centre) / scale, (fakes - centre) / scale
    apart = np.linalg.norm(real[:, None] - real, axis=2)
    radii = np.sort(apart, axis=1)[:, 2]
    np.testing.assert_allclose(found["real_sparsity"], radii, rtol=1e-5)
    holds = np.linalg.norm(fake[:, None] - real, axis=2) <= radii
    rarity = np.where(holds, radii, np.inf).min(1)
    rarity[np.isinf(rarity)] = np.nan
    assert 0 < np.isnan(rarity).sum() < 30
    np.testing.assert_allclose(found["fake_sparsity"], rarity, rtol=1e-5)
    # A flow that was not trained is the Gaussian; its densities are per volume of standardised features.
    np.testing.assert_allclose(found["fake_flow"], found["fake_gaussian"], rtol=1e-5)
    law = flow.as_gaussian().law
    logs = law.log_density(torch.from_numpy(fake).float())
    np.testing.assert_allclose(found["fake_gaussian"], -logs.numpy(), rtol=1e-4, atol=1e-4)


def test_the_rows_of_shares_are_those_that_the_fit_has():
    features = points("reals", 50, 2)
    shares = split(features, 0.1, 3)
    for rows, own in zip(
        rows_of_shares(50, 0.1, 3),
        (shares.learned, shares.stopping, shares.held_out),
        strict=True,
    ):
        assert torch.equal(torch.from_numpy(features)[rows], own)


def test_the_bootstrap_of_a_mean_is_the_interval_of_theory():
    values = np.random.Generator(np.random.Philox(key=1)).normal(1, 2, 400)
    mean, twice = bootstrap(
        lambda rows: np.array([values[rows].mean(), 2 * values[rows].mean()]), 400
    )
    half = 1.96 * values.std() / 20
    assert mean.effect == values.mean()
    assert mean.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert mean.high == pytest.approx(values.mean() + half, abs=0.15 * half)
    assert twice.low == 2 * mean.low and mean.p == 2 / 1001
    (few,) = bootstrap(lambda rows: values[rows].mean(keepdims=True), 4)
    assert np.isnan(few.low) and few.effect == values[:4].mean()


def made_up(folder, count=300, flow_noise=0.5, gaussian_noise=1.5):
    """A file of `densities` where the flow follows the distances more closely than the Gaussian does."""
    arrays = {
        "share": np.repeat([0, 1, 2], [count // 2, count // 4, count - count // 2 - count // 4])
    }
    for whose in ("real", "fake"):
        rare = points(f"rare {whose}", count, 1)[:, 0].astype(float)
        arrays[f"{whose}_sparsity"] = 3 + rare
        for law, noise in (("flow", flow_noise), ("gaussian", gaussian_noise)):
            arrays[f"{whose}_{law}"] = rare + noise * points(f"{law} {whose}", count, 1)[:, 0] + 40
    arrays["fake_sparsity"][::5] = np.nan
    path = folder / f"densities{flow_noise}.safetensors"
    save_tensors(path, arrays, {"kind": "experiment"}, {"report": {"gain": 1.5, "gain_error": 0.1}})
    return path, arrays


def settings_of(**more):
    return {"panels": [PANEL], "extractor": "net", "k": 3} | more


def test_correlations_are_those_of_scipy_and_the_better_density_gains(tmp_path):
    path, arrays = made_up(tmp_path)
    table = fig8({"measured": [path], "reported": REPORTED}, settings_of())
    frame = table.frame.set_index("set")
    assert list(frame.index) == list(SETS)
    assert list(frame["n"]) == [150, 75, 240]
    kept = np.isfinite(arrays["fake_sparsity"])
    for name, rows, whose in (
        ("training", arrays["share"] == 0, "real"),
        ("held out", arrays["share"] == 2, "real"),
        ("fake", kept, "fake"),
    ):
        x = arrays[f"{whose}_sparsity"][rows]
        flow, gaussian = (arrays[f"{whose}_{law}"][rows] for law in ("flow", "gaussian"))
        line = frame.loc[name]
        assert line["flow_pearson"] == pytest.approx(np.corrcoef(x, flow)[0, 1])
        assert line["flow_spearman"] == pytest.approx(spearmanr(x, flow).statistic)
        gain = line["flow_pearson"] - np.corrcoef(x, gaussian)[0, 1]
        assert line["gain_pearson"] == pytest.approx(gain)
        assert line["gain_pearson_low"] > 0 and line["gain_spearman_low"] > 0
        assert line["flow_nll"] == pytest.approx(flow.mean())
    # Fisher's interval of a normal sample: nearly that of the bootstrap.
    line = frame.loc["fake"]
    for end, sign in (("low", -1), ("high", 1)):
        fisher = np.tanh(np.arctanh(line["flow_pearson"]) + sign * 1.96 / math.sqrt(237))
        assert line[f"flow_pearson_{end}"] == pytest.approx(fisher, abs=0.015)
    assert frame.loc["fake", "paper_pearson"] == 0.815
    other, _ = made_up(tmp_path, flow_noise=1.5001)
    alike = fig8({"measured": [other], "reported": REPORTED}, settings_of()).frame
    assert (alike["gain_pearson_low"] < 0).all() and (alike["gain_pearson_high"] > 0).all()


def test_a_set_of_hardly_any_images_has_no_interval_and_is_drawn(tmp_path):
    path, arrays = made_up(tmp_path)
    arrays["fake_sparsity"][1:] = np.nan
    arrays["share"][:] = 0
    save_tensors(path, arrays, {}, {"report": {"gain": 0.0, "gain_error": 0.0}})
    table = fig8({"measured": [path], "reported": REPORTED}, settings_of())
    assert list(table.frame["n"]) == [300, 0, 1 - np.isnan(arrays["fake_sparsity"][0])]
    assert table.frame["flow_pearson"].isna().tolist() == [False, True, True]
    csv = written(table, tmp_path)
    save(fig8_figure({"measured": [path], "table": csv}, settings_of()), tmp_path / "f.png")


def written(table, folder):
    write_table(table, folder / "t.csv", folder / "t.md", folder / "t.tex")
    return folder / "t.csv"


def test_the_claim_has_the_papers_numbers_beside_pearsons(tmp_path):
    path, _ = made_up(tmp_path)
    csv = written(fig8({"measured": [path], "reported": REPORTED}, settings_of()), tmp_path)
    lines = density_lines(pd.read_csv(csv))
    assert len(lines) == 6 and {line["id"] for line in lines} == {"004-5"}
    papers = [line["paper_effect"] for line in lines]
    assert papers[0] == 0.928 and papers[4] == 0.815
    assert np.isnan([papers[i] for i in (1, 2, 3, 5)]).all()
    assert all(line["low"] < line["effect"] < line["high"] for line in lines)
    assert all("flow − Gaussian +" in line["notes"] for line in lines)
    save(fig8_figure({"measured": [path], "table": csv}, settings_of()), tmp_path / "f.png")


# ------------------------------------------------------------------------------- Figures 3 and 6


def pool_of(folder, features, images):
    described = folder / "described.safetensors"
    tensors = {"density": np.zeros(len(features), np.float32), "features.net": features}
    save_tensors(described, tensors, {"kind": "pool"}, {"calls": 1, "facts": {}})
    save_npy(folder / "images.npy", images)
    return [described]


def test_rows_are_the_extremes_of_each_measure_and_outside_is_apart(tmp_path):
    known = {
        "real_sparsity": np.array([3.0, 1, 2, 4]),
        "real_flow": np.array([30.0, 40, 10, 20]),
        "fake_sparsity": np.array([np.nan, 5, 1, np.nan, 3]),
        "fake_flow": np.array([9.0, 1, 2, 8, 3]),
    }
    chosen, candidates = rows_of_extremes(known, list(ROWS), 2)
    assert [list(rows) for rows in chosen] == [
        [1, 2],
        [3, 0],
        [2, 3],
        [1, 0],
        [2, 4],
        [1, 4],
        [1, 2],
        [4, 2],
        [3, 0],
    ]
    assert candidates == [4, 4, 4, 4, 3, 3, 3, 3, 2]


def test_a_picture_is_the_image_whose_numbers_stand_beside_it(tmp_path):
    reals, fakes = points("reals", 40, 2), points("fakes", 30, 2) * 2
    images = np.arange(40, dtype=np.uint8)[:, None, None, None].repeat(3, 1)
    images = np.broadcast_to(images, (40, 3, 8, 8)).copy()
    FeatureDensity.start(Flow(2, 2, 8), torch.from_numpy(reals)).save(tmp_path / "flow")
    save_npy(tmp_path / "reals.npy", reals)
    save_npy(tmp_path / "data.npy", images)
    made = pool_of(tmp_path, fakes, images[:30] + 100)
    settings = {"extractor": "net", "fakes": 30, "k": 3, "held_out": 0.1, "fit_seed": 0, "seed": 0}
    inputs = {"real_features": tmp_path / "reals.npy", "feature_density": tmp_path / "flow"}
    arrays, facts = densities(inputs | {"made": made}, settings)
    assert np.bincount(arrays["share"]).tolist() == [32, 4, 4]
    held_out = set(rows_of_shares(40, 0.1, 0)[2].tolist())
    assert set(np.flatnonzero(arrays["share"] == 2)) == held_out
    save_tensors(tmp_path / "densities", arrays, {}, {"report": {}})
    inputs = {"densities": tmp_path / "densities", "data": tmp_path / "data.npy", "made": made}
    found, facts = extremes(inputs, {"rows": list(ROWS), "shown": 4, "seed": 0})
    real = np.array([ROWS[facts["rows"][row]][0] == "real" for row in found["row"]])
    assert np.array_equal(found["images"][:, 0, 0, 0], found["number"] + 100 * ~real)
    assert np.array_equal(found["flow"][real], arrays["real_flow"][found["number"][real]])
    assert np.array_equal(found["share"][real], arrays["share"][found["number"][real]])
    assert np.isnan(found["sparsity"]).tolist() == (found["row"] == 8).tolist()
    save_tensors(tmp_path / "extremes", found, {}, facts)
    made_of = {"sets": [tmp_path / "extremes"]}
    table = extremes_table(made_of, settings_of(number=3))
    assert table.frame["name"].nunique() == 9 and "–" in written(table, tmp_path).with_suffix(
        ".md"
    ).read_text(encoding="utf-8")
    save(extremes_figure(made_of, settings_of(number=3)), tmp_path / "f.png")
