"""Whether the networks of a config can be built: on the meta device, so without memory and in seconds.

The plan imports no torch, so this runs beside it, once per config: ``python -m`` with the config as JSON
on the standard input. What is wrong is one line on the standard output.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from pseudodensity.artifacts import one_line
from pseudodensity.features.build import TRAINED_HERE, build_extractor
from pseudodensity.generators.build import build_discriminator, build_generator
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.models import declaration

__all__ = ["check_device", "check_networks"]

Config = Mapping[str, Any]

# What builders and torch raise where sizes or kinds do not fit.
WRONG = (ValueError, TypeError, RuntimeError, LookupError, ArithmeticError, AttributeError)


def check_networks(config: Config) -> None:
    """Build every extractor, generator and discriminator that a config trains, and show each a batch.

    Shapes of public files come with them, so models that are only imported are left out. Of models
    that call their network many times per image only the network is built.

    ConfigError: one that its settings cannot give, with its place in the config.
    """
    with torch.device("meta"), torch.no_grad():
        extractors = {
            name: _extractor(f"extractors.{name}", settings)
            for name, settings in config["extractors"].items()
            if settings["kind"] in TRAINED_HERE
        }
        for name, model in config["models"].items():
            backbone, built = extractors.get(model.get("backbone")), set()
            for dataset, source in model["pretraining"].items():
                if "iterations" not in source:
                    continue
                resolution = config["datasets"][dataset]["resolution"]
                recipe = {**model["recipe"], **source.get("recipe", {})}
                batch = recipe["batch_size"]
                if (resolution, batch) not in built:
                    place = f"for {dataset} ({resolution} px, batches of {batch})"
                    _generator(f"models.{name}.generator {place}", model, resolution, batch)
                    if "discriminator" in model:
                        place = f"models.{name}.discriminator {place}"
                        _discriminator(place, model, resolution, batch, backbone)
                built.add((resolution, batch))


def check_device(device: str) -> None:
    """ConfigError: torch sees no such GPU here. device: ``cpu``, ``cuda`` or ``cuda:<number>``."""
    count = torch.cuda.device_count()
    number = int(device.partition(":")[2] or 0)
    if device != "cpu" and number >= count:
        seen = f"{count} GPU{'s' * (count != 1)}" if count else "no GPU"
        able = ", ".join(["cpu", *(f"cuda:{i}" for i in range(count))])
        raise ConfigError(
            f"config: runtime.device is {device!r}, but torch sees {seen} on this machine: write one "
            f"of {able}, or install the driver and the packages of envs/gpu.txt"
        )


def _extractor(place: str, settings: Config) -> nn.Module:
    own = {key: value for key, value in settings.items() if key not in ("trained_on", "training")}
    with _said(place):
        extractor = build_extractor(own)
        extractor(torch.zeros(2, 3, extractor.size, extractor.size))
    return extractor


def _generator(place: str, model: Config, resolution: int, batch: int) -> None:
    architecture = model["architecture"]
    with _said(place):
        generator = build_generator(architecture, resolution, model["generator"])
        _check_widths(generator)
        if declaration(architecture)["calls_per_image"] == "one":
            images = generator.train()(torch.zeros(batch, *generator.latent_shape))
            if images.shape[1:] != (3, resolution, resolution):
                made = " x ".join(map(str, images.shape[2:]))
                raise ValueError(f"it makes images of {made} px")


def _discriminator(
    place: str, model: Config, resolution: int, batch: int, backbone: nn.Module | None
) -> None:
    with _said(place):
        discriminator = build_discriminator(
            model["architecture"], resolution, model["discriminator"], backbone
        )
        _check_widths(discriminator)
        shown = [torch.zeros(batch, 3, resolution, resolution)]
        if declaration(model["architecture"])["classes"]:
            shown.append(torch.zeros(batch, dtype=torch.int64))
        discriminator.train()(*shown)


def _check_widths(network: nn.Module) -> None:
    for name, weights in network.named_parameters():
        if not weights.numel():
            raise ValueError(f"{name} has the shape {tuple(weights.shape)}: a width is 0")


@contextmanager
def _said(place: str) -> Iterator[None]:
    """Whatever is raised in here as one line with its place."""
    try:
        yield
    except WRONG as error:
        raise ConfigError(
            f"config: {place} cannot be built: {one_line(error)[:250]}; correct its settings"
        ) from None


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    try:
        check_device(asked["device"])
        if asked["networks"]:
            check_networks(asked["networks"])
    except ConfigError as error:
        print(error)
