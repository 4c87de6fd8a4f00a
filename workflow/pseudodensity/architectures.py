"""The architectures by name, and the modules that are imported when one is asked for.

A job that trains StyleGAN2 loads no diffusers, and an edit of one architecture reruns no other.
Light: never imports torch, because the rules read it too.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ARCHITECTURES", "Architecture", "architecture"]


class Architecture(NamedTuple):
    """Modules inside the package; None where a model has no such part."""

    generator: str
    discriminator: str | None
    trainer: str | None

    @property
    def modules(self) -> list[str]:
        """All of them."""
        return [module for module in self if module]


ARCHITECTURES = {
    "stylegan2": Architecture("generators.stylegan2", "generators.stylegan2", "control.train.gan"),
    "stylegan3": Architecture("generators.stylegan3", "generators.stylegan2", "control.train.gan"),
    "projectedgan": Architecture("generators.fastgan", "generators.projected", "control.train.gan"),
    "diffusion": Architecture("generators.diffusion", None, "control.train.diffusion"),
    "vqgpt": Architecture("generators.vqgpt", None, "control.train.autoregressive"),
    "external": Architecture("generators.external", None, None),
}


def architecture(name: str) -> Architecture:
    """The modules of an architecture; ValueError if there is none of that name."""
    if name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ValueError(f"unknown architecture {name!r}: choose one of {known}")
    return ARCHITECTURES[name]
