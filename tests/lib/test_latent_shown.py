"""Figures 4 to 9 and Table 6 of latent reweighting, and its claims about images."""

import numpy as np
import pandas as pd
import pytest
import torch
from auxiliary_example import trained_auxiliaries
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr

from pseudodensity.artifacts import save_npy
from pseudodensity.control.auxiliary.file import load_auxiliary
from pseudodensity.control.auxiliary.workshop import Workshop
from pseudodensity.control.move.latent_ascent import ascend
from pseudodensity.features.build import build_extractor, load_extractor, save_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.generators.build import build_discriminator, build_generator
from pseudodensity.generators.checkpoint import CheckpointFile, load_checkpoint, save_checkpoint
from pseudodensity.images.dataset import ImageSet
from pseudodensity.images.transform import to_uint8
from pseudodensity.papers.latent_reweighting import claims_images, shown_figures, shown_tables
from pseudodensity.papers.latent_reweighting.images.passes import measure_passes
from pseudodensity.papers.latent_reweighting.images.shown import acceptances, ascents
from pseudodensity.papers.latent_reweighting.intervals import half_width, mean_of
from pseudodensity.papers.latent_reweighting.table6 import table6
from pseudodensity.plan.code import ROOT
from pseudodensity.report.ranks import correlation_interval
from pseudodensity.report.statistics import paired
from pseudodensity.rng import normal
from pseudodensity.tensors import save_tensors

torch.set_num_threads(1)

REPORTED = ROOT.parents[1] / "config/reported/latent_reweighting.csv"
SETTINGS = {"seed": 3, "k": 2, "device": "cpu"}
NAMES = {"block": "b", "model": "M", "dataset": "D", "stands_for": None, "seed": 0}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A tiny GAN with its weights, and an untrained judge with features of noise."""
    folder = tmp_path_factory.mktemp("shown")
    torch.manual_seed(0)
    generator = {"z_dim": 8, "channels": [8, 8, 4]}
    discriminator = {"channels": [4, 8]}
    states = {
        "average": build_generator("convgan", 16, generator).state_dict(),
        "discriminator": build_discriminator("convgan", 16, discriminator).state_dict(),
    }
    settings = {"generator": generator, "discriminator": discriminator}
    made = CheckpointFile("convgan", 16, settings, states, {})
    save_checkpoint(folder / "checkpoint.safetensors", made, {"kind": "trained", "spec": {}})
    images = np.random.default_rng(0).integers(0, 256, (40, 3, 16, 16), dtype=np.uint8)
    auxiliary = trained_auxiliaries(
        made, ImageSet(images, None, [], {"spec": {"kind": "folder"}}), folder
    )
    judge = build_extractor({"kind": "small_cnn", "size": 16, "widths": [4, 8], "blocks": 1})
    save_extractor(folder / "judge.safetensors", judge)
    save_npy(folder / "real.npy", extract(judge, images))
    return {
        "checkpoint": folder / "checkpoint.safetensors",
        "latent_weight": auxiliary["latent_weight"],
        "extractor": folder / "judge.safetensors",
        "real": folder / "real.npy",
    }


@pytest.fixture(scope="module")
def weight(inputs):
    workshop = Workshop(load_checkpoint(inputs["checkpoint"]), {}, 0)
    return load_auxiliary(inputs["latent_weight"], workshop)


def test_the_images_shown_stand_in_the_order_of_their_acceptance(inputs, weight):
    found, _ = acceptances(inputs, SETTINGS | {"images": 30, "shown": 7})
    latents = normal(3, "latents", range(30), (8,))
    with torch.no_grad():
        chances = (weight(latents) / weight.largest).clamp(max=1).double()
        images = to_uint8(weight.space.images(latents)).numpy()
    assert found["acceptance"] == pytest.approx(chances.numpy(), abs=1e-6)
    shown = found["acceptance"][found["rows"]]
    assert len(shown) == 7 and (np.diff(shown) >= 0).all()
    assert shown[[0, -1]] == pytest.approx([chances.min().item(), chances.max().item()])
    assert np.abs(found["images"].astype(int) - images[found["rows"]]).max() <= 1


def test_realism_is_the_largest_ratio_of_radius_and_distance(inputs):
    found, _ = acceptances(inputs, SETTINGS | {"images": 12, "shown": 12})
    real = np.load(inputs["real"])
    fake = extract(load_extractor(inputs["extractor"]), found["images"])
    radii = np.sort(cdist(real, real))[:, 2]
    kept = radii <= np.median(radii)
    expected = (radii[kept] / cdist(fake, real[kept])).max(1)
    assert found["realism"][found["rows"]] == pytest.approx(expected, rel=1e-4)


def test_the_way_up_starts_at_the_samples_and_follows_the_ascent(inputs, weight):
    settings = SETTINGS | {"images": 6, "shown": 4, "steps": [0, 1, 5]}
    found, _ = ascents(inputs, settings | {"step_size": 0.3, "projection": "exact"})
    start, _ = acceptances(inputs, SETTINGS | {"images": 6, "shown": 6})
    assert found["acceptance"][0] == pytest.approx(start["acceptance"])
    assert found["realism"][0] == pytest.approx(start["realism"])
    reached = ascend(
        weight.network,
        normal(3, "latents", range(6), (8,)),
        steps=5,
        step_size=0.3,
        projection="none",
    )  # eight dimensions are no sphere
    with torch.no_grad():
        chances = (weight.network(reached) / weight.largest).clamp(max=1)
    assert found["acceptance"][2] == pytest.approx(chances.numpy(), abs=1e-6)
    assert (found["acceptance"][2] >= found["acceptance"][0] - 1e-6).all()
    assert found["images"].shape == (3, 4, 3, 16, 16)


def test_a_pass_of_more_is_dearer(inputs, tmp_path):
    arrays, facts = measure_passes(
        inputs, {"batch": 4, "passes": 2, "repeats": 3, "seed": 0, "device": "cpu"}
    )
    assert arrays["ms"].shape == (5, 3) and (arrays["ms"] >= 0).all()
    # The table, from times that are known: those of the paper for its StyleGAN2.
    path = tmp_path / "passes.safetensors"
    ms = np.array([11.7, 13.0, 18.5, 1.5, 2.7])[:, None] * [[1, 1]]
    save_tensors(path, {"ms": ms}, {"kind": "experiment", "spec": {}}, facts)
    panel = NAMES | {"of_paper": {"model": "StyleGAN2", "dataset": "LSUN-Church"}}
    made = table6({"passes": [path], "reported": REPORTED}, {"panels": [panel], "batch": 4})
    assert made.frame["paper_ms"].tolist() == made.frame["ms"].tolist()
    assert made.frame["times_g"].tolist() == pytest.approx(made.frame["paper_times_g"].tolist())


# ---------------------------------------------------------------------------- numbers


def test_the_interval_of_a_rank_correlation_holds_it_as_often_as_it_says():
    stream, truth = np.random.default_rng(1), 0.5
    # Of a normal law: Pearson's r whose rank correlation is the truth.
    pearson = 2 * np.sin(np.pi * truth / 6)
    held = 0
    for _ in range(400):
        pairs = stream.multivariate_normal([0, 0], [[1, pearson], [pearson, 1]], size=80)
        low, high, _ = correlation_interval(spearmanr(*pairs.T).statistic, 80)
        held += low <= truth <= high
    assert 0.92 <= held / 400 <= 0.98
    assert correlation_interval(0.0, 80)[2] == 1.0
    assert correlation_interval(0.22, 80)[2] == pytest.approx(0.05, abs=0.01)
    assert np.isnan(correlation_interval(np.nan, 80)).all()


def test_a_mean_is_read_back_from_its_interval():
    values = np.array([1.0, 2.0, 4.0, 9.0])
    line = {"fid": values.mean(), "fid_ci97": half_width(values)}
    mean = mean_of(line, "fid", 4)
    assert mean.error == pytest.approx(values.std(ddof=1) / 2)
    assert np.isnan(mean_of({"fid": 1.0, "fid_ci97": np.nan}, "fid", 1).error)


def shown_file(folder, **arrays):
    path = folder / "shown.safetensors"
    save_tensors(path, arrays, {"kind": "experiment", "spec": {}}, {})
    return path


def test_the_table_of_acceptance_finds_a_correlation_that_is_there(tmp_path):
    accepted = np.linspace(0, 1, 50)
    order = np.arange(50)
    images = np.zeros((6, 3, 16, 16), dtype=np.uint8)
    path = shown_file(
        tmp_path, acceptance=accepted, realism=accepted**2 + 0.5, rows=order[::9], images=images
    )
    settings = {"panels": [NAMES], "k": 3, "extractor": "judge", "seed": 0}
    (line,) = shown_tables.acceptance({"samples": [path]}, settings).frame.to_dict("records")
    assert line["spearman"] == pytest.approx(1) and line["p"] < 1e-9
    assert line["certain"] == pytest.approx(1 / 50)
    assert line["realism_least"] < line["realism_most"]
    figure = shown_figures.acceptance({"samples": [path]}, settings)
    assert "realism" in figure.axes[1].get_ylabel()
    # No correlation is claimed where all are accepted alike.
    flat = shown_file(tmp_path, acceptance=np.ones(50), realism=accepted)
    (line,) = shown_tables.acceptance({"samples": [flat]}, settings).frame.to_dict("records")
    assert np.isnan(line["spearman"])


def test_paths_are_drawn_with_their_steps(tmp_path):
    path = shown_file(
        tmp_path,
        acceptance=np.array([[0.1, 0.2], [0.3, 0.9]]),
        realism=np.array([[1.0, 2.0], [1.5, 1.0]]),
        images=np.zeros((2, 2, 3, 16, 16), dtype=np.uint8),
    )
    panel = NAMES | {"steps": [0, 10]}
    look = {"panels": [panel, panel], "k": 3, "extractor": "judge", "seed": 0}
    table = shown_tables.ascents({"samples": [path, path]}, look)
    assert table.frame["risen"].tolist()[1] == 0.5
    drawn = look | {"first": 1, "count": 1, "step_size": 0.05, "shown": 2}
    figure = shown_figures.ascents({"samples": [path, path]}, drawn)
    words = [text.get_text() for text in figure.axes[0].texts]
    assert "0.20\n0 steps" in words and "0.90\n10 steps" in words


# ---------------------------------------------------------------------------- claims


def row(method, precision, **more):
    """A line of Table 2 with four repeats."""
    line = {"block": "b", "model": "M", "dataset": "D", "method": method, "setting": method}
    line |= {"precision": precision, "recall": 0.5, "emd": 2.0, "fid": 3.0, "ms": 1.0, "amount": 10}
    line |= more
    for score in ("precision", "recall", "emd", "fid", "ms"):
        line |= {f"{score}_ci97": 0.01, f"paper_{score}": np.nan}
    return line | {"repeats": 4, "timings": 3}


def effects(lines):
    return {line["measured"]: line["effect"] for line in lines if "effect" in line}


def test_claims_compare_the_rows_that_they_speak_of():
    table = pd.DataFrame(
        [
            row("plain", 0.5),
            row("sir", 0.7, ms=10.0),
            row("dot", 0.6, ms=20.0, emd=1.5),
            row("latent_rs", 0.65, ms=2.0, emd=1.8, fid=1.5),
            row("latent_rs_ga", 0.68, ms=3.0, emd=1.6),
        ]
    )
    found = effects(claims_images.distance_lines(table))
    assert found["EMD of latentRS minus that of plain samples"] == pytest.approx(-0.2)
    assert found["FID of latentRS over that of plain ones"] == pytest.approx(np.log(0.5))
    assert found["precision of latentRS+GA minus that of the best rival"] == pytest.approx(-0.02)
    assert found["EMD of latentRS+GA minus that of the best rival"] == pytest.approx(0.1)
    (front,) = claims_images.front_lines(table)
    assert front["effect"] == pytest.approx(0.03), "SIR and DOT are dearer"
    times = effects(claims_images.time_lines(table))
    assert times["time of an image by latentRS over that by SIR"] == pytest.approx(np.log(0.2))


def test_a_claim_about_steps_takes_the_most_and_the_fewest():
    table = pd.DataFrame(
        [row("latent_ga", 0.5 + n / 100, amount=n, recall=0.6 - n / 200) for n in (5, 2, 50, 10)]
    )
    found = effects(claims_images.ascent_lines(table))
    steps = "the most steps minus the fewest"
    assert found[f"precision of latentGA, {steps}"] == pytest.approx(0.48)
    assert found[f"recall of latentGA, {steps}"] == pytest.approx(-0.24)


def test_a_claim_without_its_rows_is_not_tested():
    (line, *_) = claims_images.time_lines(pd.DataFrame([row("plain", 0.5)]))
    assert "no block has both methods" in line["verdict"]


def test_the_interval_of_a_claim_is_that_of_its_repeats():
    """Against the plain t-test of values with no error on the other side."""
    values = np.array([0.5, 0.6, 0.7, 0.8])
    line = row("latent_rs", values.mean()) | {"precision_ci97": half_width(values)}
    fixed = row("plain", 0.4) | {"precision_ci97": 1e-12}
    found, _ = claims_images.labelled_lines(pd.DataFrame([line, fixed]))
    expected = paired(values - 0.4)
    assert found["effect"] == pytest.approx(expected.effect)
    assert found["p"] == pytest.approx(expected.p, rel=1e-6)
