"""Discriminator optimal transport as a method at inference; the maths is in `transport`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pseudodensity.control.choice import (
    Maker,
    Point,
    Tools,
    all_proposals,
    needs_discriminator,
    no_column_settings,
    one_each,
)

if TYPE_CHECKING:
    from torch import Tensor


NAME = "dot"
TITLE = "DOT"
PAPER = "000"
SOURCE = "figure 6; Tanaka 2019, algorithm 2"
NEEDS = ()
POOL = "own"
INPUTS = ("checkpoint", "data", "backbone")
# steps, step_size: of its paper for images. pairs: latents that the Lipschitz constant is estimated from.
DEFAULTS = {"steps": 10, "step_size": 0.05, "pairs": 200}
VARIANTS = {"paper": "setting of the paper", "per_sample": "per sample, constant estimated"}
GRID = {"variants": ["paper", "per_sample"]}
LIMITS = {"steps": (1, 10_000), "step_size": (1e-9, 1e3), "pairs": (2, 1_000_000)}
# Of the main paper's released code: the constant for every model, and the batch, on which its results depend.
PAPER_LIPSCHITZ, PAPER_BATCH = 0.086, 4

choose = all_proposals
proposals = one_each
column_settings = no_column_settings
why_not = needs_discriminator


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """One point per variant."""
    return [{"method": NAME, "variant": variant, **settings} for variant in grid["variants"]]


def label(point: Point) -> str:
    """With the variant and, where they are ours to choose, the steps."""
    steps = "" if point["variant"] == "paper" else f", {point['steps']} steps"
    return f"DOT, {VARIANTS[point['variant']]}{steps}"


def maker(context: Tools) -> Maker:
    """Images of transported latents. facts: the constant that was used, in a note."""
    import torch

    from pseudodensity.control.move.transport import (
        fitting_prior,
        lipschitz_estimate,
        paper_transport_latents,
        transport_latents,
    )
    from pseudodensity.generators.critic import critic_of
    from pseudodensity.rng import generator as stream_of

    settings, generator = context.settings, context.generator
    critic = critic_of(context.discriminator, context.data, 0, context.device)
    calls = 1 + settings["steps"]
    if settings["variant"] == "paper":

        def make(latents: Tensor) -> Tensor:
            moved = [
                paper_transport_latents(generator, critic.raw, batch)
                for batch in latents.split(PAPER_BATCH)
            ]
            return generator(torch.cat(moved))

        return Maker(make, calls, {"note": f"constant {PAPER_LIPSCHITZ:.3g}"}, PAPER_BATCH)
    points = context.latents(range(settings["pairs"]))
    stream = stream_of(context.seed, "lipschitz")
    constant = lipschitz_estimate(lambda z: critic(generator(z)), points, stream)

    def make(latents: Tensor) -> Tensor:
        moved = transport_latents(
            generator,
            critic,
            latents,
            lipschitz=constant,
            steps=settings["steps"],
            step_size=settings["step_size"],
            prior=fitting_prior(points),
        )
        return generator(moved)

    return Maker(make, calls, {"note": f"constant {constant:.3g}"})
