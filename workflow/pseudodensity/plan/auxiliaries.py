"""What auxiliary networks of checkpoints are made from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

from pseudodensity.plan.accumulation import check_accumulate
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.data import Data
from pseudodensity.plan.declared import declared, modules_declaring, telling
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.methods import check_settings
from pseudodensity.plan.models import Models, generator_modules

__all__ = ["Auxiliaries", "auxiliaries", "auxiliary_module"]


@cache
def auxiliaries() -> dict[str, str]:
    """Name of an auxiliary network -> its module."""
    return modules_declaring("control.auxiliary", "NAME")


def auxiliary_module(name: str) -> str:
    """Dotted module of an auxiliary network. ConfigError: there is none of that name."""
    if name not in auxiliaries():
        raise ConfigError(
            f"config: auxiliaries.{name} is no auxiliary network; known: {', '.join(auxiliaries())}"
        )
    return auxiliaries()[name]


class Auxiliaries:
    """Auxiliary networks of a config. ConfigError: unknown names, or settings that none has."""

    def __init__(self, config: Mapping[str, Any], data: Data, models: Models):
        self.config, self.data, self.models = config, data, models
        places = {"auxiliaries": config["auxiliaries"]}
        for model, settings in config["models"].items():
            places[f"models.{model}.auxiliaries"] = settings.get("auxiliaries", {})
        for place, given in places.items():
            for name, own in given.items():
                check_settings(f"{place}.{name}", auxiliary_module(name), own)
                check_accumulate(f"{place}.{name}.accumulate", self._merged(name, own))
        self.of = cache(self._of)

    def settings(self, name: str, model: str) -> dict[str, Any]:
        """Settings of a network for a model: its defaults, what the config says, what the model says."""
        own = self.config["models"][model].get("auxiliaries", {}).get(name, {})
        return telling(self._merged(name, own), auxiliary_module(name))

    def _merged(self, name: str, own: Mapping[str, Any]) -> dict[str, Any]:
        """Those of a network that says `own` settings itself."""
        common = self.config["auxiliaries"].get(name, {})
        return {**declared(auxiliary_module(name), "DEFAULTS"), **common, **own}

    def _of(self, name: str, checkpoint: Artifact) -> Artifact:
        """The network of a checkpoint. ConfigError: its generator cannot have one."""
        module, facts = auxiliary_module(name), checkpoint.facts
        described = self.models.declaration(facts["model"])
        reason = import_module(f"pseudodensity.{module}").why_not(described)
        if reason:
            raise ConfigError(f"config: {name} is asked of {facts['model']}, but it {reason}")
        needs: dict[str, Artifact] = {"checkpoint": checkpoint}
        modules = [module, *generator_modules(facts["architecture"], discriminator=True)]
        inputs = declared(module, "INPUTS")
        if "data" in inputs:
            needs["data"] = self.data.dataset(facts["dataset"])
        if "backbone" in inputs:
            needs |= self.models.backbone(facts["model"])
            modules += self.models.backbone_modules(facts["model"])
        spec = {
            "network": name,
            "settings": self.settings(name, facts["model"]),
            "seed": facts["seed"],
            "mirror": self.config["datasets"][facts["dataset"]]["mirror"],
        }
        slug = f"{name}-of-{checkpoint.slug}".replace("_", "-")
        return Artifact("auxiliary", slug, spec, needs, modules=tuple(modules), facts=facts)
