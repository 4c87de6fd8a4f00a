"""Strengths of guidance in units of the summed variance: schedules whose sums are known, and the tables."""

from pathlib import Path

import numpy as np
import pytest
import torch
from guided_example import checkpoint_with_classes
from torch import nn

from pseudodensity.artifacts import save_json
from pseudodensity.control.guide.interval import ALWAYS, Interval
from pseudodensity.control.latent_names import names_of
from pseudodensity.generators.checkpoint import save_checkpoint
from pseudodensity.generators.denoiser import make_process
from pseudodensity.generators.diffusion import DiffusionModel
from pseudodensity.generators.diffusion_sampling import StepNoise, sample
from pseudodensity.papers.low_density.fig4 import fig4
from pseudodensity.papers.low_density.measured.summed_variance import (
    shares_of_ddim,
    summed_variances,
    variances_of_ancestral,
)
from pseudodensity.papers.low_density.pushed import pushed
from pseudodensity.plan.config import load_config
from pseudodensity.plan.plan import Plan
from pseudodensity.report.table import page
from pseudodensity.rng import normal
from pseudodensity.tensors import save_tensors

ROOT = Path(__file__).parents[2]
torch.set_num_threads(1)

WHEN = {"from_time": 0.0, "to_time": 1000.0}


class Told(nn.Module):
    """A network that says no noise, and one end of the variance for all numbers: -1 the posterior's, 1 beta."""

    def __init__(self, end: float):
        super().__init__()
        self.end = end

    def forward(self, x, clock):
        return torch.cat([torch.zeros_like(x), torch.full_like(x, self.end)], 1)


def model(end: float = -1.0) -> DiffusionModel:
    process = make_process("cosine", 1000, "epsilon")
    return DiffusionModel(Told(end), process, 2, 1, 10, False)


def of_ancestral(steps: int, interval: Interval = ALWAYS, end: float = -1.0) -> torch.Tensor:
    latents = normal(0, "latents", range(2), (3, 2, 2))
    return variances_of_ancestral(model(end), latents, StepNoise(0, range(2)), steps, interval)


KNOWN = {10: 2.9, 25: 4.9, 50: 6.3, 100: 7.8, 250: 9.6, 1000: 12.4}


@pytest.mark.parametrize(("steps", "expected"), KNOWN.items())
def test_posterior_variances_of_the_cosine_schedule_have_their_known_sums(steps, expected):
    found = of_ancestral(steps)
    assert found.shape == (2, 3, 2, 2) and found.std() < 1e-6
    assert round(found.mean().item(), 1) == expected


def test_a_network_that_says_beta_is_pushed_by_the_betas():
    abar = model().process.abar[torch.linspace(0, 999, 10).round().long()]
    betas = 1 - abar[1:] / abar[:-1]
    assert of_ancestral(10, end=1.0).mean().item() == pytest.approx(betas.sum().item(), rel=1e-5)


@pytest.mark.parametrize("found", [of_ancestral, lambda *own: shares_of_ddim(model(), *own)])
def test_the_sums_of_two_intervals_are_those_of_both(found):
    parts = [found(50, Interval(*ends)).mean() for ends in ((0, 390), (391, 1000))]
    assert min(parts) > 0.1
    assert sum(parts).item() == pytest.approx(found(50, ALWAYS).mean().item())
    assert found(50, Interval(0, 1)).mean() == 0  # the last step alone


def test_a_deterministic_step_moves_by_what_its_new_noise_makes_of_it():
    abar = model().process.abar[torch.arange(0, 1000, 40)]
    noise, gradient, total = 0.7, 0.01, 0.0
    for now, previous in zip(abar[1:], abar[:-1], strict=True):
        ends = []
        for eps in (noise, noise - (1 - now).sqrt() * gradient):
            x0 = (0.3 - (1 - now).sqrt() * eps) / now.sqrt()
            ends.append(previous.sqrt() * x0 + (1 - previous).sqrt() * eps)
        total += (ends[1] - ends[0]) / gradient
    assert shares_of_ddim(model(), 25, ALWAYS).item() == pytest.approx(float(total), rel=1e-9)


# ------------------------------------------------------------------------ the experiment and the tables

ANCESTRAL = {"step": "ancestral", "steps": 10} | WHEN
DDIM = {"step": "ddim", "steps": 5} | WHEN


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pushed")
    save_checkpoint(
        folder / "checkpoint.safetensors",
        checkpoint_with_classes(),
        {"kind": "trained", "spec": {}},
    )
    settings = {"samplers": [ANCESTRAL, DDIM], "images": 3, "seed": 7, "device": "cpu"}
    arrays, facts = summed_variances({"checkpoint": folder / "checkpoint.safetensors"}, settings)
    save_tensors(folder / "measured.safetensors", arrays, {"kind": "experiment"}, facts)
    return folder / "measured.safetensors", arrays["sums"]


def test_learned_variances_are_those_on_the_way_to_the_first_images_of_the_pool(measured):
    generator = checkpoint_with_classes().frozen_generator("cpu")
    latents = normal(7, "latents", range(3), generator.latent_shape)
    said, process = [], generator.process.even(10)

    def kept(module, inputs, output):
        said.append((inputs[0], output))

    handle = generator.unet.register_forward_hook(kept)
    noise = StepNoise(7, names_of(latents))
    with torch.no_grad():
        sample(generator, latents, step="ancestral", steps=10, noise=noise)
    handle.remove()
    assert len(said) == 10
    total = 0
    for index, (x, output) in zip(range(9, 0, -1), said[:-1], strict=True):
        total += process.log_variance(output, x, torch.tensor([index])).exp().double()
    own = measured[1][0]
    assert own == pytest.approx([total.mean().item(), total.min().item(), total.max().item()])
    assert own[1] < own[0] < own[2]
    assert np.ptp(measured[1][1]) == 0


def test_the_reach_of_a_strength_is_alpha_times_the_sum_of_its_sampler(measured):
    path, sums = measured
    points = [{"method": "low_density", "alpha": a} | ANCESTRAL for a in (0, 0.1, 0.3)]
    points += [points[2] | DDIM, {"method": "held_out"}]
    lines = pushed(path, points)
    found = np.array([[line[f"pushed{end}"] for end in ("", "_least", "_most")] for line in lines])
    assert found[:4] == pytest.approx(np.outer([0, 0.1, 0.3, 0.3], np.ones(3)) * sums[[0, 0, 0, 1]])
    assert lines[3]["summed_variance"] == pytest.approx(sums[1, 0])
    assert np.isnan(list(lines[4].values())).all()


def test_figure_4_says_it_in_its_table(measured, tmp_path):
    points = [{"method": "low_density", "loss": None, "alpha": 0, "beta": 0} | ANCESTRAL]
    points += [points[0] | {"loss": loss, "alpha": 0.3} for loss in ("contrastive", "random")]
    names = {"block": "b", "model": "M", "dataset": "D", "stands_for": None, "seed": 0}
    rows = [names | {"pool": f"p{i}", "point": point} for i, point in enumerate(points)]
    scores = {"median_hardness": 1.0, "hard": 0.5, "avg_knn": 1.0, "lof": 1.0}
    scores |= {"precision": 0.5, "recall": 0.5}
    kept = [
        {"pool": row["pool"], "point": row["point"], "label": "x", "n": 9, "n_real": 9}
        | {"facts": {"note": ""}, "repeats": [scores, scores]}
        for row in rows
    ]
    save_json(tmp_path / "scores.json", {"settings": {"k": 3}, "rows": kept})
    inputs = {"scores": [tmp_path / "scores.json"], "pushed": measured[0]}
    table = fig4(inputs, {"rows": rows, "control": "random"})
    reach = 0.3 * measured[1][0, 0]
    assert table.frame["pushed"].tolist() == pytest.approx([0, reach, reach])
    shown = page(table)
    assert "α × summed variance" in str(shown) and f"{reach:.3f}" in str(shown)
    assert any(note.startswith("*α × summed variance*") for note in shown.notes)


def test_each_sampler_of_a_figure_is_measured_once():
    plan = Plan(
        load_config(ROOT / "config/config.yaml", [], {}),
        ROOT / "workflow/schemas",
        ROOT / "config/papers",
    )
    for name, expected in (("fig4", [50]), ("fig16", [10, 25, 50, 100])):
        job = plan.tables[f"low_density/{name}"].inputs["pushed"]
        samplers = job.spec["settings"]["samplers"]
        assert [own["steps"] for own in samplers] == expected
        assert all(own["to_time"] == 1000 for own in samplers)
