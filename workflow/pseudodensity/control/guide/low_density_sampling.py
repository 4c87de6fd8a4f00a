"""Low-density guidance as a method at inference: reverse steps that are pushed to where images are rare."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

from pseudodensity.control.choice import (
    Maker,
    Point,
    Tools,
    all_proposals,
    no_column_settings,
    one_each,
)
from pseudodensity.control.guide.suitable import needs_classes

if TYPE_CHECKING:
    from torch import Tensor

    from pseudodensity.control.guide.interval import Interval
    from pseudodensity.control.guide.low_density import LowDensityGuide

__all__ = [
    "FEW_PUSHES",
    "NO_PUSH",
    "choose",
    "column_settings",
    "interval_of",
    "label",
    "maker",
    "names_of",
    "points",
    "proposals",
    "why_not",
]

NAME = "low_density"
TITLE = "low-density guidance"
PAPER = "002"
SOURCE = "Algorithm 1"
NEEDS = ()
POOL = "own"
INPUTS = ("checkpoint", "auxiliaries")
# step, steps: of the sampler. temperature: of the loss. from_time, to_time: on the network's clock from 0, images, to
# 1000, noise; it acts between them.
DEFAULTS = {
    "step": "ancestral",
    "steps": 50,
    "temperature": 1.0,
    "from_time": 0.0,
    "to_time": 1000.0,
}
CHOICES = {"step": ["ancestral", "ddim"]}
# loss: "random" is the control, one direction of the embedder's features. Strengths of 0 are the plain sampler.
GRID = {
    "loss": ["contrastive", "plain", "softmax_minus_h", "logits", "random"],
    "alpha": [0.1, 0.3],
    "beta": [0.0],
}
LIMITS = {
    "alpha": (0, 1000),
    "beta": (0, 1000),
    "steps": (1, 100_000),
    "temperature": (1e-6, 1e6),
    "from_time": (0, 1000),
    "to_time": (0, 1000),
}

# In the note of a set whose real/synthetic classifier must not steer, whose images are those of beta 0; and of one
# where it steers in some steps.
NO_PUSH, FEW_PUSHES = "gave no push", "pushed in"

choose = all_proposals
proposals = one_each
column_settings = no_column_settings
why_not = needs_classes


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """Every loss at every alpha and beta, and the plain sampler once where both are 0.

    auxiliaries: the networks that a point asks, which no other point trains.
    """
    found: list[dict[str, Any]] = []
    for loss, alpha, beta in product(grid["loss"], grid["alpha"], grid["beta"]):
        networks = ["noisy_embedder"] * bool(alpha) + ["real_classifier"] * bool(beta)
        point = {"method": NAME, "loss": loss if alpha else None, "alpha": alpha, "beta": beta}
        point |= {**settings, "auxiliaries": networks}
        found += [point] if point not in found else []
    return found


def label(point: Point) -> str:
    """With loss and strengths, and what of the sampler is not the default's."""
    steps = f"{point['step']}, {point['steps']} steps"
    if not point["auxiliaries"]:
        return f"plain, {steps}"
    parts = (
        [f"alpha {point['alpha']:g} ({point['loss'].replace('_', ' ')})"] if point["alpha"] else []
    )
    parts += [f"beta {point['beta']:g}"] if point["beta"] else []
    if (point["from_time"], point["to_time"]) != (0, 1000):
        parts.append(f"t from {point['from_time']:g} to {point['to_time']:g}")
    return f"{TITLE}, {', '.join(parts)}, {steps}"


def maker(context: Tools) -> Maker:
    """Images of the pool's own latents, by guided steps.

    Noise of ancestral steps is that of the latent, the same with every guide and with none. A
    real/synthetic classifier that must not steer gives no push. facts: ``passes`` through each network for
    one image, forward and backward; ``note``, where beta gave no push in some or in all steps, and why.
    """
    import torch

    from pseudodensity.generators.diffusion_sampling import StepNoise, sample

    point = context.settings
    networks = {name: context.auxiliary(name) for name in point["auxiliaries"]}
    note = _note_of_beta(context.generator, point, networks)
    if NO_PUSH in note:
        del networks["real_classifier"]
    guide = _guide(point, networks, context.seed)

    @torch.no_grad()
    def make(latents: Tensor) -> Tensor:
        return sample(
            context.generator,
            latents,
            step=point["step"],
            steps=point["steps"],
            guide=guide,
            noise=StepNoise(context.seed, names_of(latents)),
        )

    passes = {"generator": point["steps"]}
    # The last step is not pushed; a gradient is one pass forward and one backward.
    passes |= {name: 2 * (point["steps"] - 1) for name in networks}
    return Maker(make, facts={"passes": passes} | ({"note": note} if note else {}))


def names_of(latents: Tensor) -> list[int]:
    """A number of each latent (n, *latent_shape), made of the bits of its first numbers.

    Noise of ancestral steps is drawn by it, and so belongs to the latent: no batch and no order of
    samples changes it.
    """
    import torch

    # A copy: a single row of a larger tensor passes for contiguous, and cannot be seen as whole numbers.
    first = latents.flatten(1)[:, :2].float().cpu().clone(memory_format=torch.contiguous_format)
    return (first.view(torch.int64)[:, 0] & (2**63 - 1)).tolist()


def _note_of_beta(model: Any, point: Point, networks: Mapping[str, Any]) -> str:
    """In how many steps the real/synthetic classifier gives no push, and why; "" where it always does, or is
    not asked."""
    from pseudodensity.generators.diffusion_sampling import pushed_times

    if "real_classifier" not in networks:
        return ""
    accuracy, interval = networks["real_classifier"].accuracy, interval_of(point)
    times = pushed_times(model, point["step"], point["steps"])
    known = [accuracy.above_chance(time) for time in times if interval.holds(time)]
    reason = accuracy.refusal()
    if reason is None and all(known):
        return ""
    if reason is None and any(known):
        return (
            f"beta {point['beta']:g} {FEW_PUSHES} {sum(known)} of {len(known)} steps: in the others the "
            "real/synthetic classifier is at chance"
        )
    reason = reason or "the real/synthetic classifier is at chance in each of these steps"
    return f"beta {point['beta']:g} {NO_PUSH}: {reason}"


def _guide(point: Point, networks: Mapping[str, Any], seed: int) -> LowDensityGuide | None:
    from pseudodensity.control.guide.losses import loss_called
    from pseudodensity.control.guide.low_density import LowDensityGuide

    if not networks:
        return None
    embedder, classifier = networks.get("noisy_embedder"), networks.get("real_classifier")
    loss = None
    if embedder is not None:
        size = embedder.anchor_means.shape[2]
        loss = loss_called(point["loss"], embedder.head, size, seed)
    return LowDensityGuide(
        embedder,
        classifier,
        loss,
        alpha=point["alpha"],
        beta=0.0 if classifier is None else point["beta"],
        temperature=point["temperature"],
        interval=interval_of(point),
    )


def interval_of(point: Point) -> Interval:
    """When the guide of a point acts. ValueError: the times are the wrong way round."""
    from pseudodensity.control.guide.interval import Interval

    return Interval(point["from_time"], point["to_time"])
