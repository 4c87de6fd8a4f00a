"""What every auxiliary network keeps to. A file of control/auxiliary/ that declares NAME is found here."""

import copy
import json
from functools import cache
from importlib import import_module

import numpy as np
import pytest
import torch
from auxiliary_example import networks_for, trained_auxiliaries, workshop_of
from guided_example import MODEL

from pseudodensity.artifacts import ArtifactError
from pseudodensity.control.auxiliary.file import load_auxiliary, train_auxiliary
from pseudodensity.generators.build import build_discriminator, build_generator
from pseudodensity.generators.checkpoint import CheckpointFile
from pseudodensity.images.dataset import ImageSet
from pseudodensity.images.labels import Labels
from pseudodensity.plan.auxiliaries import auxiliaries
from pseudodensity.plan.declared import declared, declares, modules_declaring
from pseudodensity.progress import Progress
from pseudodensity.rng import numpy_generator

torch.set_num_threads(1)

GENERATORS = [
    declared(m, "DECLARATION") for m in modules_declaring("generators", "DECLARATION").values()
]
SIZES = {"channel_base": 64, "channel_max": 8}
STYLEGAN = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2} | SIZES

DIFFUSION = MODEL | {"prediction": "epsilon", "sampling_steps": 2}

every_network = pytest.mark.parametrize("name", auxiliaries())


@cache
def a_gan() -> CheckpointFile:
    torch.manual_seed(0)
    states = {"average": build_generator("stylegan2", 16, STYLEGAN).state_dict()}
    states["discriminator"] = build_discriminator("stylegan2", 16, SIZES).state_dict()
    settings = {"generator": STYLEGAN, "discriminator": SIZES}
    return CheckpointFile("stylegan2", 16, settings, states, {})


@cache
def a_diffusion_model() -> CheckpointFile:
    torch.manual_seed(0)
    states = {"average": build_generator("class_diffusion", 16, DIFFUSION).state_dict()}
    return CheckpointFile("class_diffusion", 16, {"generator": DIFFUSION}, states, {})


def checkpoint(name: str) -> CheckpointFile:
    """One that can have the network of a name."""
    return next(made for made in (a_gan(), a_diffusion_model()) if name in networks_for(made))


@cache
def data() -> ImageSet:
    images = numpy_generator(0, "real").integers(0, 256, (60, 3, 16, 16), dtype=np.uint8)
    numbers = np.arange(60)[:, None] % 3
    labels = Labels(numbers, ["class"], [3], np.zeros(60), np.zeros((60, 0), np.float32))
    return ImageSet(images, labels, [], {"spec": {"kind": "folder"}})


def test_networks_are_found():
    assert "ratio" in auxiliaries()


@every_network
def test_a_network_says_what_it_is(name):
    module = auxiliaries()[name]
    assert declared(module, "NAME") == name and name.isidentifier()
    assert declared(module, "TITLE") and declared(module, "SOURCE")
    assert set(declared(module, "INPUTS")) <= {"data", "backbone"}
    defaults = declared(module, "DEFAULTS")
    assert defaults["iterations"] >= 1 and defaults["batch_size"] >= 1
    assert json.loads(json.dumps(defaults)) == defaults
    words = {key: value for key, value in defaults.items() if isinstance(value, str)}
    choices = declared(module, "CHOICES") if declares(module, "CHOICES") else {}
    assert set(choices) == set(words) and all(words[key] in choices[key] for key in words)
    for key, (low, high) in declared(module, "LIMITS").items():
        assert low <= defaults[key] <= high
    why_not = import_module(f"pseudodensity.{module}").why_not
    reasons = [why_not(says) for says in GENERATORS]
    assert None in reasons and all(r is None or r and "\n" not in r for r in reasons)


@every_network
def test_a_training_repeats_itself_and_resumes_to_the_same_file(name, tmp_path):
    def train(path, work):
        train_auxiliary(
            name,
            workshop_of(name, checkpoint(name), data()),
            tmp_path / path,
            tmp_path / work,
            Progress(name, 10, every=1e9),
            stamp={"network": name},
        )

    train("one", "w1")
    train("two", "w2")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    # Killed after two steps: the partial state is that of a shorter run.
    module = import_module(f"pseudodensity.{auxiliaries()[name]}")
    trainer = module.trainer(workshop_of(name, checkpoint(name), data()))
    for iteration in range(2):
        trainer.step(iteration)
    state = copy.deepcopy(trainer.state())  # a file holds no reference
    other = module.trainer(workshop_of(name, checkpoint(name), data()))
    other.load_state(state)
    trainer.step(2), other.step(2)
    kept = [made.weights_to_keep() for made in (trainer, other)]
    for part, tensors in kept[0].items():
        for key, value in tensors.items():
            assert torch.equal(value, kept[1][part][key]), (part, key)


@every_network
def test_a_file_is_read_without_data_and_a_damaged_one_is_refused(name, tmp_path):
    path = trained_auxiliaries(checkpoint(name), data(), tmp_path)[name]
    found = load_auxiliary(path, workshop_of(name, checkpoint(name), None))
    assert found is not None
    damaged = bytearray(path.read_bytes())
    damaged[-3] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ArtifactError):
        load_auxiliary(path, workshop_of(name, checkpoint(name), None))
