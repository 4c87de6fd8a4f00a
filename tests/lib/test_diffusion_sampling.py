"""The sampler of diffusion models: exact laws for Gaussian data, guides, and the noise of each sample."""

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from torch import nn

from pseudodensity.generators.build import build_generator
from pseudodensity.generators.denoiser import Denoiser
from pseudodensity.generators.diffusion import DiffusionModel
from pseudodensity.generators.diffusion_sampling import StepNoise, sample
from pseudodensity.generators.gaussian_diffusion import GaussianDiffusion, linear_betas
from pseudodensity.generators.guidance import Guide
from pseudodensity.generators.toy import Affine

torch.set_num_threads(1)

UNET = {
    "network": "small",
    "flavour": "adm",
    "channels": [16, 16],
    "blocks": 1,
    "attention_levels": [1],
    "head_channels": 8,
    "norm_groups": 8,
    "dropout": 0.1,
    "patch": 2,
    "schedule": "cosine",
    "prediction": "v_prediction",
    "training_steps": 100,
    "sampling_steps": 10,
    "rescale_vb": False,
}
KINDS = ("ddim", "ancestral")
MEAN, STD, STEPS = 0.1, 0.05, 250


def small_model(kind: str = "diffusion", **changes) -> Denoiser:
    torch.manual_seed(0)
    settings = UNET | ({"classes": 3} if kind == "class_diffusion" else {}) | changes
    return build_generator(kind, 8, settings).eval()


def draws(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Constant(Guide):
    """The same gradient everywhere; keeps what it is told."""

    def __init__(self, size: float):
        self.size, self.told = size, []

    def gradient(self, x, step):
        self.told.append((x, step))
        return torch.full_like(x, self.size)


# ------------------------------------------------------------------- exact laws of a Gaussian


class ExactNetwork(nn.Module):
    """What a perfect network says of data N(MEAN, STD^2) in every pixel, of the variance too."""

    def __init__(self, of: GaussianDiffusion, sparse: GaussianDiffusion):
        super().__init__()
        self.of, self.sparse = of, sparse

    def forward(self, x, times):
        abar = self.of.at("abar", times.long(), x)
        spread = abar * STD**2 + 1 - abar
        x0 = MEAN + abar.sqrt() * STD**2 / spread * (x - abar.sqrt() * MEAN)
        eps = (x - abar.sqrt() * x0) / (1 - abar).sqrt()
        i = (self.sparse.times == times.long()).nonzero()[:, 0]
        # The variance of x_{i-1} given x_i is that for a known x_0, and what is not known of x_0.
        low, high = (self.sparse.at(name, i, x) for name in ("posterior_log_variance", "log_beta"))
        unknown = self.sparse.at("posterior_x0", i, x) ** 2 * STD**2 * (1 - abar) / spread
        share = ((low.exp() + unknown).log() - low) / (high - low)
        return torch.cat([eps, (2 * share - 1).expand_as(eps)], 1)


def exact_model(kind: str, prediction: str = "epsilon") -> DiffusionModel:
    of = GaussianDiffusion.from_betas(linear_betas(1000), prediction)
    sparse = of.even(STEPS) if kind == "ancestral" else of.leading(STEPS)
    return DiffusionModel(ExactNetwork(of, sparse), of, 2, 1, STEPS, False).double()


class Probes(StepNoise):
    """Sample i has noise 1 in step i, and no other noise."""

    def draw(self, index, shape):
        noise = torch.zeros(len(self.rows), *shape)
        noise[index] = 1
        return noise


def kept_abar(kind: str) -> np.ndarray:
    """abar of the steps that are taken, from the betas alone."""
    whole = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    if kind == "ancestral":
        return whole[np.rint(np.linspace(0, 999, STEPS)).astype(int)]
    return whole[::4]


def test_the_ancestral_law_of_gaussian_data_is_exact():
    """The chain is linear, so its law follows from what each number that it draws does alone."""
    latents = torch.zeros(STEPS + 2, 3, 2, 2).double()
    latents[STEPS + 1] = 1  # x_T; sample STEPS has no noise at all
    noise = Probes(0, range(STEPS + 2))
    images = sample(exact_model("ancestral"), latents, step="ancestral", noise=noise)
    means = images[STEPS]
    effects = torch.cat([images[:STEPS], images[STEPS + 1 :]]) - means
    abar = kept_abar("ancestral")[0]
    # The last step gives the mean of x_0 given x_1, whose law was exact up to there.
    expected = STD**4 * abar / (abar * STD**2 + 1 - abar)
    np.testing.assert_allclose(means, MEAN, rtol=0, atol=1e-6)
    np.testing.assert_allclose(effects.square().sum(0), expected, rtol=1e-6)


def slopes(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """For each step i: dx_{i-1}/dx_i, and dx_{i-1}/dg for a gradient g; both by hand."""
    abar = kept_abar(kind)
    before = np.concatenate([[1.0], abar[:-1]])
    spread, spread_before = abar * STD**2 + 1 - abar, before * STD**2 + 1 - before
    if kind == "ancestral":
        covariance = np.sqrt(abar / before) * spread_before
        pushed = spread_before - covariance**2 / spread  # the variance of x_{i-1} given x_i
        return covariance / spread, pushed
    of_eps = np.sqrt(1 - before) - np.sqrt(before * (1 - abar) / abar)
    eps = np.sqrt(1 - abar) / spread  # the slope of the noise that the network sees in x_i
    return np.sqrt(before / abar) + of_eps * eps, -of_eps * np.sqrt(1 - abar)


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_gradient_shifts_by_the_linear_recursion(kind):
    model, latents, size = exact_model(kind), draws(3, 3, 2, 2).double(), 0.3
    options = {"step": kind, "noise": StepNoise(0, range(3))}
    guide = Constant(size)
    shift = sample(model, latents, guide=guide, **options) - sample(model, latents, **options)
    expected, (along, pushed) = 0.0, slopes(kind)
    for i in range(STEPS - 1, -1, -1):
        expected = along[i] * expected + (
            pushed[i] * size if i else 0
        )  # the last step is not pushed
    assert abs(expected) > 1e-3
    np.testing.assert_allclose(shift, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(shift / expected, 1, rtol=0, atol=1e-6)


def test_a_push_of_ddim_is_half_of_one_of_ancestral_steps_where_steps_are_small():
    fine = GaussianDiffusion.from_betas(linear_betas(1000), "epsilon")
    i = torch.arange(100, 900)
    half = fine.ddim_share(torch.zeros(1).double(), i).flatten() / fine.log_beta.exp()[i]
    torch.testing.assert_close(half, torch.full_like(half, 0.5), rtol=0.02, atol=0)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_ancestral_steps_are_those_of_diffusers(prediction):
    theirs = DDPMScheduler(
        trained_betas=linear_betas(1000).numpy(),
        prediction_type=prediction,
        variance_type="learned_range",
        clip_sample=True,
        timestep_spacing="linspace",
    )
    theirs.set_timesteps(STEPS)
    ours = GaussianDiffusion.from_betas(linear_betas(1000), prediction).even(STEPS)
    assert ours.times.tolist() == theirs.timesteps.tolist()[::-1]
    x = y = draws(4, 3, 8, 8)
    streams = [torch.Generator().manual_seed(1) for _ in range(2)]
    for i, t in zip(range(STEPS - 1, -1, -1), theirs.timesteps, strict=True):
        output = torch.cat([torch.sin(3 * y), torch.cos(2 * y)], 1)
        y = theirs.step(output, t, y, generator=streams[0]).prev_sample
        drawn = torch.randn(x.shape, generator=streams[1]) if i else torch.zeros_like(x)
        x = ours.ancestral_step(output, x, torch.full((4,), i), drawn)
        torch.testing.assert_close(x, y, rtol=0, atol=2e-4)


# ------------------------------------------------------------------------------- the plain chain


def loop(model: DiffusionModel, z: torch.Tensor) -> torch.Tensor:
    """DDIM as the model had it before it had this sampler."""
    x = nn.functional.pixel_unshuffle(z, model.patch).contiguous(memory_format=torch.channels_last)
    for i in range(model.sampler.steps - 1, -1, -1):
        step = torch.tensor([i])
        times = model.sampler.times[step] * (1000 / model.process.steps)
        x = model.sampler.ddim_step(model.unet(x, times), x, step)
    return nn.functional.pixel_shuffle(x, model.patch)


def test_a_plain_model_makes_what_its_own_loop_made():
    model = small_model()
    images = []
    for make in (lambda z: loop(model, z), model, lambda z: sample(model, z, steps=10)):
        z = draws(3, 3, 8, 8).requires_grad_()
        made = make(z)
        (gradient,) = torch.autograd.grad(made.square().sum(), z)
        with torch.no_grad():
            images.append((made.detach(), make(z), gradient))
    for plain, graphless, gradient in images:
        assert torch.equal(plain, images[0][0]) and torch.equal(graphless, images[0][0])
        assert torch.equal(gradient, images[0][2])
    assert gradient.abs().max() > 0


@pytest.mark.parametrize("kind", ["diffusion", "class_diffusion"])
@pytest.mark.parametrize("step", KINDS)
def test_a_guide_of_no_strength_changes_no_bit(step, kind):
    model = small_model(kind).requires_grad_(False)
    latents = draws(4, *model.latent_shape)
    options = {"step": step, "noise": StepNoise(0, range(4))}
    plain = sample(model, latents, **options)
    assert plain.abs().max() <= 1
    for idle in (Guide(), Constant(0.0)):
        assert torch.equal(sample(model, latents, guide=idle, **options), plain)
    assert not torch.equal(sample(model, latents, guide=Constant(0.1), **options), plain)


@pytest.mark.parametrize("kind", ["diffusion", "class_diffusion"])
def test_a_sample_has_its_own_noise_at_any_batch_size(kind):
    model = small_model(kind).requires_grad_(False)
    latents, rows = draws(5, *model.latent_shape), [3, 4, 9, 70, 2]
    whole = sample(model, latents, step="ancestral", noise=StepNoise(1, rows))
    for j in (1, 4):
        noise = StepNoise(1, rows[j : j + 1])
        alone = sample(model, latents[j : j + 1], step="ancestral", noise=noise)
        torch.testing.assert_close(alone, whole[j : j + 1], rtol=0, atol=1e-4)
    other = sample(model, latents, step="ancestral", noise=StepNoise(2, rows))
    assert (other - whole).abs().amax((1, 2, 3)).min() > 1e-2


def test_noise_is_that_of_its_row_and_step():
    noise = StepNoise(1, [3, 8, 3])
    drawn = noise.draw(7, (3, 8, 8))
    assert torch.equal(drawn[0], drawn[2]) and not torch.equal(drawn[0], drawn[1])
    assert torch.equal(StepNoise(1, [8]).draw(7, (3, 8, 8))[0], drawn[1])
    assert not torch.equal(noise.draw(6, (3, 8, 8)), drawn)
    assert not torch.equal(StepNoise(2, [3, 8, 3]).draw(7, (3, 8, 8)), drawn)
    many = StepNoise(0, range(300)).draw(0, (3, 8, 8))
    assert abs(many.mean()) < 0.02 and abs(many.std() - 1) < 0.02


# ------------------------------------------------------------------------------- guides


@pytest.mark.parametrize("step", KINDS)
def test_a_guide_is_told_of_the_step_that_it_changes(step):
    model = small_model("class_diffusion").requires_grad_(False)
    latents, labels = draws(2, *model.latent_shape), torch.tensor([2, 0])
    guide = Constant(0.2)
    noise = StepNoise(0, range(2))
    images = sample(model, latents, step=step, guide=guide, labels=labels, noise=noise)
    process = model.process.even(10) if step == "ancestral" else model.process.leading(10)
    assert [told.index for _, told in guide.told] == list(range(9, 0, -1))
    assert torch.equal(guide.told[0][0], latents[:, :-1].unflatten(1, (3, 8, 8)))
    for place, (x, told) in enumerate(guide.told):
        i = torch.tensor([told.index])
        assert told.time.ndim == 0 and told.time == process.times[told.index] * 10
        assert told.abar.ndim == 0 and told.abar == process.abar[told.index].float()
        assert told.labels is labels
        output = model.output(x, told.time[None], labels)
        x0 = process.x0(output, x, i).clamp(-1, 1)
        variance = process.log_variance(output, x, i).exp()
        torch.testing.assert_close((told.x0, told.variance), (x0, variance))
        if step == "ancestral":
            drawn = noise.draw(told.index, (3, 8, 8))
            mean = process.posterior_mean(x0, x, i) + 0.2 * variance
            following = mean + variance.sqrt() * drawn
        else:
            abar, before = told.abar, process.abar_previous[told.index].float()
            eps = (x - abar.sqrt() * x0) / (1 - abar).sqrt() - (1 - abar).sqrt() * 0.2
            clean = (x - (1 - abar).sqrt() * eps) / abar.sqrt()
            following = before.sqrt() * clean + (1 - before).sqrt() * eps
        if place + 1 < len(guide.told):
            torch.testing.assert_close(guide.told[place + 1][0], following, rtol=1e-4, atol=1e-4)
    output = model.output(following, process.times[:1] * 10.0, labels)
    last = process.x0(output, following, torch.tensor([0])).clamp(-1, 1)
    torch.testing.assert_close(images, last, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("step", KINDS)
def test_a_guide_may_speak_in_the_place_of_the_network(step):
    model, other = small_model().requires_grad_(False), small_model().requires_grad_(False)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.05 * draws(*parameter.shape, seed=parameter.numel()))

    class Replaced(Guide):
        def predicted(self, output, x, step_index, time, labels):
            assert output.shape == (2, 6, 8, 8) and labels is None and time.ndim == 0
            return other.output(x, time[None])

    latents, options = draws(2, 3, 8, 8), {"step": step, "noise": StepNoise(0, range(2))}
    made = sample(model, latents, guide=Replaced(), **options)
    torch.testing.assert_close(made, sample(other, latents, **options), rtol=0, atol=1e-5)
    assert (made - sample(model, latents, **options)).abs().max() > 1e-2


def test_a_guided_chain_keeps_no_graph():
    model = small_model()
    images = sample(model, draws(1, 3, 8, 8).requires_grad_(), guide=Constant(0.1))
    assert not images.requires_grad


# ------------------------------------------------------------------------------- classes


def test_labels_take_the_place_of_those_that_latents_choose():
    model = small_model("class_diffusion").requires_grad_(False)
    latents = draws(4, *model.latent_shape)
    labels = torch.tensor([0, 2, 1, 1])
    chosen = torch.cat(
        [model.with_class(row[None], int(k)) for row, k in zip(latents, labels, strict=True)]
    )
    assert torch.equal(sample(model, latents, labels=labels), model(chosen))
    assert torch.equal(sample(model, latents), model(latents))
    assert torch.equal(sample(model, latents, labels=model.labels(latents)), model(latents))


# ------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "kind, options, message",
    [
        ("diffusion", {"step": "euler"}, "no 'euler' steps: choose one of ddim, ancestral"),
        ("diffusion", {"steps": 7}, "7 sampling steps do not divide 100"),
        ("diffusion", {"steps": 7, "step": "ancestral"}, "7 sampling steps do not divide 100"),
        ("diffusion", {"steps": 0}, "0 sampling steps do not divide"),
        ("diffusion", {"step": "ancestral"}, "noise of each, and there is none"),
        ("diffusion", {"step": "ancestral", "noise": StepNoise(0, [1])}, "there is that of 1"),
        ("diffusion", {"labels": torch.tensor([0, 1])}, "this model has no classes"),
        ("class_diffusion", {"labels": torch.tensor([0, 3])}, "no class 3: labels go from 0 to 2"),
        ("class_diffusion", {"labels": torch.tensor([-1, 0])}, "no class -1"),
        ("class_diffusion", {"labels": torch.tensor([0])}, "(2,) int64, one per latent, not (1,)"),
        ("class_diffusion", {"labels": torch.tensor([0.0, 1.0])}, "not (2,) torch.float32"),
    ],
)
def test_bad_input_is_one_clear_line(kind, options, message):
    model = small_model(kind)
    with pytest.raises(ValueError) as error:
        sample(model, draws(2, *model.latent_shape), **options)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_another_model_takes_no_guide():
    with pytest.raises(ValueError, match="an? Affine takes no reverse steps and no guide") as error:
        sample(Affine(torch.eye(2)), torch.zeros(1, 2), guide=Guide())
    assert "\n" not in str(error.value)
