"""Costs: counts obey the closed forms, and what is timed is what the frontier shows."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from auxiliary_example import trained_auxiliaries

from pseudodensity.columns.context import Context
from pseudodensity.control.select import polarity
from pseudodensity.control.select.acceptance import expected_acceptance
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import build_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.generators.build import build_discriminator, build_generator
from pseudodensity.generators.checkpoint import CheckpointFile, save_checkpoint
from pseudodensity.images.building import build_dataset
from pseudodensity.images.dataset import open_dataset
from pseudodensity.judging.costs import Bench, sampling_costs, training_costs
from pseudodensity.plan.config import load_config
from pseudodensity.plan.methods import method
from pseudodensity.plan.plan import Plan
from pseudodensity.progress import Progress

torch.set_num_threads(1)

ROOT = Path(__file__).parents[2]
NETWORK = {"channel_base": 64, "channel_max": 8}
STYLEGAN = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2, **NETWORK}
VIT = {"kind": "small_vit", "size": 16, "patch": 4, "width": 16, "depth": 1, "heads": 2}
STAMP = {"kind": "trained", "spec": {"architecture": "stylegan2", "resolution": 16}}
PROPOSALS, REPEATS, FEW = 200, 2, 16
DRS = {"method": "drs", "gamma_percentile": 80.0, "acceptance": 0.2, "calibration": "isotonic"}
DOT = {"method": "dot", "steps": 2, "step_size": 0.05, "pairs": 10}
POINTS = [
    {"method": "plain"},
    {"method": "importance", "tau": 50, "w": 0.01},
    {"method": "importance", "tau": 50, "w": 33.0},
    *(DRS | {"variant": variant} for variant in ("paper", "exact")),
    *(DOT | {"variant": variant} for variant in ("paper", "per_sample")),
    {"method": "truncation", "family": "style", "psi": 0.7},
    {"method": "polarity", "polarity": 0.1, "replacement": True} | polarity.DEFAULTS,
]


def quiet(total: int = 10**9) -> Progress:
    return Progress("x", total, every=1e9)


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Bench:
    folder = tmp_path_factory.mktemp("costs")
    torch.manual_seed(0)
    modules = {
        "generator": build_generator("stylegan2", 16, STYLEGAN),
        "discriminator": build_discriminator("stylegan2", 16, NETWORK),
    }
    states = {name: module.state_dict() for name, module in modules.items()}
    states["average"] = states["generator"]
    settings = {"generator": STYLEGAN, "discriminator": NETWORK}
    file = CheckpointFile("stylegan2", 16, settings, states, {})
    save_checkpoint(folder / "c", file, STAMP)
    scene = {"kind": "procedural", "scene": "faces", "images": 60, "resolution": 16}
    build_dataset(scene, folder / "data")
    inputs = {"checkpoint": folder / "c", "data": folder / "data/images.npy"}
    inputs |= trained_auxiliaries(file, open_dataset(folder / "data"), folder)
    context = Context(inputs, STAMP, 0, {}, quiet(), PROPOSALS)
    steering = build_extractor(VIT)
    density = PseudoDensity.fit(
        extract(steering, open_dataset(folder / "data").images), 3, epochs=2
    )
    # Half of what the model makes lies below the threshold of 50 percent.
    made = extract(steering, context.draw(range(PROPOSALS * REPEATS)))
    density.labels = np.sort(density(made)).astype(float)
    return Bench(context, density, steering, PROPOSALS, REPEATS)


@pytest.fixture(scope="module")
def measured(bench) -> tuple[dict, dict]:
    """Costs, and images that the generator made for each, by label."""
    costs, calls, seen = {}, {}, [0]
    count = lambda module, inputs, output: seen.__setitem__(0, seen[0] + len(output))
    hook = bench.context.generator.register_forward_hook(count)
    for point in POINTS:
        seen[0], label = 0, method(point["method"]).label(point)
        (costs[label],) = sampling_costs(bench, [point], FEW, quiet())
        calls[label] = seen[0]
    hook.remove()
    return costs, calls


def test_every_method_is_measured_in_the_order_that_was_asked_for(bench, measured):
    costs, _ = measured
    assert len(costs) == len(POINTS) and next(iter(costs)) == "plain"
    for label, cost in costs.items():
        assert len(cost["seconds"]) == REPEATS and cost["before"] >= 0
        assert 0 <= cost["accepted"] <= cost["proposals"], label
        # Exact rejection may accept none of two hundred.
        assert all(s is None or s > 0 for s in cost["seconds"])
    assert json.dumps(costs, allow_nan=False)
    names = [c["method"] for c in sampling_costs(bench, POINTS[:3], FEW, quiet())]
    assert names == ["plain", "importance sampling", "importance sampling"]


def test_plain_takes_all_and_what_is_dear_is_measured_on_few(measured):
    costs, _ = measured
    plain = costs["plain"]
    assert plain["accepted"] == plain["proposals"] == PROPOSALS * REPEATS
    assert plain["expected"] is None and plain["low"] is None and plain["before"] == 0
    few = {label for label, cost in costs.items() if cost["proposals"] == FEW * REPEATS}
    assert few == {label for label in costs if label.startswith(("DOT", "polarity"))}
    assert all(costs[label]["accepted"] == FEW * REPEATS for label in few)


@pytest.mark.parametrize("w", [0.01, 33.0])
def test_importance_sampling_accepts_what_the_closed_form_says(bench, measured, w):
    cost = measured[0][f"importance sampling, tau 50 %, w {w:g}"]
    values = bench.densities(bench.context.draw(range(PROPOSALS * REPEATS)))
    low = float((values < bench.density.threshold(50)).mean())
    assert (cost["tau"], cost["w"]) == (50, w)
    assert cost["low"] == pytest.approx(low)
    assert cost["expected"] == pytest.approx(expected_acceptance(low, w))
    # Who is accepted is a sum of independent draws over all proposals.
    n, p = cost["proposals"], cost["expected"]
    assert abs(cost["accepted"] - n * p) < 4.5 * math.sqrt(n * p * (1 - p))


@pytest.mark.parametrize("variant", ["setting of the paper", "calibrated"])
def test_drs_accepts_what_its_own_probabilities_say(measured, variant):
    cost = measured[0][f"DRS, {variant}"]
    n, p = cost["proposals"], cost["expected"]
    # A half of the proposals calibrates: the variance is twice that of n draws.
    assert abs(cost["accepted"] - n * p) < 4.5 * math.sqrt(2 * n * p * (1 - p) + 1)


def test_dot_calls_the_generator_once_more_for_each_step(measured):
    costs, calls = measured
    # The first measurement is not counted, but made.
    assert calls["plain"] == PROPOSALS * (REPEATS + 1)
    steps = {"setting of the paper": 10, "per sample, constant estimated, 2 steps": 2}
    for variant, count in steps.items():
        label = f"DOT, {variant}"
        own = calls[label] - FEW * (REPEATS + 1) * (1 + count)
        # The constant is estimated on pairs of points, once.
        assert own == (0 if count == 10 else 200)
    assert costs["DOT, per sample, constant estimated, 2 steps"]["before"] > 0
    assert min(costs["DOT, setting of the paper"]["seconds"]) > max(costs["plain"]["seconds"])


def test_nothing_is_read_again_for_a_point(bench, monkeypatch):
    """Files that are opened within a measurement would count as the method's time."""
    from pseudodensity.columns import context

    sampling_costs(bench, POINTS[:1], FEW, quiet())
    for name in ("open_generator", "load_checkpoint", "open_dataset"):
        monkeypatch.setattr(context, name, lambda *_: pytest.fail("read again"))
    sampling_costs(bench, [POINTS[4], POINTS[6], POINTS[7]], FEW, quiet())


def test_a_method_that_accepts_none_has_no_seconds(bench):
    point = {"method": "importance", "tau": 100, "w": 1e12}
    density = PseudoDensity(16, np.array([0.0, 1e6]), {})
    few = Bench(bench.context, density, bench.steering, 20, 1)
    (cost,) = sampling_costs(few, [point], FEW, quiet())
    assert cost["accepted"] == 0 and cost["seconds"] == [None]


def test_training_accepts_fakes_by_the_closed_form_of_their_weight(bench):
    """Algorithm 3: fakes at or above tau have the weight 1 / w."""
    recipe = {"loss": "nonsaturating", "batch_size": 8, "lr_generator": 1e-9}
    recipe |= {"lr_discriminator": 1e-9, "r1_gamma": 0, "r1_interval": 16}
    recipe |= {"path_length_weight": 0, "ema_half_life": 100, "ema_ramp_up": None}
    recipe |= {"decay_fraction": 0, "augment": []}
    importance = {"tau": 50, "w": 4.0, "fake_weight": "reciprocal"}
    spec = {"recipe": recipe, "mirror": False, "seed": 0, "importance": importance}
    plain, weighted = training_costs(bench, spec, 6, quiet())
    assert plain["method"] == "training" and plain["accepted"] == plain["proposals"]
    assert plain["proposals"] == REPEATS * 6 * 8
    assert weighted["expected"] == pytest.approx(expected_acceptance(weighted["low"], 0.25))
    n, p = weighted["proposals"], weighted["expected"]
    # p is that of other images than those of the training: 6 sigma.
    assert abs(weighted["accepted"] - n * p) < 6 * math.sqrt(n * p * (1 - p))


# ------------------------------------------------------------------------------ the same points

CHANGES = [
    {},
    {"methods": {"dot": {"steps": 3}, "drs": {"gamma_percentile": 60.0}}},
    {"papers": {"pseudo_density": {"fig4": {"drs": {"variants": ["exact"]}}}}},
]


@pytest.mark.parametrize("change", CHANGES, ids=["default", "settings", "variants"])
def test_what_is_timed_is_what_figure_6_shows(change):
    config = load_config(ROOT / "config/config.yaml", [ROOT / "config/scales/smoke.yaml"], change)
    plan = Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")
    timed = plan.tables["overhead"].inputs["costs"].spec["points"]
    shown = [row["point"] for row in plan.tables["fig6"].settings["rows"] if "point" in row]
    assert timed[0] == {"method": "plain"}
    for name in ("drs", "dot"):
        points = [point for point in timed if point["method"] == name]
        assert points == [point for point in shown if point["method"] == name] != []
    assert all(point in shown for point in timed)
    assert all(
        point["steps"] == config["methods"]["dot"]["steps"] for point in timed if "steps" in point
    )
