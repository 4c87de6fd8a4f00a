"""The guide of low-density sampling: sizes and directions of its pushes, by networks that are known."""

import pytest
import torch
from exact_denoiser import exact_model, gaussian_noise

from pseudodensity.control.guide.interval import Interval
from pseudodensity.control.guide.losses import contrastive, plain, random_direction
from pseudodensity.control.guide.low_density import LowDensityGuide
from pseudodensity.control.guide.noisy_networks import HeldOutAccuracy
from pseudodensity.control.guide.normalisation import unit_largest
from pseudodensity.generators.diffusion_sampling import StepNoise, sample
from pseudodensity.generators.guidance import Step

torch.set_num_threads(1)

SHAPE = (3, 4, 4)
PIXELS = 48
TIMES = torch.tensor([0.0, 500.0, 999.0])


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class LinearEmbedder:
    """Features that are the pixels times a matrix; means grow with time."""

    resolution = 4

    def __init__(self, classes: int = 3, k: int = 5):
        self.matrix, self.at_zero = draw(PIXELS, k), draw(classes, k, seed=1)
        self.asked = 0

    def features(self, x, time):
        self.asked += 1
        return x.flatten(1) @ self.matrix

    def means(self, time):
        return self.at_zero * (1 + time / 1000)


class LinearClassifier:
    """A logit that is `scale` times the first pixel plus `offset`."""

    resolution = 4

    def __init__(self, shares=(0.9, 0.9, 0.9), images: int = 100, scale=1.0, offset=0.0):
        self.accuracy = HeldOutAccuracy(TIMES, torch.tensor(shares), images)
        self.scale, self.offset = scale, offset

    def logit(self, x, time):
        return self.scale * x[:, 0, 0, 0] + self.offset


def step_at(time: float, n: int = 4, variance: float = 0.2, index: int = 5) -> Step:
    return Step(
        index=index,
        time=torch.tensor(time),
        abar=torch.tensor(0.5, dtype=torch.float64),
        variance=torch.full((1, 1, 1, 1), variance, dtype=torch.float64),
        x0=torch.zeros(n, *SHAPE, dtype=torch.float64),
        labels=torch.arange(n) % 3,
    )


def guide(embedder=None, classifier=None, loss=plain, alpha=0.0, beta=0.0, **more):
    embedder = embedder or LinearEmbedder()
    classifier = classifier or LinearClassifier()
    return LowDensityGuide(embedder, classifier, loss, alpha=alpha, beta=beta, **more)


X = draw(4, *SHAPE, seed=2)


@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.0), (0.0, 2.0), (0.5, 0.25)])
@pytest.mark.parametrize("loss", [plain, contrastive])
def test_the_largest_pixel_of_each_update_is_its_strength_times_the_variance(loss, alpha, beta):
    step = step_at(300.0)
    apart = [guide(loss=loss, alpha=alpha), guide(loss=loss, beta=beta)]
    updates = [one.gradient(X, step) for one in apart]
    for strength, gradient in zip((alpha, beta), updates, strict=True):
        if not strength:
            assert gradient is None
            continue
        largest = (step.variance * gradient).flatten(1).abs().amax(1)
        torch.testing.assert_close(largest, torch.full_like(largest, strength * 0.2))
    both = guide(loss=loss, alpha=alpha, beta=beta).gradient(X, step)
    torch.testing.assert_close(both, sum(u for u in updates if u is not None))


def test_the_push_of_plain_is_the_normalised_gradient_of_hardness():
    embedder, step = LinearEmbedder(), step_at(300.0)
    found = guide(embedder, alpha=0.5).gradient(X, step)
    apart = X.flatten(1) @ embedder.matrix - 1.3 * embedder.at_zero[step.labels]
    wanted = apart @ embedder.matrix.T
    wanted = 0.5 * wanted / wanted.abs().amax(1, keepdim=True)
    torch.testing.assert_close(found.flatten(1), wanted)


def test_a_sample_is_pushed_the_same_beside_any_others():
    whole = guide(alpha=0.5, beta=0.5).gradient(X, step_at(300.0))
    torch.testing.assert_close(
        guide(alpha=0.5, beta=0.5).gradient(X[:1], step_at(300.0, 1)), whole[:1]
    )


def test_without_strength_no_network_is_asked():
    embedder = LinearEmbedder()
    assert guide(embedder).gradient(X, step_at(300.0)) is None and not embedder.asked
    assert LowDensityGuide(None, None, plain, alpha=0, beta=0).gradient(X, step_at(3.0)) is None


def test_outside_of_its_interval_it_does_nothing():
    one = guide(alpha=0.5, beta=0.5, interval=Interval(100, 400))
    acts = [one.gradient(X, step_at(time)) is not None for time in (99.0, 100.0, 400.0, 401.0)]
    assert acts == [False, True, True, False]


def test_a_loss_without_slope_gives_no_push_and_no_division_by_zero():
    still = random_direction(torch.zeros(5))
    assert torch.equal(
        guide(loss=still, alpha=0.5).gradient(X, step_at(300.0)), torch.zeros_like(X)
    )
    assert torch.equal(unit_largest(torch.zeros(2, 3)), torch.zeros(2, 3))


def test_constant_gradients_shift_gaussian_samples_by_the_linear_recursion():
    """Data N(0, s^2) with the exact score: what is added at a step shrinks with the steps after it, so
    the total shift is sum_t alpha variance_t g prod_{u<t} c_u, with c_u what step u multiplies x by."""
    alpha, deviation, embedder = 0.3, 0.05, LinearEmbedder()
    direction = torch.ones(5, dtype=torch.float64)
    one = guide(embedder, loss=random_direction(direction), alpha=alpha)
    model = exact_model(gaussian_noise(deviation), 250, 4)
    options = {"step": "ancestral", "noise": StepNoise(0, range(4))}
    shift = sample(model, X, guide=one, **options) - sample(model, X, **options)
    process, total, factor = model.process.even(250), 0.0, 1.0
    for i in range(process.steps):
        if i:
            total += alpha * float(process.posterior_log_variance[i].exp()) * factor
        abar = process.abar[i]
        of_x0 = process.posterior_x0[i] * abar.sqrt() * deviation**2
        factor *= float(of_x0 / (abar * deviation**2 + 1 - abar) + process.posterior_x[i])
    push = embedder.matrix @ direction
    wanted = (total * push / push.abs().max()).view(1, *SHAPE).expand_as(X)
    torch.testing.assert_close(shift, wanted, rtol=0, atol=1e-6)
    assert wanted.abs().max() > 1e-3


def test_without_strength_samples_are_plain_ones_to_the_bit():
    model = exact_model(gaussian_noise(0.2), 10, 4)
    for kind in ("ddim", "ancestral"):
        options = {"step": kind, "noise": StepNoise(0, range(4))}
        assert torch.equal(sample(model, X, guide=guide(), **options), sample(model, X, **options))
        steered = sample(
            model, X, guide=guide(alpha=0.1, loss=random_direction(torch.ones(5))), **options
        )
        assert not torch.equal(steered, sample(model, X, **options))


# ------------------------------------------------------------------------------- real or generated


def test_the_logit_pushes_where_the_printed_form_has_died_out():
    """-log softmax_real(H') of a sample that is surely synthetic: its slope underflows to 0."""
    synthetic = LinearClassifier(offset=-2000.0)
    unit = torch.zeros(4, *SHAPE, dtype=torch.float64)
    unit[:, 0, 0, 0] = 0.5
    step = step_at(300.0)
    assert torch.equal(guide(classifier=synthetic, beta=0.5).gradient(X, step), unit)
    printed = guide(classifier=synthetic, beta=0.5, saturating=True)
    assert torch.equal(printed.gradient(X, step), torch.zeros_like(X))
    # Where it is alive, both have the direction to what is taken for real.
    alive = guide(classifier=LinearClassifier(offset=2.0), beta=0.5, saturating=True)
    torch.testing.assert_close(alive.gradient(X, step), unit)


def test_a_classifier_is_not_asked_where_it_is_at_chance():
    """100 images: an accuracy of .65 is three standard errors above one half."""
    one = guide(classifier=LinearClassifier(shares=(0.9, 0.66, 0.5)), beta=0.5)
    acts = [one.gradient(X, step_at(time)) is not None for time in (0.0, 500.0, 540.0, 999.0)]
    assert acts == [True, True, False, False]
    with_alpha = guide(classifier=LinearClassifier(shares=(0.9, 0.66, 0.5)), alpha=0.1, beta=0.5)
    alone = guide(alpha=0.1)
    step = step_at(999.0)
    assert torch.equal(with_alpha.gradient(X, step), alone.gradient(X, step))


def test_a_classifier_at_chance_everywhere_refuses_to_steer_unless_it_is_the_control():
    ignorant = LinearClassifier(shares=(0.64, 0.5, 0.45))
    with pytest.raises(ValueError, match=r"cannot steer: it is right on 0.45 to 0.64") as raised:
        guide(classifier=ignorant, beta=0.5)
    assert "\n" not in str(raised.value)
    assert guide(classifier=ignorant, alpha=0.5).gradient(X, step_at(3.0)) is not None
    control = guide(classifier=ignorant, beta=0.5, even_at_chance=True)
    assert control.gradient(X, step_at(999.0)).abs().max() == 0.5


# ------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"alpha": -0.1}, "alpha is the strength of guidance and -0.1: give a number from 0 up"),
        ({"beta": -1.0}, "beta is the strength of guidance and -1: give a number from 0 up"),
        ({"alpha": float("nan")}, "alpha is the strength of guidance and nan"),
        ({"temperature": 0.0}, "temperature must be above 0, got 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_one_line(changes, told):
    with pytest.raises(ValueError, match=told) as raised:
        guide(**changes)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("low", "high"), [(700, 100), (0, 1001), (-1, 5), (float("nan"), 5)])
def test_an_interval_that_is_none_is_refused(low, high):
    with pytest.raises(ValueError, match=f"the lower one first, got {low} and {high}"):
        Interval(low, high)


def test_a_strength_needs_its_network():
    with pytest.raises(ValueError, match="alpha is 0.5, which needs an embedder"):
        LowDensityGuide(None, LinearClassifier(), plain, alpha=0.5, beta=0)
    with pytest.raises(ValueError, match="beta is 0.5, which needs a real/synthetic classifier"):
        LowDensityGuide(LinearEmbedder(), None, plain, alpha=0, beta=0.5)


@pytest.mark.parametrize(
    ("strengths", "told"),
    [
        ({"alpha": 1.0}, "the embedder looks at images of 4 px and these have 8"),
        ({"beta": 1.0}, "the real/synthetic classifier looks at images of 4 px and these have 8"),
    ],
)
def test_networks_of_another_resolution_are_refused(strengths, told):
    with pytest.raises(ValueError, match=told) as raised:
        guide(**strengths).gradient(torch.zeros(2, 3, 8, 8), step_at(3.0, 2))
    assert "\n" not in str(raised.value)
