"""The variational bound of a diffusion model against the entropy of a law that is known."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from pseudodensity.columns import variational_bound
from pseudodensity.columns.context import Context
from pseudodensity.generators.diffusion import DiffusionModel
from pseudodensity.generators.gaussian_diffusion import GaussianDiffusion
from pseudodensity.generators.variational_bound import bits_per_dimension
from pseudodensity.images.transform import to_float, to_uint8
from pseudodensity.progress import Progress
from pseudodensity.rng import normal

torch.set_num_threads(1)

STEPS, SIDE, COUNT = 10, 8, 300
DEVIATION = 0.25  # of all pixels: quantisation is fine beside it, and hardly any is beyond [-1, 1]
# Few steps, so that x_T is no standard normal noise and the prior counts.
PROCESS = GaussianDiffusion.from_betas(torch.full((STEPS,), 0.1, dtype=torch.float64), "epsilon")


class Exact(nn.Module):
    """The network that knows the reverse steps of images N(0, DEVIATION^2) exactly."""

    def forward(self, x, clock):
        i = (clock * STEPS / 1000).round().long()
        abar, low = PROCESS.at("abar", i, x), PROCESS.at("posterior_log_variance", i, x)
        noisy = abar * DEVIATION**2 + 1 - abar
        unknown = DEVIATION**2 * (1 - abar) / noisy  # of x_0, given x_i
        known = torch.where(i.view(-1, 1, 1, 1) == 0, 0, low.exp())
        variance = known + PROCESS.at("posterior_x0", i, x) ** 2 * unknown
        share = (variance.log() - low) / (PROCESS.at("log_beta", i, x) - low)
        return torch.cat([(1 - abar).sqrt() * x / noisy, (2 * share - 1).expand_as(x)], 1)


MODEL = DiffusionModel(Exact(), PROCESS, SIDE, 1, 2, False)


def gaussian_images(count: int = COUNT) -> np.ndarray:
    """8-bit images of that law, whose variance is that of the law exactly before they are rounded."""
    x = normal(0, "images", range(count), (3, SIDE, SIDE)).double()
    return to_uint8(DEVIATION * (x - x.mean()) / x.std()).numpy()


def bound(images: np.ndarray, terms: int, rows=None) -> torch.Tensor:
    rows = range(len(images)) if rows is None else rows
    return bits_per_dimension(MODEL.predict, PROCESS, to_float(images), terms, 0, rows)


@pytest.mark.parametrize("terms", [STEPS, 1000, 4, 2])
def test_the_bound_of_the_exact_model_is_the_entropy_and_what_the_prior_lacks(terms):
    found = bound(gaussian_images(), terms)
    # Of a level of 8 bits: it is 2/255 wide.
    entropy = Normal(0.0, DEVIATION).entropy() - math.log(2 / 255)
    last = PROCESS.abar[-1]
    reached = Normal(0.0, (last * DEVIATION**2 + 1 - last).sqrt())
    prior = kl_divergence(reached, Normal(0.0, 1.0))
    assert prior > 0.02
    error = found.std().item() / math.sqrt(len(found))
    assert found.mean().item() == pytest.approx(float(entropy + prior) / math.log(2), abs=3 * error)
    assert error < (0.007 if terms >= STEPS else 0.03)


def test_all_terms_are_those_of_the_process_one_after_the_other():
    images = gaussian_images(3)
    x0, expected = to_float(images), torch.zeros(3, dtype=torch.float64)
    for i in range(STEPS):
        step = torch.full((3,), i)
        noise = normal(0, f"noise of term {i} of the bound", [7, 1, 4], x0.shape[1:])
        noisy = PROCESS.noised(x0, step, noise)
        output = MODEL.predict(noisy, step)
        expected += PROCESS.variational_bound(output, x0, noisy, step)
    abar = PROCESS.abar[-1]
    given = kl_divergence(
        Normal(abar.sqrt() * x0, (1 - abar).sqrt().expand_as(x0)), Normal(0.0, 1.0)
    )
    expected += given.flatten(1).mean(1) / math.log(2)
    torch.testing.assert_close(bound(images, STEPS, [7, 1, 4]), expected, rtol=1e-5, atol=0)


def test_of_all_terms_only_the_noise_is_left_to_chance():
    seen = []

    def told(x, times):
        seen.append(times)
        return MODEL.predict(x, times)

    images = to_float(gaussian_images(5))
    for seed in range(3):
        bits_per_dimension(told, PROCESS, images, STEPS, seed, range(5))
    steps = torch.stack(seen).view(3, STEPS, 5)
    assert (steps == torch.arange(STEPS).view(1, -1, 1)).all()


def mean_of_bound(x0: torch.Tensor) -> torch.Tensor:
    """The exact model's bound of one image x0 (...) in its mean over the noise of x_t, in nats: written out."""
    abar, previous = PROCESS.abar, PROCESS.abar_previous
    beta = 1 - abar / previous
    noisy = abar * DEVIATION**2 + 1 - abar
    slope = abar.sqrt() * DEVIATION**2 / noisy  # of the mean of x_0 along x_t
    unknown = DEVIATION**2 * (1 - abar) / noisy
    share = previous.sqrt() * beta / (1 - abar)  # of x_0 in the mean of x_{t-1}
    known = beta * (1 - previous) / (1 - abar)
    variance = known + share**2 * unknown
    found = kl_divergence(Normal(abar[-1].sqrt() * x0, (1 - abar[-1]).sqrt()), Normal(0.0, 1.0))
    for i in range(STEPS):
        # x_0 less its mean given x_t, squared, in its mean over the noise.
        bias = x0 * (1 - slope[i] * abar[i].sqrt())
        error = share[i] ** 2 * (bias**2 + slope[i] ** 2 * (1 - abar[i]))
        if i == 0:  # of a density that is even over the 2/255 of a level
            term = (error / variance[0] + (2 * math.pi * variance[0]).log()) / 2 - math.log(2 / 255)
        else:
            ratio = known[i] / variance[i]
            term = (error / variance[i] + ratio - 1 - ratio.log()) / 2
        found = found + term
    return found


def test_estimates_of_all_terms_lie_about_the_closed_form_of_each_image():
    # Levels beyond the ends of 8 bits, which own half a line, are left out.
    images = gaussian_images(4).clip(20, 235)
    x0 = to_float(images)
    found = torch.stack(
        [
            bits_per_dimension(MODEL.predict, PROCESS, x0, STEPS, seed, range(4))
            for seed in range(40)
        ]
    )
    expected = mean_of_bound(x0.double()).flatten(1).mean(1) / math.log(2)
    error = found.std(0) / math.sqrt(len(found))
    assert ((found.mean(0) - expected).abs() < 4 * error).all()
    # Images differ by more than two estimates of one do, which is what fewer terms cannot say.
    assert expected.std() > 4 * found.std(0).max() / math.sqrt(40)


def test_a_worse_model_has_a_higher_bound():
    images = gaussian_images(20)

    def worse(x, times):
        output = MODEL.predict(x, times)
        output[:, :3] += 0.3
        return output

    found = bits_per_dimension(worse, PROCESS, to_float(images), STEPS, 0, range(20))
    assert (found > bound(images, STEPS) + 0.01).all()


def test_fewer_than_two_terms_are_refused():
    with pytest.raises(ValueError, match="terms is 1: a variational bound takes 2 or more"):
        bound(gaussian_images(2), 1)


class Told(DiffusionModel):
    """A model of two classes that the sign of a latent chooses; it moves its noise by the class."""

    classes = 2

    def labels(self, latents):
        return (latents[:, 0, 0, 0] > 0).long()

    def predict(self, x, times, labels):
        output = super().predict(x, times)
        output[:, :3] += 0.5 * labels[:, None, None, None]
        return output


def column_of(model: nn.Module, images: np.ndarray, rows: range) -> variational_bound.Column:
    progress = Progress("x", len(rows), every=1e9)
    context = Context({}, {}, 0, {"terms": STEPS}, progress, 4, stored=images)
    context.generator = model
    return variational_bound.compute(context, rows)


def test_the_column_is_the_bound_of_the_images_of_its_rows():
    images, rows = gaussian_images(6), range(2, 8)
    found = column_of(MODEL, images, rows)
    torch.testing.assert_close(torch.from_numpy(found.values), bound(images, STEPS, rows))


def test_a_model_with_classes_is_told_those_of_the_latents():
    model = Told(Exact(), PROCESS, SIDE, 1, 2, False)
    images, rows = gaussian_images(12), range(12)
    plain = column_of(MODEL, images, rows).values
    found = column_of(model, images, rows).values
    moved = model.labels(normal(0, "latents", rows, model.latent_shape)).numpy() == 1
    assert 0 < moved.sum() < 12
    assert (found[moved] > plain[moved] + 0.01).all()
    assert found[~moved] == pytest.approx(plain[~moved])


def test_a_generator_that_is_no_diffusion_model_is_refused_in_one_line():
    with pytest.raises(ValueError, match="and this generator is none") as error:
        column_of(SimpleNamespace(classes=None), gaussian_images(2), range(2))
    assert "\n" not in str(error.value)
