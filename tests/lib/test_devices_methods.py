"""Trainings, columns and methods on another device find what they find on the CPU; see `test_devices`."""

import copy
import dataclasses
from functools import cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from auxiliary_example import trained_auxiliaries, workshop_of
from guided_example import checkpoint_with_classes, labelled_images
from second_device import on_a_card_only
from test_auxiliary_contract import checkpoint
from test_auxiliary_contract import data as labelled
from test_column_contract import COLUMNS, compute, context_of, files  # noqa: F401
from test_devices import SAYS
from test_features import CNN, TINY
from test_method_contract import Bench, bench, own_points

from pseudodensity.control.auxiliary.file import load_auxiliary
from pseudodensity.control.choice import Made
from pseudodensity.control.train.finishing import make_trainer
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import build_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.generators.build import build_discriminator, build_generator
from pseudodensity.plan.auxiliaries import auxiliaries
from pseudodensity.plan.config import load_config
from pseudodensity.plan.data import Data
from pseudodensity.plan.methods import method, methods, points
from pseudodensity.plan.models import Models
from pseudodensity.rng import normal

torch.set_num_threads(1)

pytestmark = pytest.mark.filterwarnings(
    "ignore:the extractor has random weights", "ignore:.*no-op", "ignore:the density network of"
)
ROOT = Path(__file__).parents[2]


@cache
def smoke_models() -> Models:
    """The small models of the smoke scale: one or more of every architecture that can be trained."""
    config = load_config(ROOT / "config/config.yaml", [ROOT / "config/scales/smoke.yaml"], {})
    return Models(config, Data(config))


TRAINABLE = [name for name, says in SAYS.items() if says["trainer"] is not None]
# Weights are rounded to 1e-7 of their size, which is 1e-4 of what one step changes, on top of the sums.
OF_CHANGES = 1e-2


# ------------------------------------------------------------------------ trainings


@pytest.fixture
def descent(monkeypatch):
    """Plain gradient descent in place of Adam, whose first steps are signs: of a gradient near 0 they would be
    the signs of its rounding."""
    for name in ("Adam", "AdamW"):
        monkeypatch.setattr(torch.optim, name, lambda rows, lr=1e-3, **_: torch.optim.SGD(rows, lr))


def steps_of(trainer, count: int = 2) -> dict:
    """The numbers that steps of a training tell, and how they change what it keeps; a step before the last
    it is saved and goes on."""
    before, found = copy.deepcopy(trainer.weights_to_keep()), {}
    for step in range(count):
        if step == count - 1:
            trainer.load_state(copy.deepcopy(trainer.state()))
        told = trainer.step(step)
        found |= {f"{name} of step {step}": value for name, value in told.items()}
    for part, state in trainer.weights_to_keep().items():
        moved = [
            (value - before[part][name]).flatten()
            for name, value in state.items()
            if value.is_floating_point() and "running" not in name
        ]
        found[f"change of {part}"] = torch.cat(moved)
    return found


def spec_of_training(name: str) -> dict:
    """Of the first model of the smoke scale that has this architecture."""
    models = smoke_models()
    model, dataset = next(
        pair for pair in models.pairs() if models.config["models"][pair[0]]["architecture"] == name
    )
    spec = copy.deepcopy(dict(models.pretrained(model, dataset, 0).spec))
    for part in ("generator", "discriminator"):
        if SAYS[name]["classes"] and spec[part] is not None:
            spec[part] |= {"classes": 3}
    return spec


def trainer_of(spec: dict, device: str):
    torch.manual_seed(0)
    network = build_generator(spec["architecture"], 16, spec["generator"])
    discriminator = None
    if spec["discriminator"] is not None:
        backbone = build_extractor(CNN) if "input_size" in spec["discriminator"] else None
        discriminator = build_discriminator(
            spec["architecture"], 16, spec["discriminator"], backbone
        )
    data = labelled()
    return make_trainer(
        spec, data.images, network, discriminator, labels=data.labels, device=device
    )


@pytest.mark.parametrize("name", TRAINABLE)
def test_steps_of_a_training(compared, name, descent):
    spec = spec_of_training(name)
    compared(lambda device: steps_of(trainer_of(spec, device)), OF_CHANGES)


@pytest.mark.parametrize("name", auxiliaries())
def test_steps_of_an_auxiliary_network(compared, name, descent):
    module = import_module(f"pseudodensity.{auxiliaries()[name]}")
    shop = workshop_of(name, checkpoint(name), labelled())

    def compute(device):
        there = dataclasses.replace(shop, device=device)
        trainer = module.trainer(there)
        found = steps_of(trainer)
        assert module.restore(trainer.weights_to_keep(), there) is not None
        return found

    compared(compute, OF_CHANGES)


@on_a_card_only
@pytest.mark.parametrize("name", TRAINABLE)
def test_steps_with_the_optimizer_of_the_training(compared, name):
    """Only that they are finite, and near: see `descent`."""
    spec = spec_of_training(name)

    def compute(device):
        return {key: v for key, v in steps_of(trainer_of(spec, device)).items() if "step 0" in key}

    compared(compute, 100 * OF_CHANGES)


# ------------------------------------------------------------------------ columns and methods


def column(compared, name, made):
    def computed(device):
        context = made(name)
        context.device = device
        column = compute(name, context)
        real = {} if column.real is None else {"real": column.real}
        return {"values": np.nan_to_num(column.values), **real}

    compared(computed)


@pytest.mark.parametrize("name", sorted(COLUMNS.keys() - {"singular_values"}))
def test_columns(compared, name, context_of):  # noqa: F811
    column(compared, name, context_of)


@on_a_card_only
def test_the_column_of_singular_values(compared, context_of):  # noqa: F811
    column(compared, "singular_values", context_of)


@pytest.mark.parametrize(("architecture", "point"), own_points())
def test_images_that_a_method_makes(compared, architecture, point):
    def compute(device):
        context = bench_on(device, point, architecture)
        made = context.maker.make(context.latents_of_images(range(4)))
        made = made if isinstance(made, Made) else Made(made, {})
        return {"images": made.images, **made.columns}

    compared(compute)


GUIDES = [name for name, module in methods().items() if module.split(".")[1] == "guide"]


@pytest.fixture(scope="module")
def guided(tmp_path_factory) -> dict[str, Path]:
    """The networks of guidance, each trained for a few steps."""
    folder = tmp_path_factory.mktemp("guided")
    return trained_auxiliaries(checkpoint_with_classes(), labelled_images(), folder)


@pytest.mark.parametrize("name", GUIDES)
def test_images_of_a_guided_chain(compared, name, guided):
    model, steering = checkpoint_with_classes(), build_extractor(TINY)
    fitted = PseudoDensity.fit(extract(steering, labelled_images().images), k=3, epochs=1)
    shop = workshop_of("weaker_model", model, None)
    # The setting that pushes most; a classifier of few steps may know too little to push at all.
    point = points(name, {}, {}, SAYS["class_diffusion"])[-1]

    def compute(device):
        there, network = dataclasses.replace(shop, device=device), model.frozen_generator(device)
        tools = SimpleNamespace(
            generator=network,
            seed=3,
            device=device,
            settings=point,
            latents=lambda rows: normal(3, "latents", rows, network.latent_shape).to(device),
            auxiliary=lambda wanted: load_auxiliary(guided[wanted], there),
            steering=copy.deepcopy(steering).to(device),
            pseudo_density=copy.deepcopy(fitted).to(device),
        )
        return {"images": method(name).maker(tools).make(tools.latents(range(4)))}

    compared(compute)


# In place of thousands; as many steps show what fifty would.
FEW = {"fakes": 60, "pool": 60, "neighbours": 5, "samples": 4, "steps": 3}


def bench_on(device: str, point: dict, architecture: str) -> Bench:
    context = bench(point | {key: FEW[key] for key in point.keys() & FEW}, 4, architecture)
    context.device = device
    for name in ("generator", "search_extractor", "steering", "feature_density", "pseudo_density"):
        setattr(context, name, copy.deepcopy(getattr(context, name)).to(device))
    return context
