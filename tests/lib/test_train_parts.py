"""Batches that are worked through in parts: the same step as at once, and no larger graph than a part's."""

import copy

import numpy as np
import pytest
import torch
from gan_example import RECIPE
from test_train_conditional import LEVELS, Recorder
from test_train_conditional import make_trainer as make_conditional
from test_train_diffusion import make_trainer as make_diffusion
from test_train_gan import (
    STYLEGAN2,
    CoupledGenerator,
    LinearDiscriminator,
    coin,
    flat_images,
    make_generator,
    make_trainer,
)
from test_train_ratio import SETTINGS, TwoImages, data
from test_train_weights import bridge, bridge_trainer, halves, strata
from torch import nn

from pseudodensity.control.train.gan import GanTrainer
from pseudodensity.control.train.loop import run
from pseudodensity.control.train.path_length import penalise_path_lengths
from pseudodensity.control.train.ratio import RatioTrainer
from pseudodensity.control.train.weight_losses import critic_loss
from pseudodensity.control.train.weights import WeightTrainer
from pseudodensity.generators.build import build_discriminator, build_generator
from pseudodensity.generators.discriminator import StagedDiscriminator
from pseudodensity.progress import Progress
from pseudodensity.rng import generator as stream_of

torch.set_num_threads(1)

BATCH = 12
PICTURES = np.random.default_rng(0).integers(0, 256, (30, 3, 8, 8), dtype=np.uint8)
PENALTIES = {
    "none": {},
    "R1": {"r1_gamma": 2.0},
    "between": {"gradient_penalty": 3.0, "drift": 0.1, "loss": "wasserstein"},
    "path length": {"path_length_weight": 2.0},
}
# The parts of half a batch, whose path lengths are measured: one; four and two; two of three; three of two.
PARTS = (2, 3, 4, 6)


@pytest.fixture
def doubles():
    """Weights and draws in float64, in which only the order of a sum is left to differ."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class DoubleTrainer(GanTrainer):
    """Of real images in float64."""

    def draw_real(self, stream):
        return [x.double() for x in super().draw_real(stream)]


def stylegan2_trainer(recipe: dict, *, group_size: int = 1, **options) -> GanTrainer:
    """Without minibatch standard deviation, unless a group has more images than one."""
    torch.manual_seed(0)
    settings = {"channel_base": 64, "channel_max": 8, "group_size": group_size}
    recipe = RECIPE | {"batch_size": BATCH} | recipe
    return DoubleTrainer(
        build_generator("stylegan2", 8, STYLEGAN2).double(),
        build_discriminator("stylegan2", 8, settings).double(),
        PICTURES,
        recipe,
        iterations=10,
        mirror=True,
        seed=3,
        **options,
    )


def assert_alike(modules, others):
    """Equal gradients and weights; the scale of a gradient would not be seen in a step of Adam."""
    for module, other in zip(modules, others, strict=True):
        for (name, ours), theirs in zip(module.named_parameters(), other.parameters(), strict=True):
            assert (ours.grad is None) == (theirs.grad is None), name
            if ours.grad is not None:
                torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-11)
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-8)


# ------------------------------------------------------------------------------- the same step


@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_step_of_a_gan_in_parts_is_that_of_the_whole_batch(penalty, doubles):
    """In eval mode, where no noise is drawn and no buffer moves; with fakes that are accepted."""
    ends = {}
    for parts in (1, *PARTS):
        recipe = PENALTIES[penalty] | {"accumulate": parts}
        trainer = stylegan2_trainer(recipe, as_sampled=True, accept=coin(0.4, []))
        numbers = trainer.step(0)
        ends[parts] = trainer, numbers
    whole, expected = ends[1]
    for parts in PARTS:
        trainer, numbers = ends[parts]
        assert_alike(
            (trainer.generator, trainer.discriminator), (whole.generator, whole.discriminator)
        )
        assert numbers == pytest.approx(expected, rel=1e-10)
        assert trainer.facts() == whole.facts()
        mean = trainer.path_length_mean
        torch.testing.assert_close(mean, whole.path_length_mean, rtol=1e-10, atol=0)
        assert (mean > 0) == (penalty == "path length")


@pytest.mark.parametrize("parts", [2, 4])
def test_a_step_of_a_diffusion_model_in_parts_is_that_of_the_whole_batch(parts, doubles):
    ends = []
    for accumulate in (1, parts):
        trainer = make_diffusion(PICTURES, 10, recipe={"accumulate": accumulate})
        for module in (trainer.model.double(), trainer.average.module.double()):
            for layer in module.modules():
                if isinstance(layer, nn.Dropout):
                    layer.p = 0.0  # the draws of a layer are those of its part
        ends.append((trainer, trainer.step(0)))
    (whole, expected), (ours, numbers) = ends
    assert_alike([ours.model], [whole.model])
    assert numbers == pytest.approx(expected, rel=1e-10)


class Squares(StagedDiscriminator):
    """Logits (a . x)^2 + b, in float64; it keeps the sizes of its batches."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.randn(3 * 8 * 8, dtype=torch.float64) / 8)
        self.b = nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.sizes: list[int] = []

    def judge(self, features):
        self.sizes.append(len(features[0]))
        return (features[0].flatten(1).double() @ self.a).square() + self.b


@pytest.mark.parametrize("parts", [2, 4])
def test_a_step_of_the_density_ratio_in_parts_is_that_of_the_whole_batch(parts):
    ends = []
    for accumulate in (1, parts):
        torch.manual_seed(0)
        settings = SETTINGS | {"batch_size": 8, "r1_gamma": 3.0, "accumulate": accumulate}
        judge = Squares()
        trainer = RatioTrainer(judge, TwoImages(), data(), settings, mirror=True, seed=0)
        ends.append((judge, trainer.step(0)))
        assert judge.sizes == [8 // accumulate] * 3 * accumulate
        trainer.facts()
        assert max(judge.sizes) == 8 // accumulate
    (whole, expected), (ours, numbers) = ends
    assert_alike([ours], [whole])
    assert numbers == pytest.approx(expected, rel=1e-10)


def weight_trainer(network, critic, generator, latents, reals, recipe, **options) -> WeightTrainer:
    """In float64."""
    draws = [lambda n, s, draw=draw: draw(n, s).double() for draw in (latents, reals)]
    return WeightTrainer(network.double(), critic.double(), generator, *draws, recipe, **options)


@pytest.mark.parametrize("kind", ["wasserstein", "hinge"])
@pytest.mark.parametrize("normalised", [True, False])
def test_a_step_of_latent_weights_in_parts_is_that_of_the_whole_batch(kind, normalised):
    ends, sizes = [], []
    for parts in (1, 4):
        changes = {"critic_loss": kind, "normalised": normalised, "penalty": 1.0}
        trainer = bridge_trainer(weight_trainer, warm_up=0, **changes, accumulate=parts)
        trainer.critic.register_forward_hook(lambda *passed: sizes.append(len(passed[-1])))
        ends.append((trainer, trainer.step(0)))
    (whole, expected), (ours, numbers) = ends
    assert_alike((ours.network, ours.critic), (whole.network, whole.critic))
    assert numbers == pytest.approx(expected, rel=1e-10)
    assert sizes == [128] * 4 + [32] * 16
    # The loss is that of a fresh critic; weights are divided by the mean of all of them, or not at all.
    fresh, stream = bridge_trainer(weight_trainer, **changes), stream_of(0, "weight step", 0)
    with torch.no_grad():
        real, latents = halves(128, stream).double(), strata(128, stream).double()
        scores = fresh.critic(real)[:, 0], fresh.critic(bridge(latents))[:, 0]
        weights = fresh.network(latents)
        loss = critic_loss(kind, *scores, weights, normalised=normalised)
    assert numbers["gap"] == pytest.approx(-loss.item(), rel=1e-6)


def test_parts_of_a_conditional_gan_keep_images_and_classes_together():
    judge = Recorder()
    trainer = make_conditional(judge, recipe={"accumulate": 4})
    trainer.step(0)
    assert [len(images) for images, _ in judge.seen] == [2] * 16  # real and fake, R1, fakes again
    real = judge.seen[0:8:2] + judge.seen[8:12]
    for images, labels in real:
        grey = images[:, 0, 0, 0].add(1).mul(127.5).round().long()
        assert torch.equal(grey, torch.from_numpy(LEVELS).long()[labels])
    for (_, labels), (_, again) in zip(judge.seen[1:8:2], judge.seen[12:], strict=True):
        assert torch.equal(labels, again)


def test_the_signs_that_adaptive_augmentation_follows_are_those_of_all_parts():
    discriminator = LinearDiscriminator(4, a=0.1)
    ada = {"target": 0.6, "images": 10**6, "transforms": ["color"]}
    recipe = {"ada": ada, "accumulate": 4, "lr_discriminator": 0.0}
    trainer = make_trainer(CoupledGenerator(), discriminator, recipe=recipe)
    for iteration in range(4):
        trainer.step(iteration)
    seen = [discriminator.seen[12 * step : 12 * step + 8 : 2] for step in range(4)]
    real = torch.cat([images for step in seen for images in step])
    with torch.no_grad():
        mean = discriminator(real).sign().mean().item()
    assert len(real) == 32 and -1 < mean < 1
    assert trainer.facts()["real sign"] == mean


# ------------------------------------------------------------------------------- twice the same fakes


def test_both_updates_see_the_same_fakes_in_parts_and_buffers_move_once_for_each():
    """Of a generator with noise, whose images also depend on their batch and on earlier passes."""
    discriminator = LinearDiscriminator(4)
    recipe = {"accumulate": 4, "augment": ["color", "translation"]}
    trainer = make_trainer(CoupledGenerator(), discriminator, recipe=recipe)
    trainer.step(0)
    assert [len(x) for x in discriminator.seen] == [2] * 12
    shown, again = discriminator.seen[1:8:2], discriminator.seen[8:]
    assert all(torch.equal(*pair) for pair in zip(shown, again, strict=True))
    assert trainer.generator.passes == 1 + 4


class Noise(CoupledGenerator):
    """Images that are nothing but the draws of a layer."""

    def forward(self, z):
        return self.strength * torch.randn(len(z), 3, self.resolution, self.resolution)


def test_each_part_has_draws_of_its_own():
    discriminator = LinearDiscriminator(4)
    make_trainer(Noise(), discriminator, recipe={"accumulate": 4}).step(0)
    fakes = torch.cat(discriminator.seen[8:])
    assert len({fake.numpy().tobytes() for fake in fakes}) == 8


def test_path_lengths_of_parts_are_measured_on_the_images_that_are_penalised():
    """In train mode, with noise: made without a graph for weights, and again with one."""
    generator = make_generator("stylegan2").train()
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            if name.endswith("noise_strength"):
                parameter.fill_(0.5)
    images, latents = [], torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    generator.synthesis.register_forward_hook(lambda *passed: images.append(passed[-1].detach()))
    twin, mean = copy.deepcopy(generator.mapping), torch.zeros(())
    stream = torch.Generator().manual_seed(1)
    penalise_path_lengths(generator, latents, mean, 2.0, stream, size=2)
    assert [len(x) for x in images] == [2, 1, 2, 1]
    assert torch.equal(images[0], images[2]) and torch.equal(images[1], images[3])
    for part in latents.split(2):
        twin(part)
    assert torch.equal(generator.mapping.w_avg, twin.w_avg) and mean > 0


# ------------------------------------------------------------------------------- what is held at once


def sizes_of(trainer: GanTrainer, step: int) -> dict[bool, list[int]]:
    """Images of each pass of the generator in a step, by whether it makes a graph."""
    sizes: dict[bool, list[int]] = {True: [], False: []}

    def count(module, arguments, images):
        sizes[torch.is_grad_enabled()].append(len(images))

    hook = trainer.generator.synthesis.register_forward_hook(count)
    trainer.step(step)
    hook.remove()
    return sizes


@pytest.mark.parametrize("parts", [2, 3, 4, 12])
def test_the_generator_never_has_more_images_than_a_part(parts, doubles):
    recipe = {"accumulate": parts, "path_length_weight": 2.0}
    trainer = stylegan2_trainer(recipe, as_sampled=True, accept=coin(0.3, []))
    sizes = sizes_of(trainer, 0)
    assert max(sizes[True]) == max(sizes[False]) == BATCH // parts
    # The fakes with a graph, and half as many path lengths, which are measured first if they are several.
    measured = BATCH // 2 if BATCH // 2 > BATCH // parts else 0
    assert sum(sizes[True]) == BATCH + BATCH // 2 + measured


def test_a_whole_batch_is_made_once(doubles):
    trainer = stylegan2_trainer({"path_length_weight": 2.0, "accumulate": 1})
    assert sizes_of(trainer, 0) == {True: [BATCH, BATCH // 2], False: []}
    assert sizes_of(trainer, 1) == {True: [BATCH], False: []}


def test_parts_may_be_smaller_than_the_groups_of_a_minibatch_standard_deviation(doubles):
    trainer = stylegan2_trainer({"accumulate": 6, "r1_gamma": 1.0}, group_size=4)
    assert all(np.isfinite(value) for value in trainer.step(0).values())


# ------------------------------------------------------------------------------- going on, and refusals


@pytest.mark.parametrize("kind", ["gan", "diffusion"])
def test_a_killed_run_in_parts_ends_with_the_same_bits(kind, tmp_path):
    def fresh():
        if kind == "diffusion":
            return make_diffusion(PICTURES, 6, recipe={"accumulate": 4})
        ada = {"target": 0.01, "images": 100, "transforms": ["blit", "color"]}
        recipe = {"accumulate": 4, "r1_gamma": 1.0, "path_length_weight": 2.0, "ada": ada}
        generator = make_generator("stylegan2")  # it seeds the discriminator too
        discriminator = build_discriminator("stylegan2", 8, {"channel_base": 64, "channel_max": 8})
        return make_trainer(generator, discriminator, PICTURES, recipe=recipe, iterations=6)

    whole, first, second = (fresh() for _ in range(3))
    run(whole, 6, tmp_path / "whole", {}, Progress("whole", 48))
    run(first, 3, tmp_path / "part", {}, Progress("part", 24))
    torch.randn(7)  # the global stream must not matter
    run(second, 6, tmp_path / "part", {}, Progress("resumed", 48))
    for part, state in whole.weights_to_keep().items():
        for name, value in second.weights_to_keep()[part].items():
            assert torch.equal(value, state[name]), (part, name)
    assert second.facts() == whole.facts()


@pytest.mark.parametrize("parts", [0, 3, 16])
def test_unequal_parts_are_refused_in_one_line(parts):
    recipe = {"accumulate": parts}
    for make in (
        lambda: make_trainer(CoupledGenerator(), LinearDiscriminator(4), recipe=recipe),
        lambda: make_diffusion(flat_images([0], 8), 3, recipe=recipe),
        lambda: bridge_trainer(batch_size=8, **recipe),
    ):
        with pytest.raises(ValueError, match=f"accumulate is {parts}, .* a batch of 8") as error:
            make()
        assert "\n" not in str(error.value)
