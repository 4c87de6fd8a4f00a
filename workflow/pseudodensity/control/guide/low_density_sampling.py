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
from pseudodensity.control.guide.guided_maker import (
    guided_maker,
    interval_of,
    pushed_steps,
    sampler_words,
)
from pseudodensity.control.guide.suitable import needs_classes

if TYPE_CHECKING:
    from pseudodensity.control.guide.low_density import LowDensityGuide
    from pseudodensity.control.guide.noisy_networks import HeldOutAccuracy

__all__ = [
    "FEW_PUSHES",
    "NO_PUSH",
    "choose",
    "column_settings",
    "label",
    "maker",
    "note_of_pushes",
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
    if not point["auxiliaries"]:
        return f"plain, {point['step']}, {point['steps']} steps"
    parts = (
        [f"alpha {point['alpha']:g} ({point['loss'].replace('_', ' ')})"] if point["alpha"] else []
    )
    parts += [f"beta {point['beta']:g}"] if point["beta"] else []
    return f"{TITLE}, {', '.join(parts)}, {sampler_words(point)}"


def maker(context: Tools) -> Maker:
    """See `guided_maker`. A network is passed twice in each step in which it pushes.

    A real/synthetic classifier that must not steer gives no push; the note says where beta gave none, and why.
    """
    networks = {name: context.auxiliary(name) for name in context.settings["auxiliaries"]}
    note = ""
    if "real_classifier" in networks:
        accuracy = networks["real_classifier"].accuracy
        note = note_of_pushes(f"beta {context.settings['beta']:g}", context, accuracy)
    if NO_PUSH in note:
        del networks["real_classifier"]
    guide = _guide(context, networks)
    return guided_maker(context, lambda latents: guide, _passes(context, networks), note=note)


def _passes(context: Tools, networks: Mapping[str, Any]) -> dict[str, int]:
    times = pushed_steps(context).values()
    passes = {name: 2 * len(times) for name in networks}
    if "real_classifier" in networks:
        accuracy = networks["real_classifier"].accuracy
        passes["real_classifier"] = 2 * sum(map(accuracy.above_chance, times))
    return passes


def note_of_pushes(who: str, context: Tools, accuracy: HeldOutAccuracy) -> str:
    """In how many steps a real/synthetic classifier of this accuracy gives no push, and why; "" where it
    always does. who: whose push it is."""
    known = [accuracy.above_chance(time) for time in pushed_steps(context).values()]
    reason = accuracy.refusal()
    if reason is None and all(known):
        return ""
    if reason is None and any(known):
        return (
            f"{who} {FEW_PUSHES} {sum(known)} of {len(known)} steps: in the others the "
            "real/synthetic classifier is at chance"
        )
    reason = reason or "the real/synthetic classifier is at chance in each of these steps"
    return f"{who} {NO_PUSH}: {reason}"


def _guide(context: Tools, networks: Mapping[str, Any]) -> LowDensityGuide | None:
    from pseudodensity.control.guide.losses import loss_called
    from pseudodensity.control.guide.low_density import LowDensityGuide

    if not networks:
        return None
    point, embedder = context.settings, networks.get("noisy_embedder")
    classifier = networks.get("real_classifier")
    loss = None
    if embedder is not None:
        size = embedder.anchor_means.shape[2]
        loss = loss_called(point["loss"], embedder.head, size, context.seed)
    return LowDensityGuide(
        embedder,
        classifier,
        loss,
        alpha=point["alpha"],
        beta=0.0 if classifier is None else point["beta"],
        temperature=point["temperature"],
        interval=interval_of(point),
    )
