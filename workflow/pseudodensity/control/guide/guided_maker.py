"""What all methods share that guide the reverse steps of a diffusion model: their points, how tables call
them, and the maker of their images.

All make images of the pool's own latents, whose class they keep, and of the noise that belongs to a
latent: two guides, or a guide and none, differ by what the guide does alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pseudodensity.control.choice import Maker, Point, Tools
from pseudodensity.control.latent_names import names_of

if TYPE_CHECKING:
    from torch import Tensor

    from pseudodensity.control.guide.interval import Interval
    from pseudodensity.generators.diffusion_sampling import StepNoise
    from pseudodensity.generators.guidance import Guide

__all__ = [
    "guide_noise",
    "guided_maker",
    "guided_steps",
    "interval_of",
    "no_columns_but_times",
    "plain_maker",
    "pushed_steps",
    "sampler_words",
    "step_times",
    "strength_points",
]


def strength_points(
    name: str, strength: str, grid: Mapping[str, Any], settings: Mapping[str, Any]
) -> list[Point]:
    """Points of a method with one strength: each of its values once. strength: its key in the grid."""
    values = dict.fromkeys(grid[strength])
    return [{"method": name, strength: value, **settings} for value in values]


def sampler_words(point: Point) -> str:
    """How tables call the steps of a point, and when its guide acts, if not always."""
    low, high = point.get("from_time", 0), point.get("to_time", 1000)
    when = "" if (low, high) == (0, 1000) else f"t from {low:g} to {high:g}, "
    return f"{when}{point['step']}, {point['steps']} steps"


def interval_of(point: Point) -> Interval:
    """When the guide of a point acts. ValueError: the times are the wrong way round."""
    from pseudodensity.control.guide.interval import Interval

    return Interval(point["from_time"], point["to_time"])


def no_columns_but_times(point: Point) -> dict[str, dict[str, Any]]:
    """`column_settings` of a guide, whose columns have none. ValueError: as of `interval_of`."""
    if "from_time" in point:
        interval_of(point)
    return {}


def step_times(context: Tools) -> dict[int, float]:
    """Number of each reverse step of a point -> its time, from 0 to 1000. Step 0 is the last one."""
    from pseudodensity.generators.diffusion_sampling import reverse_process

    point, model = context.settings, context.generator
    process = reverse_process(model, point["step"], point["steps"])
    return dict(enumerate(model.clock(process.times).tolist()))


def guided_steps(context: Tools) -> dict[int, float]:
    """Those of `step_times` in the interval of a point. No guide pushes step 0; it may change what the
    network says there."""
    interval = interval_of(context.settings)
    return {index: time for index, time in step_times(context).items() if interval.holds(time)}


def pushed_steps(context: Tools) -> dict[int, float]:
    """Those of `guided_steps` that a guide may push."""
    return {index: time for index, time in guided_steps(context).items() if index}


def guide_noise(context: Tools, latents: Tensor) -> StepNoise:
    """Noise that a guide draws for some latents, independent of that of the steps."""
    from pseudodensity.generators.diffusion_sampling import StepNoise
    from pseudodensity.rng import generator as random_stream

    seed = random_stream(context.seed, "noise of a guide").initial_seed()
    return StepNoise(seed, names_of(latents))


def guided_maker(
    context: Tools,
    guide_of: Callable[[Tensor], Guide | None],
    passes: Mapping[str, int],
    *,
    group: int = 1,
    note: str = "",
    labels_of: Callable[[Tensor], Tensor | None] = lambda latents: None,
) -> Maker:
    """Images of the pool's own latents, by the steps and the guide of a point.

    Args:
        guide_of: latents of a batch -> what guides them. It is asked for whole groups, and once more for
            those that are left where the rows of a pool end.
        passes: through each network for one image, beside those of the sampler itself; a gradient is one
            forward and one backward.
        group: samples that depend on each other.
        note: what a reader of a table must know.
        labels_of: latents of a batch -> classes, or shares of them, in place of those that the latents choose.

    ``facts`` of the maker: ``passes``, all of them, and ``note``.
    """
    import torch

    from pseudodensity.generators.diffusion_sampling import StepNoise, sample

    point = context.settings

    def drawn(latents: Tensor) -> Tensor:
        return sample(
            context.generator,
            latents,
            step=point["step"],
            steps=point["steps"],
            guide=guide_of(latents),
            labels=labels_of(latents),
            noise=StepNoise(context.seed, names_of(latents)),
        )

    @torch.no_grad()
    def make(latents: Tensor) -> Tensor:
        whole = len(latents) // group * group
        return torch.cat([drawn(x) for x in (latents[:whole], latents[whole:]) if len(x)])

    total = {"generator": point["steps"] + passes.get("generator", 0)}
    total |= {name: count for name, count in passes.items() if name != "generator" and count}
    return Maker(make, facts={"passes": total} | ({"note": note} if note else {}), group=group)


def plain_maker(context: Tools, *, note: str = "") -> Maker:
    """Images of the same latents and noise that nothing guides; see `guided_maker`."""
    return guided_maker(context, lambda latents: None, {}, note=note)
