"""Training with classes: what comes with what, shares as they are drawn, and a killed run that goes on."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import nn

from pseudodensity.control.train.conditional_gan import ConditionalGanTrainer
from pseudodensity.control.train.loop import run
from pseudodensity.generators.build import build_discriminator, build_generator
from pseudodensity.generators.discriminator import StagedDiscriminator
from pseudodensity.images.labels import Labels, class_numbers
from pseudodensity.progress import Progress

torch.set_num_threads(1)

CLASSES = np.repeat([0, 1, 2], [20, 10, 70])
# Each class has a grey level of its own.
LEVELS = np.array([10, 100, 240], np.uint8)
IMAGES = np.broadcast_to(LEVELS[CLASSES][:, None, None, None], (100, 3, 16, 16)).copy()
RECIPE = {
    "loss": "hinge",
    "batch_size": 8,
    "lr_generator": 2e-3,
    "lr_discriminator": 2e-3,
    "r1_gamma": 0.1,
    "r1_interval": 2,
    "path_length_weight": 0,
    "ema_half_life": 50,
    "ema_ramp_up": 0.1,
    "decay_fraction": 0,
    "augment": [],
}
GENERATOR = {"classes": 3, "z_dim": 4, "class_dim": 4, "channels": [8, 8, 4], "attention": 8}
DISCRIMINATOR = {"classes": 3, "channels": [4, 8, 8], "attention": 8}


def labels_of(*columns, cardinalities) -> Labels:
    categorical = np.stack(columns, 1).astype(np.int64)
    names = [f"attribute {i}" for i in range(len(columns))]
    nothing = np.zeros((len(categorical), 0), np.float32)
    return Labels(categorical, names, list(cardinalities), np.zeros(len(categorical)), nothing)


LABELS = labels_of(CLASSES, cardinalities=[3])


class Recorder(StagedDiscriminator):
    """Keeps every image that it judges with its class."""

    classes = 3

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def judge(self, features):
        images, labels = features
        self.seen.append((images.detach().clone(), labels.clone()))
        return self.weight * images.mean((1, 2, 3))


def make_trainer(discriminator=None, **options) -> ConditionalGanTrainer:
    torch.manual_seed(0)
    recipe = RECIPE | options.pop("recipe", {})
    generator = options.pop("generator", None) or build_generator("biggan", 16, GENERATOR)
    judge = discriminator or build_discriminator("biggan", 16, DISCRIMINATOR)
    options = {"labels": LABELS, "iterations": 20, "mirror": True, "seed": 3} | options
    return ConditionalGanTrainer(generator, judge, IMAGES, recipe, **options)


@pytest.mark.parametrize("recipe", [{}, {"r1_gamma": 0, "gradient_penalty": 1}])
def test_the_discriminator_sees_each_image_with_its_class(recipe):
    recorder = Recorder()
    trainer = make_trainer(recorder, recipe=recipe)
    made = []
    trainer.generator.register_forward_hook(lambda _, given, out: made.append((given[0], out)))
    trainer.step(0)
    (latents, images), expected = made[0], LEVELS / np.float32(127.5) - 1
    # The real images of the update and the penalty, the fakes of both updates; between two of them where
    # slopes are punished on lines.
    real = [recorder.seen[0], recorder.seen[2]]
    fakes = [recorder.seen[1], recorder.seen[3]]
    if "r1_gamma" in recipe:
        assert torch.equal(real.pop()[1], real[0][1])
    for shown, labels in real:
        levels = shown.mean((1, 2, 3)).numpy()
        np.testing.assert_allclose(levels, expected[labels.numpy()], atol=1e-5)
    for shown, labels in fakes:
        assert torch.equal(shown, images)
        assert torch.equal(labels, trainer.generator.labels(latents))
    assert len(recorder.seen) == 4


def test_classes_of_fakes_come_as_often_as_those_of_the_images():
    trainer = make_trainer()
    for network in (trainer.generator, trainer.average.module):
        assert network.shares.tolist() == pytest.approx([0.2, 0.1, 0.7])
    latents = torch.randn(5000, 5, generator=torch.Generator().manual_seed(0))
    (labels,) = trainer.told_of(latents)
    assert chisquare(torch.bincount(labels), [1000, 500, 3500]).pvalue > 1e-3


def test_with_weights_classes_come_as_the_weighted_images_do():
    weights = torch.where(torch.arange(100) < 20, 3.0, 1.0)
    trainer = make_trainer(weights=weights)
    expected = np.array([60, 10, 70]) / 140
    assert trainer.generator.shares.tolist() == pytest.approx(expected)
    counts = np.zeros(3)
    stream = torch.Generator().manual_seed(0)
    for _ in range(250):
        counts += np.bincount(trainer.draw_real(stream)[1], minlength=3)
    assert chisquare(counts, 2000 * expected).pvalue > 1e-3


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path):
    whole = make_trainer()
    run(whole, 6, tmp_path / "whole", {}, Progress("whole", 48, every=1e9))
    run(make_trainer(), 3, tmp_path / "part", {}, Progress("part", 48, every=1e9))
    resumed = make_trainer()
    run(resumed, 6, tmp_path / "part", {}, Progress("part", 48, every=1e9))
    kept = resumed.weights_to_keep()
    for part, state in whole.weights_to_keep().items():
        for name, value in kept[part].items():
            assert torch.equal(value, state[name]), (part, name)


def test_statistics_of_the_average_are_those_of_its_own_weights():
    trainer = make_trainer()
    trainer.step(0)
    followed = trainer.average.module.state_dict()["norm.running_mean"].clone()
    kept = trainer.weights_to_keep()["average"]["norm.running_mean"]
    assert (kept - followed).abs().max() > 1e-3


@pytest.mark.slow
def test_a_tiny_gan_learns_which_class_is_bright():
    """Only the class tells the levels apart: without labels both networks would average them."""
    recipe = {"lr_generator": 0.004, "lr_discriminator": 0.004, "r1_gamma": 1.0}
    trainer = make_trainer(recipe=recipe | {"batch_size": 16, "ema_half_life": 500}, iterations=150)
    for iteration in range(150):
        trainer.step(iteration)
    generator = trainer.generator.eval()
    latents = torch.randn(16, 5, generator=torch.Generator().manual_seed(0))
    means = [generator(generator.with_class(latents, label)).mean().item() for label in range(3)]
    assert means[0] < means[1] - 0.2 < means[2] - 0.4


def test_a_class_is_a_combination_of_attributes():
    first, second = np.array([0, 1, 1, 0]), np.array([2, 0, 2, 1])
    numbers, count = class_numbers(labels_of(first, second, cardinalities=[2, 3]))
    assert numbers.tolist() == [2, 3, 5, 1] and numbers.dtype == np.int64 and count == 6
    assert class_numbers(LABELS)[0].tolist() == CLASSES.tolist()


def test_what_does_not_fit_is_one_clear_line():
    with pytest.raises(ValueError, match="needs a data set with labels") as error:
        make_trainer(labels=None)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="4 classes, the generator 3 and .* to 4") as error:
        make_trainer(labels=labels_of(CLASSES, cardinalities=[4]))
    assert "\n" not in str(error.value)
