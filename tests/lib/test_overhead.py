"""Costs: counts obey the closed forms, and the table says what follows from them."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from pseudodensity.control.select.critic import Critic
from pseudodensity.control.select.importance import expected_acceptance
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import build_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.generators.build import build_discriminator, build_generator
from pseudodensity.generators.checkpoint import CheckpointFile
from pseudodensity.images.transform import to_float, to_uint8
from pseudodensity.overhead import Bench, sampling_costs, training_costs
from pseudodensity.progress import Progress
from pseudodensity.rng import normal, numpy_generator
from pseudodensity.tables_overhead import overhead_table, write_overhead

torch.set_num_threads(1)

NETWORK = {"channel_base": 128, "channel_max": 8}
STYLEGAN = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2, **NETWORK}
VIT = {"kind": "small_vit", "size": 16, "patch": 4, "width": 16, "depth": 1, "heads": 2}
SETTINGS = {
    "sampling": [{"tau": 50, "w": 0.01}, {"tau": 50, "w": 33.0}],
    "dot": {"steps": 1, "step_size": 0.01},
    "psi": 0.7,
    "few": 8,
}
PROPOSALS, REPEATS = 200, 2
REPORTED = pd.DataFrame(
    [
        ("a3", "plain", np.nan, np.nan, 13.0),
        ("a3", "sampling", 50, 0.01, 26.0),
        ("a3", "training", np.nan, np.nan, 56.0),
        ("a3", "training with importance sampling", 80, 33.0, 74.0),
        ("table1", "plain", np.nan, np.nan, 0.5),
    ],
    columns=["target", "setting", "tau_percent", "w", "value"],
)


def density_of_half(features: np.ndarray, generated: np.ndarray) -> PseudoDensity:
    """A density with the median of generated images as its 50 % threshold."""
    density = PseudoDensity.fit(features, k=3, epochs=2)
    density.labels = np.sort(density(generated)).astype(float)
    return density


@pytest.fixture(scope="module")
def bench() -> Bench:
    torch.manual_seed(0)
    generator = build_generator("stylegan2", 16, STYLEGAN).eval().requires_grad_(False)
    discriminator = build_discriminator("stylegan2", 16, NETWORK).eval().requires_grad_(False)
    real = numpy_generator(0, "real").integers(0, 256, (60, 3, 16, 16), dtype=np.uint8)
    extractor = build_extractor(VIT)
    images = to_uint8(generator(normal(1, "latents", range(100), (8,))))
    density = density_of_half(extract(extractor, real), extract(extractor, images))
    critic = Critic(discriminator, to_float(real[:16]), to_float(real[16:]), "test")
    return Bench(generator, critic, density, extractor, real, 0, PROPOSALS, REPEATS)


@pytest.fixture(scope="module")
def costs(bench) -> dict[tuple, dict]:
    found = sampling_costs(bench, SETTINGS, Progress("c", 8))
    return {(c["method"], c.get("w")): c for c in found}


def test_every_method_is_measured(costs):
    assert next(iter(costs)) == ("plain", None) and len(costs) == 8
    for (method, _), cost in costs.items():
        assert len(cost["seconds"]) == REPEATS, method
        assert 0 <= cost["accepted"] <= cost["proposals"]
        assert all(s > 0 for s in cost["seconds"])
    assert costs["plain", None]["accepted"] == costs["plain", None]["proposals"] == 400
    assert costs["DOT", None]["accepted"] == 8 * REPEATS


@pytest.mark.parametrize("w", [0.01, 33.0])
def test_importance_sampling_accepts_what_the_closed_form_says(bench, costs, w):
    cost = costs["importance sampling", w]
    images = to_uint8(bench.generator(bench.latents(0, PROPOSALS * REPEATS)))
    values = bench.density(extract(bench.extractor, images))
    low = float((values < bench.density.threshold(50)).mean())
    assert cost["low"] == pytest.approx(low)
    assert cost["expected"] == pytest.approx(expected_acceptance(low, w))
    # The number accepted is a sum of independent draws.
    n, p = cost["proposals"], cost["expected"]
    assert abs(cost["accepted"] - n * p) < 4.5 * math.sqrt(n * p * (1 - p))


@pytest.mark.parametrize("method", ["DRS, calibrated", "DRS, setting of the paper"])
def test_drs_accepts_what_its_own_probabilities_say(costs, method):
    cost = costs[method, None]
    n, p = cost["proposals"], cost["expected"]
    assert abs(cost["accepted"] - n * p) < 4.5 * math.sqrt(n * p * (1 - p) + 1)


def test_training_accepts_fakes_by_the_closed_form_of_their_weight(bench):
    """Algorithm 3: fakes at or above tau have the weight 1 / w."""
    states = {
        "generator": bench.generator.state_dict(),
        "discriminator": bench.critic.discriminator.state_dict(),
    }
    settings = {"generator": STYLEGAN, "discriminator": NETWORK}
    checkpoint = CheckpointFile("stylegan2", 16, settings, states, {})
    recipe = {"loss": "nonsaturating", "batch_size": 8, "lr_generator": 1e-9}
    recipe |= {"lr_discriminator": 1e-9, "r1_gamma": 0, "r1_interval": 16}
    recipe |= {"path_length_weight": 0, "ema_half_life": 100, "ema_ramp_up": None}
    recipe |= {"decay_fraction": 0, "augment": []}
    importance = {"tau": 50, "w": 4.0, "fake_weight": "reciprocal"}
    spec = {"recipe": recipe, "mirror": False, "seed": 0, "importance": importance}
    plain, weighted = training_costs(bench, checkpoint, spec, 6, Progress("t", 2))
    assert plain["accepted"] == plain["proposals"] == REPEATS * 6 * 8
    assert weighted["expected"] == pytest.approx(expected_acceptance(weighted["low"], 0.25))
    n, p = weighted["proposals"], weighted["expected"]
    # The noise of the layers differs from evaluation, so p is that of other images: 6 sigma.
    assert abs(weighted["accepted"] - n * p) < 6 * math.sqrt(n * p * (1 - p))


def made_up() -> tuple[list[dict], list[dict]]:
    base = {"before": 0.0, "proposals": 100, "accepted": 100, "expected": None, "low": None}
    half = {"proposals": 100, "accepted": 50, "expected": 0.5, "low": 0.5}
    importance = {"method": "importance sampling", "tau": 50, "w": 0.01, "seconds": [5.0, 5.0]}
    trained = {"method": "training with importance sampling", "tau": 80, "w": 33.0}
    sampling = [
        {**base, "method": "plain", "seconds": [1.0, 3.0]},
        {**base, **half, **importance},
        {**base, "method": "DRS, calibrated", "accepted": 0, "seconds": [math.inf, math.inf]},
    ]
    training = [
        {**base, "method": "training", "seconds": [8.0, 8.0]},
        {**base, **half, **trained, "seconds": [14.0, 14.0]},
    ]
    return sampling, training


def test_the_table_relates_costs_to_plain_ones_and_to_the_paper(tmp_path):
    table = overhead_table(*made_up(), REPORTED).set_index("method")
    assert list(table["relative"][:2]) == [1.0, 2.5]
    assert table.loc["importance sampling", "relative_closed_form"] == 2.0
    assert table.loc["importance sampling", "paper_relative"] == 2.0
    trained = table.loc["training with importance sampling"]
    # 2 s of generation beside 8 s of training, twice: 1 + (2 / 8) / 0.5.
    assert trained["relative"] == 1.75 and trained["relative_closed_form"] == 1.5
    assert trained["paper_relative"] == pytest.approx(74 / 56)
    assert table["paper_relative"].notna().sum() == 4
    low, high = table.loc["plain", ["seconds_low", "seconds_high"]]
    assert low < 2 < high and (low + high) / 2 == pytest.approx(2)


def test_the_table_is_written_to_read_and_to_compute_with(tmp_path):
    facts = {"model": "GAN", "dataset": "faces", "paper": "StyleGAN2 on FFHQ", "device": "cpu"}
    table = overhead_table(*made_up(), REPORTED)
    csv, md = tmp_path / "a.csv", tmp_path / "a.md"
    write_overhead(table, csv, md, facts | {"training": {"resolution": 16}})
    pd.testing.assert_frame_equal(pd.read_csv(csv), table, check_dtype=False)
    text = md.read_text()
    assert "GAN on faces, 16 px, in place of the paper's StyleGAN2 on FFHQ" in text
    assert "| importance sampling | 50 | 0.01 | 0.500 | 0.500 | 5 ± 0 | 2.50 | 2.00 | 26 |" in text


def test_a_model_without_images_that_pass_says_inf_and_does_not_stop(bench):
    density = PseudoDensity(16, np.array([0.0, 1.0]), {})
    density.network = nn.Sequential(nn.Linear(16, 1))
    nn.init.zeros_(density.network[0].weight)
    nn.init.constant_(density.network[0].bias, -1.0)
    few = Bench(
        *[getattr(bench, n) for n in ("generator", "critic")],
        density,
        bench.extractor,
        bench.real,
        0,
        20,
        1,
    )
    costs = sampling_costs(
        few, {**SETTINGS, "sampling": [{"tau": 50, "w": 1e12}]}, Progress("c", 7)
    )
    assert costs[1]["accepted"] == 0 and costs[1]["seconds"] == [math.inf]
