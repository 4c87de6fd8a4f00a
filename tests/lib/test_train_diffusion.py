"""Training of diffusion models: it learns, it draws by weight, and a killed run resumes exactly."""

import numpy as np
import pytest
import torch
from scipy.stats import chi2

from pseudodensity.control.train.diffusion import DiffusionTrainer
from pseudodensity.control.train.loop import run
from pseudodensity.generators.diffusion import build_generator
from pseudodensity.progress import Progress

torch.set_num_threads(1)

RECIPE = {
    "batch_size": 8,
    "lr": 2e-3,
    "warmup_iterations": 5,
    "decay_fraction": 0.5,
    "ema_half_life": 100,
    "ema_ramp_up": 0.1,
}


def make_trainer(images: np.ndarray, iterations: int, **options) -> DiffusionTrainer:
    torch.manual_seed(0)
    model = build_generator(
        8,
        network="small",
        flavour="iddpm",
        channels=[16, 16],
        blocks=1,
        attention_levels=[1],
        head_channels=None,
        norm_groups=8,
        dropout=0.2,
        patch=1,
        schedule="cosine",
        prediction="v_prediction",
        training_steps=1000,
        sampling_steps=10,
        rescale_vb=False,
    )
    recipe = RECIPE | options.pop("recipe", {})
    return DiffusionTrainer(
        model, images, recipe, iterations=iterations, mirror=True, seed=3, **options
    )


def flat_images(*levels: int) -> np.ndarray:
    return np.stack([np.full((3, 8, 8), level, np.uint8) for level in levels])


def test_learns_a_tiny_set():
    trainer = make_trainer(flat_images(20, 230), 150, recipe={"batch_size": 32})
    losses = [trainer.step(i)["loss"] for i in range(150)]
    assert np.mean(losses[-20:]) < 0.3 * np.mean(losses[:5])
    with torch.no_grad():
        z = torch.randn(20, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        means = trainer.average.module(z).mean((1, 2, 3))
    # The two levels are -0.84 and 0.80; samples keep to them, and to both.
    assert (means.abs() > 0.5).float().mean() > 0.8 and means.min() < -0.5 and means.max() > 0.5


def test_images_are_drawn_by_their_weights():
    images, weights = flat_images(0, 60, 120, 180, 240), torch.tensor([1.0, 2, 0, 4, 1])
    trainer, seen = make_trainer(images, 400, weights=weights), []

    def loss(x0, t, noise):
        seen.append(x0[:, 0, 0, 0])
        return trainer.model.unet.conv_in.weight.sum() * torch.ones(len(x0))

    trainer.model.loss = loss
    for i in range(400):
        trainer.step(i)
    levels = torch.cat(seen).add(1).mul(127.5).round().long() // 60
    counts = torch.bincount(levels, minlength=5).double()
    expected = weights / weights.sum() * counts.sum()
    assert counts[2] == 0
    drawn = weights > 0
    statistic = ((counts - expected) ** 2 / expected)[drawn].sum().item()
    assert statistic < chi2.ppf(0.999, drawn.sum().item() - 1)


def test_a_killed_run_resumes_to_the_same_bits(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (20, 3, 8, 8), dtype=np.uint8)
    whole = make_trainer(images, 8)
    run(whole, 8, tmp_path / "whole", {}, Progress("whole", 64))
    run(make_trainer(images, 8), 3, tmp_path / "part", {}, Progress("part", 24))
    torch.randn(7)  # the global stream must not matter
    resumed = make_trainer(images, 8)
    run(resumed, 8, tmp_path / "part", {}, Progress("resumed", 64))
    for name in ("model", "average"):
        ours, theirs = resumed.state()[name], whole.state()[name]
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_learning_rate_warms_up_and_decays():
    trainer = make_trainer(flat_images(0), 100)
    rates = []
    for i in (0, 4, 50, 75, 99):
        trainer._set_learning_rate(i)
        rates.append(trainer.optimizer.param_groups[0]["lr"] / RECIPE["lr"])
    assert rates == pytest.approx([0.2, 1, 1, 0.5, 0.02])


def test_continues_from_a_given_average():
    images = flat_images(0, 255)
    average = make_trainer(images, 1).average.module
    before = {k: v.clone() for k, v in average.state_dict().items()}
    trainer = make_trainer(images, 10, average=average, recipe={"ema_ramp_up": None})
    trainer.step(0)
    after, model = trainer.average.module.state_dict(), trainer.model.state_dict()
    share = 1 - 0.5 ** (RECIPE["batch_size"] / RECIPE["ema_half_life"])
    for key, value in before.items():
        torch.testing.assert_close(after[key], value.lerp(model[key], share))
