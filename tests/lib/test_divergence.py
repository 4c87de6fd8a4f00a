"""A training that is no longer finite stops, says where, and leaves its last good state."""

import numpy as np
import pytest
import torch

from pseudodensity.control.train.fakes import FakeFilter
from pseudodensity.control.train.finishing import finish, make_trainer
from pseudodensity.control.train.loop import run
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import build_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.features.training import TrainingSet, train_extractor
from pseudodensity.generators.build import build_discriminator, build_generator
from pseudodensity.progress import Progress
from pseudodensity.tensors import NonFiniteError, load_tensors, non_finite, refuse_non_finite

torch.set_num_threads(1)

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 3, 8, 8), dtype=np.uint8)
AVERAGE = {"batch_size": 4, "ema_half_life": 50, "ema_ramp_up": None, "decay_fraction": 0}
GAN = {"loss": "nonsaturating", "lr_generator": 1e-3, "lr_discriminator": 1e-3, "augment": []}
GAN |= {"r1_gamma": 1, "r1_interval": 2, "path_length_weight": 2}
STYLEGAN2 = {"z_dim": 4, "w_dim": 4, "mapping_layers": 2, "channel_base": 64, "channel_max": 8}
UNET = {"network": "small", "flavour": "iddpm", "channels": [8, 8], "blocks": 1}
UNET |= {"attention_levels": [], "head_channels": None, "norm_groups": 4, "dropout": 0.0}
UNET |= {"patch": 1, "schedule": "cosine", "prediction": "v_prediction", "rescale_vb": False}
UNET |= {"training_steps": 100, "sampling_steps": 5}
VQGPT = {"patch": 2, "channels": [8, 8], "blocks": 1, "attention_levels": [], "norm_groups": 4}
VQGPT |= {"codes": 8, "code_width": 4, "layers": 1, "width": 16, "heads": 2, "dropout": 0.0}
CODES = {"tokeniser_lr": 1e-3, "lr": 1e-3, "warmup_iterations": 1}
STEPS, POISONED = 8, 5


def fake_filter() -> FakeFilter:
    spec = {"kind": "small_cnn", "size": 8, "widths": [4, 8], "blocks": 1}
    extractor = build_extractor(spec)
    density = PseudoDensity.fit(extract(extractor, IMAGES), 3, epochs=1)
    return FakeFilter(extractor, density, tau=-1e9, weight=1.0)


def trainer_of(kind: str):
    """A trainer, and the module of it that will be poisoned."""
    torch.manual_seed(0)
    architecture, settings, recipe = {
        "diffusion": ("diffusion", UNET, {"lr": 1e-3, "warmup_iterations": 1}),
        "tokeniser": ("vqgpt", VQGPT, CODES | {"tokeniser_iterations": STEPS - 1}),
        "gpt": ("vqgpt", VQGPT, CODES | {"tokeniser_iterations": 1}),
    }.get(kind, ("stylegan2", STYLEGAN2, GAN))
    spec = {"architecture": architecture, "resolution": 8, "recipe": AVERAGE | recipe}
    spec |= {"iterations": STEPS, "mirror": False, "seed": 0}
    generator, options = build_generator(architecture, 8, settings), {}
    discriminator = None
    if architecture == "stylegan2":
        networks = {"channel_base": 64, "channel_max": 8}
        discriminator = build_discriminator(architecture, 8, networks)
    if kind == "filtered gan":
        average = build_generator(architecture, 8, settings)
        options = {"accept": fake_filter(), "average": average}
    trainer = make_trainer(spec, IMAGES, generator, discriminator, device="cpu", **options)
    parts = {"discriminator": discriminator}
    if architecture == "vqgpt":
        parts = {"tokeniser": generator.tokeniser, "gpt": generator.gpt}
    return spec, trainer, parts.get(kind) or generator


def poison(trainer, module, monkeypatch, after: int) -> None:
    """NaN in one weight once some steps are done."""
    step = trainer.step

    def poisoned(iteration):
        numbers = step(iteration)
        if iteration + 1 == after:
            with torch.no_grad():
                list(module.parameters())[-1].view(-1)[0] = torch.nan
        return numbers

    monkeypatch.setattr(trainer, "step", poisoned)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("diffusion", "loss is nan"),
        ("tokeniser", "error is nan"),
        ("gpt", "nats_per_code is nan"),
        ("gan", "loss D is nan, loss G is nan"),
        ("discriminator", "loss D is nan, loss G is nan"),
        ("filtered gan", "images hold NaN or infinity"),
    ],
)
def test_each_trainer_stops_and_keeps_its_last_good_state(kind, said, tmp_path, monkeypatch):
    _, trainer, module = trainer_of(kind)
    run(trainer, 3, tmp_path, {}, Progress("it", 1), save_seconds=1e9)
    good = (tmp_path / "state.safetensors").read_bytes()
    poison(trainer, module, monkeypatch, POISONED)
    with pytest.raises(FloatingPointError) as error:
        run(trainer, STEPS, tmp_path, {}, Progress("it", 1), save_seconds=1e9)
    message = str(error.value)
    assert f"it diverged at step {POISONED} (" in message and said in message
    assert "lower its learning rate" in message and "\n" not in message
    assert f"after 3 steps is kept in {tmp_path / 'state.safetensors'}" in message
    assert (tmp_path / "state.safetensors").read_bytes() == good
    assert not non_finite(load_tensors(tmp_path / "state.safetensors")[0])


@pytest.mark.parametrize("kind", ["diffusion", "gan", "gpt"])
def test_a_state_that_is_not_finite_does_not_replace_a_good_one(kind, tmp_path, monkeypatch):
    _, trainer, module = trainer_of(kind)
    poison(trainer, module, monkeypatch, POISONED)
    with pytest.raises(FloatingPointError, match=f"at step {POISONED - 1} .*first .*after 4 steps"):
        run(trainer, STEPS, tmp_path, {}, Progress("it", 1), save_seconds=0)
    assert load_tensors(tmp_path / "state.safetensors")[1] == {"iteration": POISONED - 1}


def test_weights_that_diverge_in_the_last_step_are_no_checkpoint(tmp_path, monkeypatch):
    spec, trainer, module = trainer_of("diffusion")
    poison(trainer, module, monkeypatch, STEPS)
    place = tmp_path / "c.safetensors"
    with pytest.raises(FloatingPointError, match=f"at step {STEPS - 1}"):
        finish(spec, spec, "", {}, trainer, place, tmp_path / "work", Progress("it", 1))
    assert not place.exists()


def test_averages_that_are_not_finite_are_no_checkpoint(tmp_path, monkeypatch):
    spec, trainer, _ = trainer_of("diffusion")
    bad = {"average": {"x": torch.tensor([1.0, torch.inf])}}
    monkeypatch.setattr(trainer, "weights_to_keep", lambda: bad)
    place = tmp_path / "c.safetensors"
    with pytest.raises(NonFiniteError, match="the average of it holds NaN or infinity in 1 of 1"):
        finish(spec, spec, "", {}, trainer, place, tmp_path / "work", Progress("it", 1))
    assert not place.exists() and (tmp_path / "work" / "state.safetensors").exists()


def test_the_density_network_stops():
    features = np.random.default_rng(0).standard_normal((200, 4)).astype(np.float32)
    PseudoDensity.fit(features * np.float32(1e15), 3, epochs=1)
    with pytest.raises(FloatingPointError, match="diverged in epoch 1 .*scale the features down"):
        # The overall variance is beyond float32, or the mean is.
        PseudoDensity.fit(features * np.float32(3e37) + np.float32(2e38), 3, epochs=1)


def test_the_training_of_an_extractor_stops():
    spec = {"kind": "small_cnn", "size": 8, "widths": [4, 8], "blocks": 1}
    sets = [TrainingSet(name, IMAGES, None) for name in "ab"]
    with pytest.raises(FloatingPointError, match="the extractor diverged in epoch .*learning_rate"):
        train_extractor(spec, sets, 0, epochs=9, learning_rate=1e36, batch_size=4)


def test_tensors_that_are_not_finite_are_counted_and_named():
    fine = {"big": torch.full((9,), 3e38), "half": torch.full((9,), 6e4).half()}
    fine |= {"whole": torch.tensor([2**62] * 4), "none": torch.zeros(0)}
    refuse_non_finite(fine, "file")
    bad = fine | {"a": torch.tensor([1.0, -torch.inf]), "b": torch.tensor(torch.nan).bfloat16()}
    assert non_finite(bad) == ["a", "b"]
    with pytest.raises(
        NonFiniteError, match="^file holds NaN or infinity in 2 of 6 .*first a"
    ) as e:
        refuse_non_finite(bad, "file")
    assert "\n" not in str(e.value)
