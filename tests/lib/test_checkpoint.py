"""Checkpoints build the model they hold, and training leads from a spec to one."""

import copy
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from pseudodensity.artifacts import ArtifactError
from pseudodensity.control.train import finetuning, finishing, gan
from pseudodensity.control.train.finetuning import finetune
from pseudodensity.control.train.pretraining import pretrain
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import build_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.generators.build import build_discriminator, build_generator
from pseudodensity.generators.checkpoint import (
    CheckpointFile,
    load_checkpoint,
    load_generator,
    save_checkpoint,
)
from pseudodensity.images.labels import Labels
from pseudodensity.progress import Progress
from pseudodensity.rng import normal, numpy_generator
from pseudodensity.tensors import save_tensors

torch.set_num_threads(1)

SMALL = {"channel_base": 64, "channel_max": 8}
MAPPING = {"z_dim": 4, "w_dim": 4, "mapping_layers": 2}
SETTINGS = {
    "stylegan2": {"generator": MAPPING | SMALL, "discriminator": SMALL},
    "stylegan3": {
        "generator": MAPPING
        | SMALL
        | {"num_layers": 4, "first_cutoff": 1, "first_stopband": 2, "margin_size": 4},
        "discriminator": SMALL,
    },
    "projectedgan": {
        "generator": {"z_dim": 4, "ngf": 4},
        "discriminator": {"width": 4, "head_end": 4, "input_size": 16},
    },
    "progan": {"generator": {"z_dim": 4} | SMALL, "discriminator": SMALL},
    "convgan": {
        "generator": {"z_dim": 4, "channels": [8, 8, 4]},
        "discriminator": {"channels": [4, 8]},
    },
    "biggan": {
        "generator": {
            "classes": 3,
            "z_dim": 4,
            "class_dim": 4,
            "channels": [8, 8, 4],
            "attention": None,
        },
        "discriminator": {"classes": 3, "channels": [4, 8, 8], "attention": None},
    },
    "diffusion": {
        "generator": {
            "network": "small",
            "flavour": "iddpm",
            "channels": [16],
            "blocks": 1,
            "attention_levels": [],
            "head_channels": None,
            "norm_groups": 4,
            "dropout": 0.1,
            "patch": 2,
            "schedule": "cosine",
            "prediction": "v_prediction",
            "training_steps": 20,
            "sampling_steps": 2,
            "rescale_vb": False,
        },
        "discriminator": None,
    },
}
GAN_RECIPE = {
    "loss": "nonsaturating",
    "batch_size": 4,
    "lr_generator": 2e-3,
    "lr_discriminator": 2e-3,
    "r1_gamma": 0.5,
    "r1_interval": 2,
    "path_length_weight": 0,
    "ema_half_life": 50,
    "ema_ramp_up": 0.1,
    "decay_fraction": 0.5,
    "augment": [],
}
PENALISED = GAN_RECIPE | {"r1_gamma": 0, "gradient_penalty": 10}
RECIPES = {
    "stylegan2": GAN_RECIPE,
    "projectedgan": GAN_RECIPE | {"loss": "hinge", "r1_gamma": 0, "augment": ["translation"]},
    "progan": PENALISED | {"loss": "wasserstein", "drift": 0.001},
    "convgan": PENALISED | {"loss": "hinge"},
    "biggan": GAN_RECIPE | {"loss": "hinge"},
    "diffusion": {
        "batch_size": 4,
        "lr": 1e-3,
        "warmup_iterations": 1,
        "decay_fraction": 0.5,
        "ema_half_life": 50,
        "ema_ramp_up": 0.1,
    },
}


@pytest.fixture(scope="module")
def backbone():
    return build_extractor({"kind": "small_cnn", "size": 16, "widths": [4, 8], "blocks": 1})


def labels_of(architecture: str) -> dict:
    """Classes 0, 1 and 2 in turn of the 40 images, for a model that learns classes."""
    classes = np.arange(40)[:, None] % 3
    labels = Labels(classes, ["class"], [3], np.zeros(40), np.zeros((40, 0), np.float32))
    return {"labels": labels} if architecture == "biggan" else {}


def backbone_of(architecture: str, backbone) -> dict:
    return {"backbone": copy.deepcopy(backbone)} if architecture == "projectedgan" else {}


def fresh(architecture: str, backbone) -> CheckpointFile:
    settings = SETTINGS[architecture]
    torch.manual_seed(0)
    states = {}
    for part in ("average", "generator"):
        module = build_generator(architecture, 16, settings["generator"])
        states[part] = module.state_dict()
    if settings["discriminator"] is not None:
        module = build_discriminator(
            architecture, 16, settings["discriminator"], **backbone_of(architecture, backbone)
        )
        states["discriminator"] = module.state_dict()
    return CheckpointFile(architecture, 16, settings, states, {"acceptance": 0.25})


# ------------------------------------------------------------------------------- files


@pytest.mark.parametrize("architecture", SETTINGS)
def test_a_checkpoint_builds_the_model_that_was_saved(architecture, backbone, tmp_path):
    saved, path = fresh(architecture, backbone), tmp_path / "c.safetensors"
    save_checkpoint(path, saved, {"seed": 0})
    loaded = load_checkpoint(path, {"seed": 0})
    assert (loaded.architecture, loaded.resolution) == (architecture, 16)
    assert loaded.settings == saved.settings and loaded.facts == saved.facts
    assert loaded.states.keys() == saved.states.keys()
    for part in saved.states:
        parts = backbone_of(architecture, backbone) if part == "discriminator" else {}
        module = loaded.build(part, **parts)
        for name, value in module.state_dict().items():
            assert torch.equal(value, saved.states[part][name]), (part, name)
    # "average" is sampled, not "generator", and nothing but z decides the image.
    generator = load_generator(path, spec={"seed": 0})
    assert not generator.training and not any(p.requires_grad for p in generator.parameters())
    z = normal(0, "z", range(3), generator.latent_shape)
    images = generator(z)
    assert images.shape == (3, 3, 16, 16) and torch.equal(images, generator(z))
    torch.testing.assert_close(generator(z[1:2]), images[1:2], atol=1e-5, rtol=1e-4)
    average = loaded.build("average").eval()
    assert torch.equal(average(z), images)


def test_a_checkpoint_of_another_spec_is_refused_in_one_line(backbone, tmp_path):
    save_checkpoint(tmp_path / "c", fresh("stylegan2", backbone), {"seed": 0, "data": "a"})
    with pytest.raises(ArtifactError, match="differs in seed") as error:
        load_generator(tmp_path / "c", spec={"seed": 1, "data": "a"})
    assert "\n" not in str(error.value)


def test_other_files_are_no_checkpoints(tmp_path):
    save_tensors(tmp_path / "t", {"x": torch.zeros(1)}, {})
    with pytest.raises(ArtifactError, match="no checkpoint of this project"):
        load_checkpoint(tmp_path / "t")
    with pytest.raises(ArtifactError, match="does not exist"):
        load_checkpoint(tmp_path / "absent")


def test_a_part_that_is_not_there_is_named(backbone):
    with pytest.raises(ArtifactError, match="diffusion checkpoint has no discriminator"):
        fresh("diffusion", backbone).build("discriminator")


def test_settings_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="ngff") as error:
        build_generator("projectedgan", 16, {"ngff": 4})
    assert "\n" not in str(error.value)
    with pytest.raises(
        ValueError,
        match="unknown name 'vae' in generators: choose one of biggan, class_diffusion, convgan, ",
    ):
        build_generator("vae", 16, {})
    with pytest.raises(ValueError, match="no discriminator"):
        build_discriminator("diffusion", 16, {})


# ------------------------------------------------------------------------------- training


@pytest.fixture(scope="module")
def data(backbone):
    """40 images, and a density that is fitted on them."""
    draw = numpy_generator(0, "checkpoint tests")
    levels, noise = draw.integers(0, 200, (40, 3, 1, 1)), draw.integers(0, 56, (40, 3, 16, 16))
    images = (levels + noise).astype(np.uint8)
    return images, PseudoDensity.fit(extract(backbone, images), k=3, epochs=2)


def pretraining_spec(architecture: str) -> dict:
    return {
        "architecture": architecture,
        "resolution": 16,
        **SETTINGS[architecture],
        "recipe": RECIPES[architecture],
        "iterations": 3,
        "mirror": True,
        "seed": 0,
    }


def tuning_spec(architecture: str, tau, w, fake_weight="none") -> dict:
    spec = pretraining_spec(architecture) | {"parent": "abc", "iterations": 2}
    del spec["generator"], spec["discriminator"]
    return spec | {"importance": {"tau": tau, "w": w, "fake_weight": fake_weight}}


def quiet() -> Progress:
    return Progress("x", 12, every=1e9)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory, data, backbone):
    """Path of a pre-trained checkpoint of an architecture, trained once."""
    folder, done = tmp_path_factory.mktemp("pretrained"), {}

    def path_of(architecture: str) -> Path:
        if architecture not in done:
            done[architecture] = folder / f"{architecture}.safetensors"
            pretrain(
                pretraining_spec(architecture),
                data[0],
                done[architecture],
                folder / "work",
                quiet(),
                **backbone_of(architecture, backbone),
                **labels_of(architecture),
            )
        return done[architecture]

    return path_of


@pytest.mark.parametrize("architecture", RECIPES)
def test_pretraining_writes_a_checkpoint_and_clears_its_work(architecture, pretrained):
    path = pretrained(architecture)
    assert sorted(p.suffix for p in path.parent.iterdir()) == [".safetensors"] * len(
        list(path.parent.iterdir())
    )
    file = load_checkpoint(path, pretraining_spec(architecture))
    assert file.settings == SETTINGS[architecture]
    assert any(
        not torch.equal(file.states["average"][name], value)
        for name, value in file.states["generator"].items()
    )
    generator = load_generator(path)
    assert generator(normal(0, "z", range(2), generator.latent_shape)).isfinite().all()


def test_pretraining_is_repeatable(pretrained, data, tmp_path):
    first = load_checkpoint(pretrained("stylegan2"))
    torch.manual_seed(123)
    pretrain(pretraining_spec("stylegan2"), data[0], tmp_path / "c", tmp_path / "work", quiet())
    second = load_checkpoint(tmp_path / "c")
    for part, state in first.states.items():
        for name, value in state.items():
            assert torch.equal(second.states[part][name], value), (part, name)


# tau, w, fake_weight, and the weight that the filter of fakes must then have.
CASES = [
    (None, 1.0, "none", None),
    (50, 33.0, "none", None),
    (50, 33.0, "reciprocal", 1 / 33),
    (20, 0.03, "reciprocal", 1 / 0.03),
    (50, 33.0, 0.33, 0.33),
]


@pytest.mark.parametrize(
    ("architecture", "tau", "w", "fake_weight", "weight_of_fakes"),
    # A diffusion model sees no fakes.
    [(a, *case) for a in RECIPES for case in (CASES[:2] if a == "diffusion" else CASES)],
)
def test_fine_tuning_weighs_both_sides(
    architecture,
    tau,
    w,
    fake_weight,
    weight_of_fakes,
    pretrained,
    data,
    backbone,
    tmp_path,
    monkeypatch,
):
    made = []
    original = finetuning.make_trainer

    def remember(*arguments, **options):
        made.append(original(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(finetuning, "make_trainer", remember)
    images, density = data
    spec, parent = tuning_spec(architecture, tau, w, fake_weight), pretrained(architecture)
    finetune(
        spec,
        parent,
        pretraining_spec(architecture),
        images,
        tmp_path / "c.safetensors",
        tmp_path / "work",
        quiet(),
        density=density if tau is not None else None,
        extractor=backbone if fake_weight != "none" else None,
        **backbone_of(architecture, backbone),
        **labels_of(architecture),
    )
    (trainer,) = made
    if tau is None:
        assert trainer.weights is None
    else:
        # tau is a percentile of the labels: half of the images, or a fifth, lies below.
        high = density.labels >= np.sort(density.labels)[int(tau / 100 * 40)]
        assert high.sum() == 40 - int(tau / 100 * 40)
        assert trainer.weights.tolist() == np.where(high, w, 1.0).tolist()
    # A fine-tuned average starts warm: no ramp.
    assert trainer.average.ramp_up is None
    file = load_checkpoint(tmp_path / "c.safetensors", spec)
    if architecture != "diffusion":
        if weight_of_fakes is None:
            assert trainer.accept is None and file.facts == {}
        else:
            assert trainer.accept.weight == pytest.approx(weight_of_fakes)
            assert trainer.accept.tau == density.threshold(tau)
            assert 0 < file.facts["acceptance"] <= 1
    assert file.settings == SETTINGS[architecture]
    origin = load_checkpoint(parent)
    for part in origin.states:
        moved = [
            name
            for name, value in origin.states[part].items()
            if not torch.equal(value, file.states[part][name])
        ]
        assert moved, f"{part} did not train"
        # Random projections and the backbone are loaded and frozen, never drawn again.
        assert not any(name.startswith("feature_network") for name in moved)
    assert not (tmp_path / "work").exists()


def test_fine_tuning_starts_from_its_parent(pretrained, data, tmp_path):
    """With learning rates of nearly nothing the weights stay where they were, all three sets."""
    spec = tuning_spec("stylegan2", None, 1.0)
    spec["recipe"] = spec["recipe"] | {"lr_generator": 1e-12, "lr_discriminator": 1e-12}
    parent = pretrained("stylegan2")
    arguments = (parent, pretraining_spec("stylegan2"), data[0], tmp_path / "c", tmp_path / "w")
    finetune(spec, *arguments, quiet())
    before, after = load_checkpoint(parent), load_checkpoint(tmp_path / "c")
    for part in ("generator", "discriminator"):
        names = dict(before.build(part).named_parameters())
        for name in names:
            torch.testing.assert_close(after.states[part][name], before.states[part][name])
    # The average moves towards the generator from where it was: two steps of four images.
    decay = 0.5 ** (8 / 50)
    for name in dict(before.build("average").named_parameters()):
        expected = torch.lerp(
            before.states["generator"][name], before.states["average"][name], decay
        )
        torch.testing.assert_close(after.states["average"][name], expected)


def test_a_parent_of_another_spec_is_refused(pretrained, data, tmp_path):
    wrong = pretraining_spec("stylegan2") | {"seed": 1}
    with pytest.raises(ArtifactError, match="differs in seed") as error:
        finetune(
            tuning_spec("stylegan2", None, 1.0),
            pretrained("stylegan2"),
            wrong,
            data[0],
            tmp_path / "c",
            tmp_path / "work",
            quiet(),
        )
    assert "\n" not in str(error.value) and not (tmp_path / "c").exists()


def test_a_death_between_training_and_writing_loses_nothing(data, tmp_path, monkeypatch):
    spec = pretraining_spec("stylegan2")
    arguments = (spec, data[0], tmp_path / "c", tmp_path / "work", quiet())

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(finishing, "save_checkpoint", die)
        with pytest.raises(KeyboardInterrupt):
            pretrain(*arguments)
    steps = []
    monkeypatch.setattr(gan.GanTrainer, "step", lambda self, i: steps.append(i))
    pretrain(*arguments)
    assert steps == [] and load_checkpoint(tmp_path / "c", spec)


def test_two_processes_that_train_the_same_model_train_it_once(data, tmp_path, monkeypatch):
    """As after a kill that left an orphan at work: the one that waits takes what it finds."""
    spec, trained, real = pretraining_spec("stylegan2"), [], gan.GanTrainer.step

    def step(self, iteration):
        trained.append(iteration)
        time.sleep(0.2)
        return real(self, iteration)

    monkeypatch.setattr(gan.GanTrainer, "step", step)
    arguments = (spec, data[0], tmp_path / "c", tmp_path / "work", quiet())
    racers = [threading.Thread(target=pretrain, args=arguments) for _ in range(3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert trained == [0, 1, 2] and load_checkpoint(tmp_path / "c", spec)
    assert not (tmp_path / "work").exists()


# ------------------------------------------------------------- half-finished trainings and code


class Killed(BaseException):
    """As a kill: nothing in the package catches it."""


@pytest.fixture
def steps(monkeypatch):
    """Steps of GANs that were begun. Two runs die before their third step: the state of two is kept."""
    begun, real, save = [], gan.GanTrainer.step, finishing.run

    def step(self, iteration):
        begun.append(iteration)
        if iteration == 2 and begun.count(2) == 1:
            raise Killed
        return real(self, iteration)

    monkeypatch.setattr(gan.GanTrainer, "step", step)
    eager = lambda *arguments: save(*arguments, save_seconds=0.0)
    monkeypatch.setattr(finishing, "run", eager)
    return begun


def bytes_of(run, tmp_path, name: str, *codes: str) -> dict:
    """What a training leaves that was killed under all codes but the last: each tensor in bytes.

    The header of a file holds the same in any order, so whole files are not compared.
    """
    path, work = tmp_path / name, tmp_path / f"{name}-work"
    for code in codes[:-1]:
        with pytest.raises(Killed):
            run(path, work, code)
    run(path, work, codes[-1])
    assert not work.exists()
    file = load_checkpoint(path)
    names = [(part, name) for part, state in file.states.items() for name in state]
    found = {(p, n): file.states[p][n].numpy().tobytes() for p, n in names}
    return found | {"facts": file.facts, "settings": file.settings}


def kinds(data, pretrained) -> dict:
    """Pre-training and fine-tuning of three steps: (path, folder of the work, code) -> None."""
    spec = pretraining_spec("stylegan2")
    tuning = tuning_spec("stylegan2", 50, 4.0) | {"iterations": 3}
    tuning["importance"] = tuning["importance"] | {"fake_weight": "none"}
    parent = pretrained("stylegan2")

    def from_scratch(path, work, code):
        pretrain(spec, data[0], path, work, quiet(), code=code)

    def from_parent(path, work, code):
        arguments = (tuning, parent, spec, data[0], path, work, quiet())
        finetune(*arguments, code=code, density=data[1])

    return {"pretrain": from_scratch, "finetune": from_parent}


@pytest.mark.parametrize("kind", ["pretrain", "finetune"])
def test_a_killed_training_goes_on_under_the_same_code_byte_for_byte(
    kind, data, pretrained, steps, tmp_path
):
    run = kinds(data, pretrained)[kind]
    steps[:] = [2]  # no death
    whole = bytes_of(run, tmp_path, "whole", "a")
    steps.clear()
    resumed = bytes_of(run, tmp_path, "resumed", "a", "a")
    assert steps == [0, 1, 2, 2] and resumed == whole


@pytest.mark.parametrize("kind", ["pretrain", "finetune"])
def test_a_killed_training_of_other_code_starts_again(kind, data, pretrained, steps, tmp_path):
    """It would ship a checkpoint of which no code makes the like."""
    run = kinds(data, pretrained)[kind]
    steps[:] = [2]
    whole = bytes_of(run, tmp_path, "whole", "b")
    steps.clear()
    again = bytes_of(run, tmp_path, "again", "a", "b")
    assert steps == [0, 1, 2, 0, 1, 2] and again == whole
