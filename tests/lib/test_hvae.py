"""The hierarchical VAE: divergences by closed form, what it learns of a known law, and runs that resume exactly."""

import numpy as np
import pytest
import torch

from pseudodensity.control.train.loop import run
from pseudodensity.control.train.variational import VariationalTrainer
from pseudodensity.generators.build import build_generator
from pseudodensity.generators.hvae import gaussian_divergence
from pseudodensity.progress import Progress
from pseudodensity.rng import numpy_generator

torch.set_num_threads(1)

SMALL = {"channels": [16, 8, 8], "latents": [4, 1], "blocks": 1}
RECIPE = {
    "batch_size": 32,
    "lr": 0.01,
    "warmup_iterations": 5,
    "divergence_warmup": 0.2,
    "pixel_deviation": 0.5,
    "decay_fraction": 0.5,
    "ema_half_life": 500,
    "ema_ramp_up": 0.1,
}


def model(**changes):
    torch.manual_seed(0)
    return build_generator("hvae", 8, SMALL | changes)


def stirred(**changes):
    """A model whose layers that start at zero do not."""
    made = model(**changes).eval().requires_grad_(False)
    for parameter in made.parameters():
        if not parameter.any():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    return made


def noises(made, count: int) -> list[torch.Tensor]:
    return [torch.randn(count, *shape) for shape in made.shapes]


def trainer(images, iterations: int = 6, **changes) -> VariationalTrainer:
    options = {"iterations": iterations, "mirror": False, "seed": 1}
    return VariationalTrainer(model(), images, RECIPE | changes, **options)


def flat_images(count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Images of one grey, uniform in a range, and the greys."""
    greys = numpy_generator(0, "greys").integers(60, 200, count)
    return np.broadcast_to(greys[:, None, None, None], (count, 3, 8, 8)).astype(np.uint8), greys


def test_a_divergence_is_that_of_two_gaussians():
    shift, log_scale = torch.randn(5, 2, 3, 3), torch.randn(5, 2, 3, 3) / 2
    theirs = torch.distributions.kl_divergence(
        torch.distributions.Normal(shift, log_scale.exp()), torch.distributions.Normal(0.0, 1.0)
    )
    torch.testing.assert_close(gaussian_divergence(shift, log_scale), theirs.sum((1, 2, 3)))
    assert gaussian_divergence(torch.zeros(1, 1), torch.zeros(1, 1)) == 0


def test_a_posterior_that_is_the_prior_draws_what_the_decoder_draws():
    """With no divergence the same standard numbers give the same image, whatever was seen."""
    made = model().eval()  # layers of the posterior start at zero
    with torch.no_grad():
        for group in made.groups:
            torch.nn.init.zeros_(group.posterior.bias)
            torch.nn.init.normal_(group.prior.weight, std=0.3)
        own = noises(made, 7)
        coded = made.code(torch.rand(7, 3, 8, 8), own)
        z = torch.cat([noise.flatten(1) for noise in own], 1)
        torch.testing.assert_close(made(z), coded.images)
    assert [float(d.abs().max()) for d in coded.divergences] == [0, 0]


def test_latents_are_those_of_all_resolutions():
    made = stirred()
    assert made.latent_shape == (4 + 16,) and made.shapes == [(4, 1, 1), (1, 4, 4)]
    z = torch.randn(3, 20)
    images = made(z)
    assert images.shape == (3, 3, 8, 8) and images.abs().max() <= 1
    torch.testing.assert_close(made(z[1:2]), images[1:2])
    for column in (0, 4, 19):  # each of the coarse and of the fine ones counts
        moved = z.clone()
        moved[:, column] += 1
        assert (made(moved) - images).abs().max() > 1e-4


def test_it_learns_the_law_of_greys_at_the_rate_that_theory_says():
    """A Gaussian of variance v, seen in D pixels with noise of variance s, is worth log(1 + D v / s) / 2 nats,
    and what is not known of it is v / (1 + D v / s)."""
    images, greys = flat_images()
    learning = trainer(images, 400)
    told = [learning.step(iteration) for iteration in range(400)][-50:]
    ratio = images[0].size * (greys / 127.5).var() / RECIPE["pixel_deviation"] ** 2
    divergence, error = (np.mean([line[key] for line in told]) for key in ("divergence", "error"))
    assert divergence == pytest.approx(np.log(1 + ratio) / 2, rel=0.1)
    assert error == pytest.approx((greys / 127.5).var() / (1 + ratio), rel=0.2)
    with torch.no_grad():
        z = torch.randn(1000, *learning.averaged.latent_shape)
        found = (learning.averaged(z).mean((1, 2, 3)) + 1) * 127.5
    assert float(found.mean()) == pytest.approx(greys.mean(), abs=4)
    assert float(found.std()) == pytest.approx(greys.std(), rel=0.15)


def test_fine_tuning_follows_the_weights_of_the_images():
    images, greys = flat_images()
    tuned = VariationalTrainer(
        model(),
        images,
        RECIPE,
        iterations=200,
        mirror=False,
        seed=1,
        weights=torch.from_numpy((greys > 150).astype(np.float64)),
    )
    for iteration in range(200):
        tuned.step(iteration)
    with torch.no_grad():
        z = torch.randn(500, *tuned.averaged.latent_shape)
        found = (tuned.averaged(z).mean((1, 2, 3)) + 1) * 127.5
    assert float(found.mean()) == pytest.approx(greys[greys > 150].mean(), abs=5)


def test_a_run_that_was_killed_ends_as_one_that_was_not(tmp_path):
    images, _ = flat_images()
    progress = Progress("vae", 10**9, every=1e9)
    whole = trainer(images)
    run(whole, 6, tmp_path / "whole", {}, progress)
    run(trainer(images), 3, tmp_path / "parts", {}, progress)
    parts = trainer(images)
    run(parts, 6, tmp_path / "parts", {}, progress)
    for name, ours in whole.weights_to_keep().items():
        for key, value in ours.items():
            torch.testing.assert_close(parts.weights_to_keep()[name][key], value, rtol=0, atol=0)


@pytest.mark.parametrize(
    "changes", [{"channels": [8, 8]}, {"latents": []}, {"latents": [1, 1, 1, 1]}, {"blocks": 0}]
)
def test_numbers_that_do_not_go_with_the_resolution_are_refused(changes):
    with pytest.raises(ValueError, match="hvae") as error:
        model(**changes)
    assert "\n" not in str(error.value)
