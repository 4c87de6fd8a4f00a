"""Importance sampling by likelihood: exact values, thresholds of the real images, one pool."""

import numpy as np
import pytest
import torch

from pseudodensity.control.select.growing import accepted_rows
from pseudodensity.control.select.likelihood import image_log_likelihoods, proposal_log_likelihoods
from pseudodensity.control.select.proposals import Described
from pseudodensity.density.network import PseudoDensity
from pseudodensity.figures_likelihood import draw_likelihood, likelihood_table
from pseudodensity.frontier import Judgement, Pool, measure_frontier
from pseudodensity.generators.build import build_generator
from pseudodensity.images.transform import to_float
from pseudodensity.likelihood_frontier import likelihood_facts, measure_likelihood_frontier
from pseudodensity.progress import Progress
from pseudodensity.rng import normal, numpy_generator
from pseudodensity.sweeps import PLAIN, importance_points

torch.set_num_threads(1)

SETTINGS = {"patch": 2, "channels": [8, 8], "blocks": 1, "attention_levels": [], "norm_groups": 4}
SETTINGS |= {"codes": 16, "code_width": 4, "layers": 1, "width": 16, "heads": 2, "dropout": 0.0}
POINTS = [PLAIN, *importance_points([50], [0.1, 10.0])]
PANEL = {"block": "gpt-a", "model": "VQ-GPT", "dataset": "a", "stands_for": None, "seed": 0}
PANEL |= {"methods": None, "not_served": {"polarity": "codes are discrete"}}


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    return build_generator("vqgpt", 16, SETTINGS).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def pool() -> tuple[Pool, Judgement, np.ndarray]:
    """Random features and densities, and likelihoods that have nothing to do with them."""
    draws = numpy_generator(0, "pool")
    features = draws.standard_normal((600, 4), dtype=np.float32)
    density = draws.random(600, dtype=np.float32)
    seconds = dict.fromkeys(("generator", "steering", "judges", "critic"), 1.0)
    described = Described({"judge": features}, density, None, seconds, 600)
    labels = PseudoDensity(4, draws.random(100), {})
    empty = torch.empty(0)
    found = Pool(described, (empty, 0.0), (empty, ""), {}, labels, 0, {"pool": 600})
    real = {"judge": draws.standard_normal((80, 4), dtype=np.float32)}
    judgement = Judgement.of(
        real, {"manifold": "judge", "fid": "judge"}, {"k": 3, "images": 60, "repeats": 2}
    )
    return found, judgement, draws.standard_normal(600) - 50


def test_likelihoods_are_the_models_own_at_every_batch_size(generator):
    latents = normal(3, "latents", range(10), generator.latent_shape)
    expected = generator.log_likelihood(generator.codes(latents)).numpy()
    for batch_size in (10, 3):
        progress = Progress("l", 10)
        found = proposal_log_likelihoods(generator, 3, 10, progress, batch_size=batch_size)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        assert found.dtype == np.float64
    images = numpy_generator(0, "real").integers(0, 256, (5, 3, 16, 16), dtype=np.uint8)
    expected = generator.log_likelihood(generator.encode(to_float(images))).numpy()
    found = image_log_likelihoods(generator, images, batch_size=2)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_thresholds_are_percentiles_of_the_real_likelihoods(pool):
    """With likelihoods that equal the densities, both frontiers are the same."""
    found, judgement, _ = pool
    given = (POINTS, judgement, Progress("f", 3))
    same = measure_likelihood_frontier(found, found.proposals.density, found.density.labels, *given)
    assert same == measure_frontier(found, *given)


def test_the_accepted_samples_are_those_of_algorithm_2(pool):
    found, judgement, values = pool
    reals = values[:100]
    points = measure_likelihood_frontier(found, values, reals, POINTS, judgement, Progress("f", 3))
    for point in points[1:]:
        threshold = np.sort(reals)[50]
        rows = accepted_rows(torch.from_numpy(values), threshold, point["w"], 0)[:120]
        means = [values[r.numpy()].mean() for r in rows.split(60)]
        assert [r["mean_density"] for r in point["repeats"]] == pytest.approx(means)
        # The closed form is of the proposals that were looked at.
        low = (values[: int(rows[-1]) + 1] < threshold).mean()
        w = point["w"]
        expected = low + (1 - low) * w if w <= 1 else (1 - low) + low / w
        assert point["acceptance_closed_form"] == pytest.approx(expected)
    with pytest.raises(ValueError, match="599 likelihoods do not fit a pool of 600"):
        measure_likelihood_frontier(found, values[1:], reals, POINTS, judgement, Progress("f", 3))


def test_figure_and_table_show_both(pool, tmp_path):
    found, judgement, values = pool
    by_density = measure_frontier(
        found, [*POINTS, *importance_points([20], [3.0])], judgement, Progress("f", 4)
    )
    by_likelihood = measure_likelihood_frontier(
        found, values, values, POINTS, judgement, Progress("f", 3)
    )
    scores = [
        {**judgement.facts(), **found.facts(), "points": points}
        for points in (by_density, by_likelihood)
    ]
    table = likelihood_table(PANEL, *scores)
    # Points that only one of them has are left out, and the plain model stands there once.
    assert list(table["by"].fillna("")) == ["", *["pseudo density"] * 2, *["log-likelihood"] * 2]
    assert table["mean_log_likelihood"].notna().sum() == 2
    assert table.loc[1, "precision_low"] <= table.loc[1, "precision"]
    facts = likelihood_facts(found.proposals.density, values, values)
    assert abs(facts["rank_correlation"]) < 5 / np.sqrt(600)  # independent draws
    draw_likelihood(table, facts, tmp_path / "a.svg", {"manifold": "judge"})
    assert (tmp_path / "a.svg").read_text().count("</svg>") == 1
