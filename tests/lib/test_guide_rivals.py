"""Each rival of low-density guidance against a law that follows by hand, with models that know theirs."""

import math

import pytest
import torch
from exact_denoiser import exact_model, gaussian_noise
from guided_example import MODEL

from pseudodensity.control.guide.autoguidance import Autoguidance
from pseudodensity.control.guide.cads import Cads, annealed, clarity
from pseudodensity.control.guide.density_guidance import DensityGuidance
from pseudodensity.control.guide.discriminator_guidance import DiscriminatorGuidance
from pseudodensity.control.guide.interval import Interval
from pseudodensity.control.guide.noisy_networks import HeldOutAccuracy
from pseudodensity.control.guide.particle_guidance import ParticleGuidance
from pseudodensity.control.guide.self_guided_minority import SelfGuidedMinority
from pseudodensity.generators.build import build_generator
from pseudodensity.generators.diffusion_sampling import StepNoise, sample
from pseudodensity.generators.gaussian_diffusion import GaussianDiffusion, linear_betas
from pseudodensity.generators.guidance import Step

torch.set_num_threads(1)

STEPS = (250, 500)


def in_the_limit(of_steps) -> torch.Tensor:
    """What a number of steps of first order makes, where there are infinitely many."""
    few, many = (of_steps(steps) for steps in STEPS)
    return 2 * many - few


def draws(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def step_at(x: torch.Tensor, time: float, index: int = 5, labels=None) -> Step:
    abar = exact_model(gaussian_noise(1.0), 10, 1).process.abar[round(time)]
    variance = torch.ones(1, 1, 1, 1, dtype=x.dtype)
    return Step(index, torch.tensor(time), abar, variance, torch.zeros_like(x), labels)


# ------------------------------------------------------------------------------- autoguidance

GOOD, BAD = 0.2, 0.3  # deviations of the data, for the two models
POINTS = torch.tensor([-1.0, 0.5, 1.0], dtype=torch.float64).view(3, 1, 1, 1).expand(3, 3, 1, 1)


@pytest.mark.parametrize("weight", [1.5, 3.0])
def test_autoguidance_of_gaussians_ends_at_s1_to_the_w_s0_to_the_1_minus_w(weight):
    def deviation(steps: int) -> torch.Tensor:
        model, worse = (exact_model(gaussian_noise(s), steps, 1) for s in (GOOD, BAD))
        return sample(model, POINTS, guide=Autoguidance(model, worse, weight=weight)) / POINTS

    wanted = torch.full((3, 3, 1, 1), GOOD**weight * BAD ** (1 - weight), dtype=torch.float64)
    torch.testing.assert_close(in_the_limit(deviation), wanted, rtol=2e-3, atol=0)


def test_autoguidance_of_weight_1_or_outside_of_its_interval_is_plain_to_the_bit():
    model, worse = (exact_model(gaussian_noise(s), 50, 1) for s in (GOOD, BAD))
    plain = sample(model, POINTS)
    assert torch.equal(sample(model, POINTS, guide=Autoguidance(model, worse, weight=1)), plain)
    # Times of 50 steps are multiples of 20.
    never = Autoguidance(model, worse, weight=3, interval=Interval(501, 519))
    assert torch.equal(sample(model, POINTS, guide=never), plain)
    once = Autoguidance(model, worse, weight=3, interval=Interval(500, 519))
    assert not torch.equal(sample(model, POINTS, guide=once), plain)


def test_autoguidance_refuses_a_guide_of_another_process_and_a_weight_below_1():
    model, other = exact_model(gaussian_noise(GOOD), 50, 1), exact_model(gaussian_noise(BAD), 50, 1)
    with pytest.raises(ValueError, match="weight of autoguidance is 0.5: give a number from 1 up"):
        Autoguidance(model, other, weight=0.5)
    other.process = GaussianDiffusion.from_betas(linear_betas(1000), "epsilon")
    with pytest.raises(
        ValueError, match="same resolution, noise schedule and prediction"
    ) as raised:
        Autoguidance(model, other, weight=2)
    assert "\n" not in str(raised.value)


# ------------------------------------------------------------------------------- discriminator guidance


class ExactRatio:
    """log p_real / p_model at every time, for normal laws of the deviations GOOD and BAD."""

    resolution = 1

    def __init__(self, share: float = 0.9):
        self.accuracy = HeldOutAccuracy(torch.tensor([0.0, 999.0]), torch.full((2,), share), 1000)
        self.abar = exact_model(gaussian_noise(1.0), 10, 1).process.abar

    def logit(self, x, time):
        abar = self.abar[round(float(time))]
        real, model = (abar * s**2 + 1 - abar for s in (GOOD, BAD))
        squared = x.flatten(1).square().sum(1)
        return squared * (1 / model - 1 / real) / 2 + 1.5 * torch.log(model / real)


def test_discriminator_guidance_with_the_exact_ratio_gives_the_law_of_the_data():
    def deviation(steps: int) -> torch.Tensor:
        model = exact_model(gaussian_noise(BAD), steps, 1)
        return sample(model, POINTS, guide=DiscriminatorGuidance(ExactRatio(), weight=1)) / POINTS

    assert sample(exact_model(gaussian_noise(BAD), 500, 1), POINTS)[2, 0] == pytest.approx(
        0.3, 0.01
    )
    wanted = torch.full((3, 3, 1, 1), GOOD, dtype=torch.float64)
    torch.testing.assert_close(in_the_limit(deviation), wanted, rtol=5e-3, atol=0)


def test_a_discriminator_is_believed_up_to_its_clip_and_not_at_chance():
    far = torch.full((1, 3, 1, 1), 9.0, dtype=torch.float64)
    guide = DiscriminatorGuidance(ExactRatio(), weight=1)
    assert torch.equal(guide.gradient(far, step_at(far, 0.0)), torch.zeros_like(far))
    near = far / 90
    slope = near * (1 / BAD**2 - 1 / GOOD**2)
    torch.testing.assert_close(guide.gradient(near, step_at(near, 0.0)), slope, rtol=1e-2, atol=0)
    assert DiscriminatorGuidance(ExactRatio(), weight=0).gradient(near, step_at(near, 0.0)) is None
    with pytest.raises(ValueError, match="cannot steer"):
        DiscriminatorGuidance(ExactRatio(0.5), weight=1)
    with pytest.raises(ValueError, match="guidance is -1: give a number from 0 up"):
        DiscriminatorGuidance(ExactRatio(), weight=-1)


# ------------------------------------------------------------------------------- density guidance

DEVIATION = 0.05


@pytest.mark.parametrize("quantile", [0.1, 0.6])
def test_density_guidance_moves_the_log_density_as_its_quantile_says(quantile):
    """u = |x|^2 / (s^2 + sigma^2), -2 log density, rises by -2 sqrt(2 D) Phi^-1(q) log(sigma_1 / sigma_2)."""
    x, low, high = draws(4, 3, 4, 4), 100, 900
    rate = math.sqrt(2) * torch.erfinv(torch.tensor(2 * quantile - 1.0).double())

    def rise(steps: int) -> torch.Tensor:
        model = exact_model(gaussian_noise(DEVIATION), steps, 4)
        guide = DensityGuidance(quantile=quantile, interval=Interval(low, high))
        # The last step divides all samples of a law by the same number, so that u has one unit.
        found, plain = sample(model, x, guide=guide), sample(model, x)
        abar = model.sampler.abar[0]
        last = abar.sqrt() * DEVIATION**2 / (abar * DEVIATION**2 + 1 - abar)
        spread = abar * DEVIATION**2 + 1 - abar
        before, after = (y.flatten(1).square().sum(1) / last**2 / spread for y in (plain, found))
        return after - before

    abar = exact_model(gaussian_noise(1.0), 10, 1).process.abar
    sigma_high, sigma_low = (math.sqrt(1 / float(abar[t]) - 1) for t in (high, low))
    wanted = -2 * math.sqrt(2 * 48) * rate * math.log(sigma_high / sigma_low)
    found = in_the_limit(rise)
    torch.testing.assert_close(found, wanted.expand(4), rtol=1e-2, atol=0)


def test_density_guidance_at_one_half_is_plain_and_no_quantile_is_refused():
    x = draws(2, 3, 1, 1)
    assert DensityGuidance(quantile=0.5).gradient(x, step_at(x, 500.0)) is None
    # Three numbers, and near the mode: eta would be below 0 or above 2, and is held there.
    step = step_at(x, 500.0)
    score = -0.1 * x / (1 - step.abar)
    for quantile, factor in ((0.001, -1), (0.999, 1)):
        found = DensityGuidance(quantile=quantile).gradient(0.1 * x, step)
        torch.testing.assert_close(found, factor * score)
    for quantile in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="lies between 0 and 1, got"):
            DensityGuidance(quantile=quantile)


# ------------------------------------------------------------------------------- particle guidance

ANGLES = torch.arange(10) * 2 * math.pi / 10
MODES = 0.8 * torch.stack([ANGLES.cos(), ANGLES.sin(), 0 * ANGLES], 1).double()


def ring_noise(x: torch.Tensor, abar: torch.Tensor) -> torch.Tensor:
    """For ten modes on a ring in the plane, each normal with deviation .03."""
    spread = abar * 0.03**2 + 1 - abar
    apart = x.flatten(1)[:, None] - abar.sqrt().view(-1, 1, 1) * MODES
    shares = (-apart.square().sum(2) / (2 * spread.view(-1, 1))).softmax(1)
    return (1 - abar).sqrt() * (shares[..., None] * apart).sum(1).view_as(x) / spread


def distinct_modes(images: torch.Tensor) -> float:
    """The mean number of modes that ten samples hit."""
    distances = (images.flatten(1)[:, None] - MODES).norm(dim=2)
    sets = distances.argmin(1).view(-1, 10).tolist()
    return sum(len(set(hit)) for hit in sets) / len(sets)


def test_ten_particles_hit_more_of_ten_modes_than_ten_draws():
    model, x = exact_model(ring_noise, 50, 1), draws(2000, 3, 1, 1)
    plain = sample(model, x, guide=ParticleGuidance(strength=0, particles=10))
    # 200 sets: a standard error of .07.
    assert distinct_modes(plain) == pytest.approx(10 * (1 - 0.9**10), abs=0.25)
    repelled = sample(model, x, guide=ParticleGuidance(strength=2, particles=10))
    assert distinct_modes(repelled) > 7.2
    assert (repelled.flatten(1)[:, None] - MODES).norm(dim=2).min(1).values.max() < 0.35


def test_the_repulsion_is_the_gradient_of_the_kernels_and_stays_within_a_set():
    x, strength = draws(6, 3, 2, 2), 1.7
    found = ParticleGuidance(strength=strength, particles=3).gradient(x, step_at(x, 900.0))
    for rows in (slice(0, 3), slice(3, 6)):
        points = x[rows].flatten(1).requires_grad_()
        squared = [(points[i] - points[j]).square().sum() for i, j in ((0, 1), (0, 2), (1, 2))]
        width = sorted(s.item() for s in squared)[1] / math.log(3)
        potential = -strength * sum((-s / width).exp() for s in squared)
        (wanted,) = torch.autograd.grad(potential, points)
        torch.testing.assert_close(found[rows].flatten(1), wanted)


def test_particle_guidance_stops_when_there_is_less_noise_than_signal():
    x = draws(4, 3, 1, 1)
    guide = ParticleGuidance(strength=1, particles=2)
    assert guide.gradient(x, step_at(x, 300.0)) is None
    assert guide.gradient(x, step_at(x, 900.0)) is not None
    same = x[:1].expand(2, 3, 1, 1)
    assert torch.equal(guide.gradient(same, step_at(same, 900.0)), torch.zeros_like(same))
    with pytest.raises(ValueError, match="3 samples are no whole sets of 2"):
        guide.gradient(x[:3], step_at(x[:3], 900.0))
    with pytest.raises(ValueError, match="2 or more, got 1"):
        ParticleGuidance(strength=1, particles=1)


# ------------------------------------------------------------------------------- self-guided minority


def test_minority_guidance_of_gaussian_data_is_the_gradient_by_hand():
    """The prediction is a x, and what is restored of it is fixed, so the slope is 2 a (a x - restored)."""
    # Each number has a deviation of its own, or the slope through what is restored were parallel.
    deviation = torch.linspace(0.1, 0.9, 12, dtype=torch.float64).view(3, 2, 2)
    model, x = exact_model(gaussian_noise(deviation), 10, 2), draws(3, 3, 2, 2)
    noise, time = StepNoise(3, range(3)), 500.0
    guide = SelfGuidedMinority(model, noise, strength=0.6)
    abar, then = model.process.abar[500], model.process.abar[800]
    now, back = (a.sqrt() * deviation**2 / (a * deviation**2 + 1 - a) for a in (abar, then))
    image = now * x
    noised = then.sqrt() * image + (1 - then).sqrt() * noise.draw(5, (3, 2, 2))
    slope = 2 * now * (image - back * noised)
    wanted = 0.6 * slope / slope.flatten(1).abs().amax(1).view(3, 1, 1, 1)
    torch.testing.assert_close(guide.gradient(x, step_at(x, time)), wanted)


def test_minority_guidance_is_nothing_for_a_denoiser_that_always_says_the_same():
    def noise_of_one_image(x, abar):
        return (x - abar.sqrt() * 0.3) / (1 - abar).sqrt()

    model, x = exact_model(noise_of_one_image, 10, 2), draws(3, 3, 2, 2)
    found = SelfGuidedMinority(model, StepNoise(3, range(3)), strength=1).gradient(
        x, step_at(x, 500.0)
    )
    assert found.abs().max() < 1e-15  # rounding is not blown up to a full push


def test_minority_guidance_acts_every_so_many_steps():
    model, x = exact_model(gaussian_noise(0.4), 10, 2), draws(3, 3, 2, 2)
    guide = SelfGuidedMinority(model, StepNoise(3, range(3)), strength=1, every=3)
    acts = [guide.gradient(x, step_at(x, 500.0, index)) is not None for index in (1, 2, 3, 4, 6)]
    assert acts == [False, False, True, False, True]
    for changes, told in (({"strength": -1}, "is -1: give"), ({"every": 0}, "got 0 and 0.8")):
        with pytest.raises(ValueError, match=told):
            SelfGuidedMinority(model, None, **{"strength": 1, **changes})


# ------------------------------------------------------------------------------- CADS


def test_the_class_becomes_clear_along_a_straight_line():
    found = [clarity(time, 600, 900) for time in (0, 600, 675, 900, 999)]
    assert found == [1, 1, 0.75, 0, 0]


def test_mean_and_deviation_of_a_condition_survive_its_noise():
    condition, noise = torch.eye(5).double(), draws(5, 5)
    told = annealed(condition, noise, 0.3, scale=2.0, mixing=1.0)
    torch.testing.assert_close(told.mean(1), condition.mean(1))
    torch.testing.assert_close(told.std(1), condition.std(1))
    raw = annealed(condition, noise, 0.3, scale=2.0, mixing=0.0)
    torch.testing.assert_close(raw, 0.3**0.5 * condition + 2 * 0.7**0.5 * noise)
    # Without noise only the scale changes, and that is put back.
    torch.testing.assert_close(annealed(condition, noise, 0.3, scale=0, mixing=1), condition)


CLASSES = MODEL | {"sampling_steps": 10}


def test_cads_asks_the_model_again_while_the_class_is_not_clear_sample_by_sample():
    torch.manual_seed(0)
    model = build_generator("class_diffusion", 4, CLASSES).eval()
    x, labels = draws(4, 3, 4, 4).float(), torch.tensor([0, 1, 2, 1])
    guide = Cads(model, StepNoise(1, range(4)))
    with torch.no_grad():
        output = model.output(x, torch.tensor([500.0]), labels)
        assert guide.predicted(output, x, 3, torch.tensor(500.0), labels) is output
        told = guide.predicted(output, x, 3, torch.tensor(800.0), labels)
        clear = model.output(x, torch.tensor([800.0]), labels)
        silent = Cads(model, StepNoise(1, range(4)), scale=0.0)
        same = silent.predicted(output, x, 3, torch.tensor(800.0), labels)
        torch.testing.assert_close(same, clear)
        assert (told - clear).abs().max() > 1e-4
        alone = Cads(model, StepNoise(1, [2]))
        one = alone.predicted(output[2:3], x[2:3], 3, torch.tensor(800.0), labels[2:3])
    torch.testing.assert_close(one, told[2:3])


def test_cads_refuses_a_model_without_classes_and_times_out_of_order():
    model = exact_model(gaussian_noise(0.4), 10, 2)
    with pytest.raises(ValueError, match="this model has no two classes"):
        Cads(model, None)
    conditional = build_generator("class_diffusion", 4, CLASSES)
    with pytest.raises(ValueError, match="0 <= low < high <= 1000"):
        Cads(conditional, None, low=900, high=600)
