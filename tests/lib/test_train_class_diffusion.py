"""Training of diffusion models with classes: each image with its class, and shares as they are drawn."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from pseudodensity.control.train.class_diffusion import ClassDiffusionTrainer
from pseudodensity.control.train.loop import run
from pseudodensity.control.train.pretraining import pretrain
from pseudodensity.generators.build import build_generator
from pseudodensity.generators.checkpoint import load_generator
from pseudodensity.generators.diffusion_sampling import StepNoise, sample
from pseudodensity.images.labels import Labels
from pseudodensity.progress import Progress

torch.set_num_threads(1)

CLASSES = np.repeat([0, 1, 2], [20, 10, 70])
# Each class has a grey level of its own.
LEVELS = np.array([10, 120, 240], np.uint8)
IMAGES = np.broadcast_to(LEVELS[CLASSES][:, None, None, None], (100, 3, 8, 8)).copy()
RECIPE = {
    "batch_size": 8,
    "lr": 2e-3,
    "warmup_iterations": 5,
    "decay_fraction": 0.5,
    "ema_half_life": 100,
    "ema_ramp_up": 0.1,
}
UNET = {
    "classes": 3,
    "network": "small",
    "flavour": "adm",
    "channels": [16],
    "blocks": 1,
    "attention_levels": [],
    "head_channels": None,
    "norm_groups": 8,
    "dropout": 0.2,
    "patch": 2,
    "schedule": "cosine",
    "prediction": "v_prediction",
    "training_steps": 1000,
    "sampling_steps": 10,
    "rescale_vb": False,
}


def labels_of(classes: np.ndarray, count: int) -> Labels:
    nothing = np.zeros((len(classes), 0), np.float32)
    return Labels(classes[:, None], ["class"], [count], np.zeros(len(classes)), nothing)


LABELS = labels_of(CLASSES, 3)


def make_trainer(iterations: int = 20, **options) -> ClassDiffusionTrainer:
    torch.manual_seed(0)
    recipe = RECIPE | options.pop("recipe", {})
    model = build_generator("class_diffusion", 8, UNET)
    options = {"labels": LABELS, "mirror": True, "seed": 3} | options
    return ClassDiffusionTrainer(model, IMAGES, recipe, iterations=iterations, **options)


def test_the_model_sees_each_image_with_its_class(monkeypatch):
    trainer, seen = make_trainer(), []
    loss = trainer.model.loss

    def remember(x0, t, noise, labels):
        seen.append((x0, labels))
        return loss(x0, t, noise, labels)

    monkeypatch.setattr(trainer.model, "loss", remember)
    trainer.step(0)
    ((images, labels),) = seen
    levels = LEVELS / np.float32(127.5) - 1
    np.testing.assert_allclose(images.mean((1, 2, 3)), levels[labels], atol=1e-5)
    assert labels.dtype == torch.int64 and len(set(labels.tolist())) > 1


def test_classes_come_as_often_as_the_weighted_images_do():
    for weights, expected in (
        (None, np.array([20, 10, 70]) / 100),
        (torch.where(torch.arange(100) < 20, 3.0, 1.0), np.array([60, 10, 70]) / 140),
    ):
        trainer = make_trainer(weights=weights)
        for network in (trainer.model, trainer.average.module):
            assert network.shares.tolist() == pytest.approx(expected)
        latents = torch.randn(5000, 193, generator=torch.Generator().manual_seed(0))
        counts = torch.bincount(trainer.average.module.labels(latents), minlength=3)
        assert chisquare(counts, 5000 * expected).pvalue > 1e-3


def test_a_tiny_model_learns_which_class_is_bright():
    """Only the class tells the levels apart: without labels the model would draw all three."""
    trainer = make_trainer(120, recipe={"batch_size": 16, "lr": 4e-3})
    for iteration in range(120):
        trainer.step(iteration)
    model = trainer.average.module.eval().requires_grad_(False)
    latents = torch.randn(12, 193, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(12) % 3
    for options in ({"step": "ddim"}, {"step": "ancestral", "noise": StepNoise(0, range(12))}):
        found = sample(model, latents, labels=labels, **options).mean((1, 2, 3))
        nearest = (found[:, None] - torch.from_numpy(LEVELS / 127.5 - 1)).abs().argmin(1)
        assert torch.equal(nearest, labels), options


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path):
    whole = make_trainer(6)
    run(whole, 6, tmp_path / "whole", {}, Progress("whole", 48, every=1e9))
    run(make_trainer(6), 3, tmp_path / "part", {}, Progress("part", 48, every=1e9))
    resumed = make_trainer(6)
    run(resumed, 6, tmp_path / "part", {}, Progress("part", 48, every=1e9))
    kept = resumed.weights_to_keep()
    for part, state in whole.weights_to_keep().items():
        for name, value in kept[part].items():
            assert torch.equal(value, state[name]), (part, name)


def test_a_spec_leads_to_a_checkpoint_that_opens(tmp_path):
    spec = {"architecture": "class_diffusion", "resolution": 8, "generator": UNET, "seed": 0}
    spec |= {"discriminator": None, "recipe": RECIPE, "iterations": 2, "mirror": False}
    path, quiet = tmp_path / "c.safetensors", Progress("c", 16, every=1e9)
    pretrain(spec, IMAGES, path, tmp_path / "work", quiet, labels=LABELS)
    model = load_generator(path, spec=spec)
    assert model.shares.tolist() == pytest.approx([0.2, 0.1, 0.7])
    assert model(torch.randn(2, 193)).shape == (2, 3, 8, 8)


def test_what_does_not_fit_is_one_clear_line():
    with pytest.raises(ValueError, match="needs a data set with labels") as error:
        make_trainer(labels=None)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="4 classes and the model 3: set `classes` to 4") as error:
        make_trainer(labels=labels_of(CLASSES, 4))
    assert "\n" not in str(error.value)
