"""GAN training against closed forms: what is drawn, what is seen, and where Algorithm 3 leads."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from gan_example import RECIPE
from scipy.stats import chi2, kstest
from torch import nn

from pseudodensity.control.select.acceptance import importance_acceptance, sampling_weights
from pseudodensity.control.train import gan
from pseudodensity.control.train.adversarial import gradient_penalty
from pseudodensity.control.train.fakes import FakeFilter
from pseudodensity.control.train.finetuning import _fake_filter
from pseudodensity.control.train.gan import GanTrainer
from pseudodensity.control.train.loop import run
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import build_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.generators.build import build_discriminator, build_generator
from pseudodensity.generators.discriminator import StagedDiscriminator
from pseudodensity.generators.generator import BaseGenerator
from pseudodensity.progress import Progress
from pseudodensity.rng import numpy_generator

torch.set_num_threads(1)

STYLEGAN2 = {"z_dim": 4, "w_dim": 4, "mapping_layers": 2, "channel_base": 64, "channel_max": 8}
STYLEGAN3 = {
    "z_dim": 4,
    "w_dim": 4,
    "num_layers": 4,
    "channel_base": 64,
    "channel_max": 8,
    "first_cutoff": 1,
    "first_stopband": 2,
    "margin_size": 4,
}
FASTGAN = {"z_dim": 4, "ngf": 4}


def flat_images(levels, side: int = 4) -> np.ndarray:
    """One image ``(3, side, side)`` per grey level."""
    return np.stack([np.full((3, side, side), level, np.uint8) for level in levels])


class LinearDiscriminator(StagedDiscriminator):
    """logit = a . x + b; keeps what it saw and its weights at each call."""

    def __init__(self, side: int, a: float = 0.0, b: float = 0.0):
        super().__init__()
        shape = (3, side, side)
        self.a = nn.Parameter(a + 0.01 * torch.randn(shape, generator=_stream()))
        self.b = nn.Parameter(torch.tensor(float(b)))
        self.seen: list[torch.Tensor] = []
        self.weights: list[torch.Tensor] = []

    def judge(self, features):
        (x,) = features
        self.seen.append(x.detach().clone())
        self.weights.append(self.a.detach().clone())
        return (x * self.a).sum((1, 2, 3)) + self.b


class CoupledGenerator(BaseGenerator):
    """All that makes an image depend on more than its latent: its batch, noise, earlier passes."""

    couples_batch = True

    def __init__(self, side: int = 4):
        super().__init__()
        self.latent_shape, self.resolution = (5,), side
        self.linear = nn.Linear(5, 3 * side * side)
        self.norm = nn.BatchNorm1d(3 * side * side)
        self.strength = nn.Parameter(torch.tensor(0.3))
        self.register_buffer("passes", torch.ones(()))

    def forward(self, z):
        x = self.norm(self.linear(z))
        if self.training:
            self.passes += 1
            x = x + self.strength * torch.randn_like(x)
        return torch.tanh(x / self.passes.clone()).view(-1, 3, self.resolution, self.resolution)


def _stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_generator(kind: str) -> nn.Module:
    torch.manual_seed(0)
    if kind == "coupled":
        return CoupledGenerator()
    resolution, settings = {
        "stylegan2": (8, STYLEGAN2),
        "stylegan3": (16, STYLEGAN3),
        "projectedgan": (16, FASTGAN),
    }[kind]
    return build_generator(kind, resolution, settings)


def make_trainer(generator, discriminator, images=None, **options) -> GanTrainer:
    recipe = RECIPE | options.pop("recipe", {})
    if images is None:
        images = flat_images(range(0, 250, 10), generator.resolution)
    fine_tuning = options.get("accept") is not None
    options = {"iterations": 100, "mirror": False, "seed": 3, "as_sampled": fine_tuning} | options
    return GanTrainer(generator, discriminator, images, recipe, **options)


def coin(share: float, record: list):
    """An acceptance that keeps ``share`` of any fakes and records them with the answers."""

    def accept(images, stream):
        keep = torch.rand(len(images), generator=stream) < share
        record.append((images.clone(), keep))
        return keep

    return accept


# ------------------------------------------------------------------------------- the real side


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 0.0, 33.0, 1.0]])
def test_real_images_are_drawn_by_their_weights(weights):
    tensor = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    levels = [0, 60, 120, 180, 240]
    discriminator = LinearDiscriminator(4)
    trainer = make_trainer(
        CoupledGenerator(), discriminator, flat_images(levels), weights=tensor, iterations=400
    )
    for i in range(400):
        trainer.step(i)
    real = torch.cat(discriminator.seen[::3])[:, 0, 0, 0]
    counts = torch.bincount(real.add(1).mul(127.5).round().long() // 60, minlength=5).numpy()
    law = np.array(weights or [1.0] * 5)
    expected = law / law.sum() * counts.sum()
    assert counts.sum() == 3200 and (counts[law == 0] == 0).all()
    drawn = law > 0
    statistic = ((counts - expected) ** 2 / np.maximum(expected, 1e-9))[drawn].sum()
    assert statistic < chi2.ppf(0.9999, drawn.sum() - 1)


@pytest.mark.parametrize("mirror", [False, True])
def test_half_of_the_images_are_mirrored(mirror):
    image = np.zeros((1, 3, 4, 4), np.uint8)
    image[..., 0] = 255
    discriminator = LinearDiscriminator(4)
    trainer = make_trainer(CoupledGenerator(), discriminator, image, mirror=mirror)
    for i in range(100):
        trainer.step(i)
    real = torch.cat(discriminator.seen[::3])
    flipped = (real[:, 0, 0, 0] < 0).float().mean()
    assert torch.equal(real[:, :, :, 0], -real[:, :, :, 3])
    assert abs(flipped - 0.5) < 0.1 if mirror else flipped == 0


# ------------------------------------------------------------------------------- the fake side


@pytest.mark.parametrize("kind", ["coupled", "stylegan2", "stylegan3", "projectedgan"])
def test_gradient_of_accepted_fakes_is_that_of_one_graph(kind):
    """Scored without a graph, made again with one: the gradient of the eval mode, no buffer moved."""
    generator = make_generator(kind)
    twin, calls, record = copy.deepcopy(generator).eval(), [], []

    def remember(module, arguments):
        if not torch.is_grad_enabled():
            calls.append(arguments[0].clone())

    generator.register_forward_pre_hook(remember)
    discriminator = LinearDiscriminator(generator.resolution, a=0.5)
    trainer = make_trainer(generator, discriminator, accept=coin(0.3, record))
    trainer.step(0)

    assert len(calls) == len(record) > 1
    pairs = zip(calls, record, strict=True)
    accepted = torch.cat([latents[keep] for latents, (_, keep) in pairs])[:8]
    F.softplus(-discriminator(twin(accepted))).mean().backward()

    for (name, ours), theirs in zip(
        trainer.generator.named_parameters(), twin.parameters(), strict=True
    ):
        if theirs.grad is not None:
            scale = max(1.0, theirs.grad.abs().max().item())
            assert (ours.grad - theirs.grad).abs().max() < 1e-6 * scale, name
    for (name, ours), theirs in zip(trainer.generator.named_buffers(), twin.buffers(), strict=True):
        assert torch.equal(ours, theirs), name


def test_the_discriminator_sees_the_images_that_were_accepted_and_no_others():
    record, discriminator = [], LinearDiscriminator(4)
    trainer = make_trainer(CoupledGenerator(), discriminator, accept=coin(0.2, record))
    for iteration in range(5):
        record.clear()
        discriminator.seen.clear()
        trainer.step(iteration)
        accepted = torch.cat([images[keep] for images, keep in record])[:8]
        _, seen_by_d, seen_by_g = discriminator.seen
        torch.testing.assert_close(seen_by_d, accepted, atol=1e-6, rtol=0)
        assert torch.equal(seen_by_g, seen_by_d)


def test_a_filter_is_refused_where_images_change_between_two_passes():
    with pytest.raises(ValueError, match="as_sampled"):
        make_trainer(
            CoupledGenerator(), LinearDiscriminator(4), accept=coin(0.5, []), as_sampled=False
        )


def test_without_a_filter_both_updates_see_one_whole_batch():
    discriminator = LinearDiscriminator(4)
    trainer = make_trainer(CoupledGenerator(), discriminator)
    trainer.step(0)
    real, seen_by_d, seen_by_g = discriminator.seen
    assert len(real) == len(seen_by_d) == 8 and torch.equal(seen_by_d, seen_by_g)
    assert trainer.facts() == {}


def test_both_updates_see_fakes_augmented_alike():
    discriminator = LinearDiscriminator(16)
    generator = make_generator("projectedgan")
    trainer = make_trainer(generator, discriminator, recipe={"augment": ["translation", "cutout"]})
    trainer.step(0)
    _, seen_by_d, seen_by_g = discriminator.seen
    assert torch.equal(seen_by_d, seen_by_g)


def test_the_realised_acceptance_counts_every_fake_that_was_scored():
    record = []
    trainer = make_trainer(CoupledGenerator(), LinearDiscriminator(4), accept=coin(0.3, record))
    for iteration in range(40):
        numbers = trainer.step(iteration)
    answers = torch.cat([keep for _, keep in record])
    assert trainer.facts() == {"acceptance": answers.double().mean().item()}
    assert numbers["accepted"] == trainer.facts()["acceptance"]
    assert abs(numbers["accepted"] - 0.3) < 5 * math.sqrt(0.21 / len(answers))


def test_fakes_are_proposed_in_batches_of_the_size_that_acceptance_asks_for():
    record = []
    trainer = make_trainer(CoupledGenerator(), LinearDiscriminator(4), accept=coin(0.1, record))
    for iteration in range(20):
        trainer.step(iteration)
    sizes = [len(keep) for _, keep in record]
    # A rate of 0.1 asks for 80 at first; four batches of eight are the most.
    assert max(sizes) == 32 and np.mean(sizes) > 16


def test_nothing_accepted_is_said_in_one_line():
    def refuse(images, stream):
        return torch.zeros(len(images), dtype=torch.bool)

    trainer = make_trainer(
        CoupledGenerator(), LinearDiscriminator(4), accept=refuse, max_proposals=3
    )
    with pytest.raises(RuntimeError, match="only 0 of 24 fakes were accepted") as error:
        trainer.step(0)
    assert "\n" not in str(error.value) and "tau" in str(error.value)


class Grey(nn.Module):
    """Feature of an image: its mean, ``(n, 1)``."""

    def forward(self, x):
        return x.mean((1, 2, 3))[:, None]


class GreyDensity(nn.Module):
    """Density = grey level in [-1, 1]."""

    def forward(self, features):
        return features[:, 0]


def test_fakes_are_accepted_as_algorithm_2_says_after_quantisation():
    accept = FakeFilter(Grey(), GreyDensity(), tau=0.0, weight=1 / 33)
    # Within half a grey level of one another: as files they are the same image.
    below, above = 127 / 127.5 - 1, 128 / 127.5 - 1
    for values, share in [((below, below + 0.003), 1.0), ((above, above - 0.003), 1 / 33)]:
        for value in values:
            images = torch.full((20000, 3, 2, 2), value)
            accepted = accept(images, _stream(1))
            assert accepted.dtype == torch.bool and accepted.shape == (20000,)
            mean = accepted.double().mean().item()
            assert abs(mean - share) <= 5 * math.sqrt(share * (1 - share) / 20000)


def equilibrium(importance: dict, p_high: float) -> float:
    """p_g(high) of a two-atom GAN trained as Algorithm 3 says, with the package's own weights."""
    tau, densities = 0.0, np.array([-0.5, 0.5])
    real = np.array([1 - p_high, p_high]) * sampling_weights(densities, tau, importance["w"])
    real = torch.from_numpy(real / real.sum())
    kept = torch.ones(2, dtype=torch.float64)
    accept = _fake_filter(importance, Grey(), GreyDensity(), tau, "cpu")
    if accept is not None:
        kept = torch.from_numpy(importance_acceptance(densities, accept.tau, accept.weight))
    logits = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    for _ in range(6000):
        fake = logits.softmax(0) * kept
        fake = fake / fake.sum()
        best = (real / (real + fake)).detach()  # the optimal discriminator, in closed form
        (gradient,) = torch.autograd.grad(-(fake * best.log()).sum(), logits)
        logits = (logits - 5 * gradient).detach().requires_grad_(True)
    return logits.softmax(0)[1].item()


@pytest.mark.parametrize(
    ("w", "fake_weight", "p_high", "expected"),
    [
        (33.0, "reciprocal", 0.2, 0.9963),
        (33.0, 0.33, 0.2, 0.9615),
        (33.0, "none", 0.2, 0.8919),
        (0.03, "reciprocal", 0.8, 4 * 0.03**2 / (1 + 4 * 0.03**2)),
        (0.03, "none", 0.8, 4 * 0.03 / (1 + 4 * 0.03)),
        (1.0, "reciprocal", 0.2, 0.2),
    ],
)
def test_equilibrium_odds_gain_the_ratio_of_the_weights(w, fake_weight, p_high, expected):
    """p_g(high) / p_g(low) = (w_real / w_fake) p_r(high) / p_r(low)."""
    importance = {"w": w, "fake_weight": fake_weight}
    assert equilibrium(importance, p_high) == pytest.approx(expected, abs=6e-5)


# ------------------------------------------------------------------------------- losses and rates


@pytest.mark.parametrize("kind", ["nonsaturating", "hinge", "wasserstein"])
def test_losses_equal_hand_values(kind):
    class Constant(CoupledGenerator):
        def forward(self, z):
            return self.strength * 0 + 0.25 + 0 * super().forward(z)

    images = flat_images([0])  # -1 everywhere
    frozen = {"loss": kind, "lr_generator": 0.0, "lr_discriminator": 0.0}
    discriminator = LinearDiscriminator(4, b=0.4)
    with torch.no_grad():
        discriminator.a.fill_(0.05)
    numbers = make_trainer(Constant(), discriminator, images, recipe=frozen).step(0)
    real, fake = 0.4 - 48 * 0.05, 0.4 + 48 * 0.05 * 0.25  # logits -2 and 1
    if kind == "hinge":
        expected = (1 - real) + (1 + fake), -fake
    elif kind == "wasserstein":
        expected = fake - real, -fake
    else:
        expected = (
            math.log1p(math.exp(-real)) + math.log1p(math.exp(fake)),
            math.log1p(math.exp(-fake)),
        )
    assert (numbers["loss D"], numbers["loss G"]) == pytest.approx(expected, rel=1e-5)


def test_r1_of_a_linear_discriminator_is_its_squared_norm():
    """grad of gamma/2 |a|^2, times the interval, on the steps of the interval only."""
    discriminator = LinearDiscriminator(4, a=0.2)
    recipe = {"r1_gamma": 3.0, "r1_interval": 4}
    trainer = make_trainer(CoupledGenerator(), discriminator, recipe=recipe)
    for iteration in range(9):
        discriminator.seen.clear()
        discriminator.weights.clear()
        trainer.step(iteration)
        lazy = iteration % 4 == 0
        assert len(discriminator.seen) == (4 if lazy else 3)
        if lazy:
            torch.testing.assert_close(discriminator.seen[2], discriminator.seen[0])
            torch.testing.assert_close(discriminator.a.grad, 4 * 3.0 * discriminator.weights[2])


class SquaringFirst(LinearDiscriminator):
    """Shows its judge the squares of images: a first stage with a slope of 2 x."""

    def features(self, images):
        return [images.square()]


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_the_penalty_of_a_linear_critic_is_the_squared_excess_of_its_norm(scale):
    direction = torch.randn(3, 4, 4, generator=_stream())
    a = (scale * direction / direction.norm()).requires_grad_()
    real, fake = torch.randn(2, 8, 3, 4, 4, generator=_stream(1))
    one = gradient_penalty(lambda x: (x * a).sum((1, 2, 3)), real, fake, _stream())
    assert one.item() == pytest.approx((scale - 1) ** 2, rel=1e-5)
    one.backward()
    torch.testing.assert_close(a.grad, 2 * (scale - 1) * a.detach() / scale)
    # Of several logits per image their mean counts.
    two = gradient_penalty(
        lambda x: torch.stack([(x * a).sum((1, 2, 3)), 0 * x.sum((1, 2, 3))], 1),
        real,
        fake,
        _stream(),
    )
    assert two.item() == pytest.approx((scale / 2 - 1) ** 2, rel=1e-5)


def test_the_penalty_is_taken_between_pairs_of_reals_and_fakes():
    """Each image has its own share, the same for all of its pixels, uniform from 0 to 1."""
    seen = []

    def judge(x):
        seen.append(x.detach())
        return x.sum((1, 2, 3))

    real, fake = torch.zeros(2000, 3, 2, 2), torch.full((2000, 3, 2, 2), 2.0)
    gradient_penalty(judge, real, fake, _stream())
    share = seen[0][:, 0, 0, 0] / 2
    assert torch.equal(seen[0], (2 * share)[:, None, None, None].expand_as(real))
    assert kstest(share.numpy(), "uniform").pvalue > 1e-3


def test_the_penalty_of_a_step_passes_through_both_stages_of_the_discriminator():
    """The gradient of weight * mean (|2 x a| - 1)^2 joins that of the loss, in every step."""
    weight = 3.0
    frozen = {"lr_discriminator": 0.0, "loss": "wasserstein"}
    gradients = {}
    for penalty in (0, weight):
        discriminator = SquaringFirst(4, a=0.5)
        recipe = frozen | {"gradient_penalty": penalty}
        trainer = make_trainer(make_generator("coupled"), discriminator, recipe=recipe)
        trainer.step(0)
        gradients[penalty] = discriminator.a.grad
        assert len(discriminator.seen) == (4 if penalty else 3)
    between = discriminator.seen[2].sqrt()  # the size of x; its sign does not count
    a = discriminator.a.detach().clone().requires_grad_()
    slopes = (2 * between * a).flatten(1).norm(dim=1)
    (expected,) = torch.autograd.grad(weight * (slopes - 1).square().mean(), a)
    torch.testing.assert_close(gradients[weight] - gradients[0], expected, rtol=1e-4, atol=1e-5)


def test_the_drift_term_pulls_the_logits_of_reals_to_zero():
    """Of a constant logit b its gradient is 2 drift b, whatever the loss says of a."""
    gradients = {}
    for drift in (0, 0.1):
        discriminator = LinearDiscriminator(4, b=2.0)
        with torch.no_grad():
            discriminator.a.zero_()
        recipe = {"loss": "wasserstein", "drift": drift, "lr_discriminator": 0.0}
        make_trainer(make_generator("coupled"), discriminator, recipe=recipe).step(0)
        gradients[drift] = discriminator.b.grad.item()
    assert gradients[0.1] - gradients[0] == pytest.approx(2 * 0.1 * 2.0, rel=1e-5)


def test_a_penalised_step_leaves_finite_weights_of_every_discriminator(steering):
    for kind in ("stylegan2", "projectedgan"):
        trainer = real_trainer(kind, steering)
        trainer.recipe |= {"gradient_penalty": 10.0, "drift": 0.001, "loss": "wasserstein"}
        before = copy.deepcopy(trainer.discriminator.state_dict())
        trainer.step(0)
        after = trainer.discriminator.state_dict()
        assert all(value.isfinite().all() for value in after.values())
        assert any(not torch.equal(value, before[name]) for name, value in after.items())


class ScalingGenerator(BaseGenerator):
    """image = c * w of the first of two layers; the mapping starts as w = z."""

    def __init__(self, side: int, c: float):
        super().__init__()
        self.latent_shape, self.resolution = (3 * side * side,), side
        self.c = nn.Parameter(torch.tensor(c))
        self.mapping = nn.PReLU(init=1.0)
        self.synthesis = _ScalingSynthesis(self)

    def forward(self, z):
        return self.synthesis(self.mapping(z)[:, None].repeat(1, 2, 1))


class _ScalingSynthesis(nn.Module):
    num_ws = 2

    def __init__(self, owner):
        super().__init__()
        self.owner = [owner]

    def __deepcopy__(self, memo):
        return _ScalingSynthesis(memo[id(self.owner[0])])

    def forward(self, styles):
        side = self.owner[0].resolution
        return self.owner[0].c * styles[:, 0].view(-1, 3, side, side)


def test_path_length_of_a_linear_generator():
    """|J^T y| = c |y| / sqrt(2), as y meets one of two layers; the penalty is its closed form."""
    c, weight, side = 1.5, 2.0, 16
    recipe = {"lr_generator": 0.0, "path_length_weight": weight, "batch_size": 2}
    generator = ScalingGenerator(side, c)
    trainer = make_trainer(generator, LinearDiscriminator(side), recipe=recipe)
    trainer.step(0)
    length = trainer.path_length_mean.item() / 0.01  # half a batch: one sample
    expected = c * math.sqrt(3 / 2)  # |y|^2 ~ chi2(3 R^2) / R^2
    assert abs(length - expected) < 5 * expected / math.sqrt(2 * 3 * side**2)
    penalty = weight * 4 * (0.99 * length) ** 2
    assert generator.c.grad.item() == pytest.approx(2 * penalty / c, rel=1e-4)
    for iteration in (1, 2, 3):
        before = trainer.path_length_mean.clone()
        trainer.step(iteration)
        assert torch.equal(trainer.path_length_mean, before)
    trainer.step(4)
    assert trainer.path_length_mean > before


def test_learning_rates_decay_and_are_corrected_for_lazy_terms():
    recipe = {
        "decay_fraction": 0.5,
        "r1_gamma": 1.0,
        "lr_generator": 1e-3,
        "lr_discriminator": 4e-3,
    }
    trainer = make_trainer(CoupledGenerator(), LinearDiscriminator(4), recipe=recipe, iterations=8)
    for iteration in range(8):
        trainer.step(iteration)
        factor = min(1, (8 - iteration) / 4)
        rates = {n: o.param_groups[0]["lr"] for n, o in trainer.optimizers.items()}
        assert rates == pytest.approx(
            {"generator": 1e-3 * factor, "discriminator": 4e-3 * 4 / 5 * factor}
        )
    betas = [o.param_groups[0]["betas"] for o in trainer.optimizers.values()]
    assert betas == [(0.0, 0.99), (0.0, pytest.approx(0.99**0.8))]


def test_the_average_follows_and_copies_buffers():
    trainer = make_trainer(CoupledGenerator(), LinearDiscriminator(4), recipe={"ema_ramp_up": None})
    start = copy.deepcopy(trainer.average.module)
    trainer.step(0)
    decay = 0.5 ** (8 / 50)
    for average, first, now in zip(
        trainer.average.module.parameters(),
        start.parameters(),
        trainer.generator.parameters(),
        strict=True,
    ):
        torch.testing.assert_close(average, decay * first + (1 - decay) * now)
    for average, now in zip(
        trainer.average.module.buffers(), trainer.generator.buffers(), strict=True
    ):
        assert torch.equal(average, now)


def test_the_average_is_kept_with_statistics_of_its_own():
    """StyleGAN3's moving averages follow the generator, whose weights the average does not have."""
    generator = make_generator("stylegan3")
    trainer = make_trainer(generator, LinearDiscriminator(16), recipe={"batch_size": 32})
    for i in range(5):
        trainer.step(i)
    kept = build_generator("stylegan3", 16, STYLEGAN3)
    kept.load_state_dict(trainer.weights_to_keep()["average"])
    again = trainer.weights_to_keep()["average"]
    assert all(torch.equal(v, again[k]) for k, v in kept.state_dict().items())
    layer = kept.synthesis.get_submodule(kept.synthesis.layer_names[-1])
    seen = []
    layer.register_forward_pre_hook(lambda _, x: seen.append(x[0].square().mean().item()))
    kept.eval()(torch.randn(2000, 4, generator=_stream()))
    assert layer.magnitude_ema.item() == pytest.approx(seen[0], rel=0.05)
    average = trainer.average.module
    for follower, value in zip(average.buffers(), trainer.generator.buffers(), strict=True):
        assert torch.equal(follower, value)


def test_fine_tuning_leaves_the_average_the_statistics_that_it_was_kept_with():
    generator = make_generator("stylegan3")
    average = copy.deepcopy(generator)
    average.synthesis.get_submodule(average.synthesis.layer_names[0]).magnitude_ema.fill_(2.0)
    before = {name: buffer.clone() for name, buffer in average.named_buffers()}
    trainer = make_trainer(generator, LinearDiscriminator(16), average=average, as_sampled=True)
    trainer.step(0)
    kept = trainer.weights_to_keep()["average"]
    # But for the mean w, which serves truncation only.
    names = [name for name in before if name in kept and name != "mapping.w_avg"]
    assert len(names) > 3 and all(torch.equal(kept[name], before[name]) for name in names)


@pytest.mark.parametrize("kind", ["stylegan2", "stylegan3"])
def test_a_fine_tuned_average_is_truncated_towards_its_own_mean_w(kind):
    generator = make_generator(kind)
    discriminator = LinearDiscriminator(generator.resolution)
    recipe = {"lr_generator": 0.05, "ema_half_life": 1}
    trainer = make_trainer(generator, discriminator, recipe=recipe, as_sampled=True)
    with torch.no_grad():
        trainer.average.module.mapping.w_avg.fill_(3.0)  # the parent's
    for i in range(5):
        trainer.step(i)
    with torch.no_grad():  # five steps are too few to move the mean much
        trainer.average.module.mapping.fc1.bias.add_(20)
    settings = STYLEGAN2 if kind == "stylegan2" else STYLEGAN3
    kept = build_generator(kind, generator.resolution, settings).eval()
    kept.load_state_dict(trainer.weights_to_keep()["average"])

    with torch.no_grad():
        w = kept.mapping(torch.randn(100_000, 4, generator=_stream(5)))
        parent = make_generator(kind).eval().mapping(torch.randn(100_000, 4, generator=_stream(5)))
    # Both means have a sampling error, that of MEAN_W latents by far the larger.
    error = w.std(0) * math.sqrt(1 / gan.MEAN_W + 1 / len(w))
    assert ((kept.mapping.w_avg - w.mean(0)).abs() < 4.5 * error).all()
    assert ((parent.mean(0) - w.mean(0)).abs() > 9 * error).any(), "the mean has moved"

    z, average = torch.randn(6, 4, generator=_stream(6)), trainer.average.module
    with torch.no_grad():
        assert torch.equal(kept(z), average(z)), "plain samples do not depend on it"
        assert (average.mapping.w_avg == 3).all(), "training does not see it"
        collapsed = kept(z, psi=0)
        torch.testing.assert_close(
            collapsed[:1], kept.synthesis(w.mean(0)[None]), rtol=0, atol=0.05
        )
        assert (collapsed - average(z, psi=0)).abs().max() > 0.1
    assert torch.equal(trainer.weights_to_keep()["average"]["mapping.w_avg"], kept.mapping.w_avg)


def test_pre_training_keeps_the_moving_mean_of_w():
    trainer = make_trainer(make_generator("stylegan2"), LinearDiscriminator(8))
    trainer.step(0)
    kept = trainer.weights_to_keep()["average"]["mapping.w_avg"]
    assert torch.equal(kept, trainer.generator.mapping.w_avg) and kept.abs().max() > 0


# ------------------------------------------------------------------------------- death and resurrection


@pytest.fixture(scope="module")
def steering():
    """A density on the features of a random extractor, and 40 images of 16 x 16."""
    draw = numpy_generator(0, "gan tests")
    levels, noise = draw.integers(0, 200, (40, 3, 1, 1)), draw.integers(0, 56, (40, 3, 16, 16))
    images = (levels + noise).astype(np.uint8)
    extractor = build_extractor({"kind": "small_cnn", "size": 16, "widths": [4, 8], "blocks": 1})
    density = PseudoDensity.fit(extract(extractor, images), k=3, epochs=2)
    return extractor, density, images


def real_trainer(kind: str, steering) -> GanTrainer:
    extractor, density, images = steering
    tau = density.threshold(50)
    torch.manual_seed(0)
    if kind == "stylegan2":
        generator = build_generator(kind, 16, STYLEGAN2)
        discriminator = build_discriminator(
            kind, 16, {k: STYLEGAN2[k] for k in ("channel_base", "channel_max")}
        )
        recipe = {"r1_gamma": 1.0, "path_length_weight": 2.0, "decay_fraction": 0.5}
    else:
        generator = build_generator(kind, 16, FASTGAN)
        settings = {"width": 4, "head_end": 4, "input_size": 16}
        discriminator = build_discriminator(kind, 16, settings, backbone=copy.deepcopy(extractor))
        recipe = {"loss": "hinge", "augment": ["color", "translation", "cutout"]}
    return make_trainer(
        generator,
        discriminator,
        images,
        recipe=recipe,
        iterations=6,
        mirror=True,
        weights=torch.as_tensor(sampling_weights(density.labels, tau, 33.0)),
        # Below every density: a third of the fakes is kept, whatever an untrained model makes.
        accept=FakeFilter(extractor, density, -100.0, 0.33),
    )


@pytest.mark.parametrize("kind", ["stylegan2", "projectedgan"])
def test_a_killed_run_ends_with_bit_identical_weights(kind, steering, tmp_path):
    def train(workdir, die_at=None):
        trainer = real_trainer(kind, steering)
        step = trainer.step

        def step_or_die(iteration):
            torch.manual_seed(iteration + 99)  # the global stream must not matter
            if iteration == die_at:
                raise KeyboardInterrupt
            return step(iteration)

        trainer.step = step_or_die
        run(trainer, 6, workdir, {"kind": kind}, Progress("x", 48, every=1e9), save_seconds=0)
        return trainer

    whole = train(tmp_path / "whole")
    for die_at in (1, 3, 5):
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "killed", die_at)
    resumed = train(tmp_path / "killed")
    for part, state in whole.weights_to_keep().items():
        for name, value in state.items():
            assert torch.equal(resumed.weights_to_keep()[part][name], value), (part, name)
    assert resumed.facts() == whole.facts() and 0 < whole.facts()["acceptance"] < 1
    assert torch.equal(resumed.path_length_mean, whole.path_length_mean)
