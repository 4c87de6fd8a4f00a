"""Table 1: what images of a range of hardness cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pseudodensity.papers.low_density.guided import CATEGORY, HERE, PLACE, Guided
from pseudodensity.papers.low_density.steered_pools import hardness_of, titles
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.target import Parts, Target, targets_of

__all__ = ["cost_targets"]

REPORTED = "config/reported/low_density.csv"


def cost_targets(guided: Guided) -> Iterator[Target]:
    """Table 1."""
    functions = {"table": f"{HERE}.table1:table1"}
    caption = "Cost of 5,000 images in ranges of hardness, by rejection from the plain sampler and guided."
    yield from targets_of(
        "low_density/table1", functions, caption, CATEGORY, lambda: _parts(guided)
    )


def _parts(guided: Guided) -> Parts:
    grid = guided.grid["table1"]
    bounds = grid["ranges"]["bounds"]
    if sorted(set(bounds)) != bounds or (grid["ranges"]["of"] == "quantiles" and bounds[-1] > 1):
        raise ConfigError(
            f"config: {PLACE}.table1.ranges.bounds is {bounds}: give rising numbers, of quantiles up to 1"
        )
    (plain,) = guided.points(grid["losses"][:1], [0], [0])
    points, timed = [plain], [plain]
    sets: list[dict[str, Any]] = [{"name": "plain", "loss": None, "alpha": 0, "timed": 0}]
    for loss in grid["losses"]:
        own = guided.points([loss], grid["alpha"], [0])
        timed.append(own[0])  # what a step costs does not depend on alpha
        for point in own:
            words = "random direction" if loss == "random" else loss.replace("_", " ")
            name = f"{words}, alpha {point['alpha']:g}"
            known = {"loss": loss, "alpha": point["alpha"], "timed": len(timed) - 1}
            sets.append({"name": name} | known)
            points.append(point)
    timing = {key: grid["timing"][key] for key in ("proposals", "repeats")}
    settings = timing | {"few": timing["proposals"], "training_steps": 0}
    inputs = {
        "measured": hardness_of(guided, points),
        "costs": guided.plan.samples.costs(guided.checkpoint, None, timed, settings),
        "reported": REPORTED,
    }
    told = {"names": titles(guided), "sets": sets, "ranges": dict(grid["ranges"])}
    told |= {"images": grid["images"], "reference": grid["losses"][0]}
    return {"table": (inputs, told)}
