"""Experiment: every method on one trained model, its setting chosen on reals that do not judge it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from pseudodensity.control.select.discriminator import Calibration
from pseudodensity.metrics.earth_mover import matched_cost
from pseudodensity.papers.latent_reweighting.planar.laws import LAWS, Law
from pseudodensity.papers.latent_reweighting.planar.methods import (
    METHODS,
    Drawn,
    Proposals,
    TooFew,
    Tools,
    best_fakes,
)
from pseudodensity.papers.latent_reweighting.planar.networks import (
    open_base,
    open_critic,
    open_weights,
)
from pseudodensity.papers.latent_reweighting.planar.training import normal_latents
from pseudodensity.progress import Progress
from pseudodensity.rng import generator as stream_of

__all__ = ["evaluate", "open_tools"]

CALIBRATIONS = ("isotonic", "logistic")
SCORES = ("w1", "squared", "off", "acceptance", "calls")


def open_tools(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[Tools, dict]:
    """What the methods need, and ``z`` of each calibration, ``auc``, and the facts of the weights.

    inputs: ``base``, ``discriminator``, ``printed``, ``weights`` (a list). settings: ``law``,
    ``seed``, ``held_out`` (points of each kind that calibrate, and as many that test it), ``burn_in``.
    """
    law, seed, count = LAWS[settings["law"]], settings["seed"], settings["held_out"]
    generator, critic = open_base(inputs["base"])
    discriminator, told = open_critic(inputs["discriminator"])
    stream = stream_of(seed, "calibration")
    reals = discriminator(law.draw(2 * count, stream))
    fakes = discriminator(generator(normal_latents(2 * count, stream)))
    burn_in = discriminator(generator(normal_latents(settings["burn_in"], stream)))
    calibrations, z, log_max = {}, {}, {}
    for name in CALIBRATIONS:
        made = Calibration.fit(reals[:count], fakes[:count], method=name)
        calibrations[name], log_max[name] = made, made.log_ratio(burn_in).max().item()
        z[name] = made.z_statistic(reals[count:], fakes[count:])
    weights = [open_weights(path) for path in inputs["weights"]]
    printed = open_weights(inputs["printed"])
    tools = Tools(
        generator,
        critic,
        discriminator,
        calibrations,
        log_max,
        reals[count:],
        [(network, facts["largest"]) for network, facts in weights],
        (printed[0], printed[1]["largest"]),
    )
    facts = {"z": z, "auc": told["auc"], "printed": printed[1]}
    return tools, {**facts, "weights": [told for _, told in weights]}


def evaluate(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Scores of each method on the same reals.

    inputs and settings as for `open_tools`; ``methods``, name -> list of settings, plain first;
    ``count`` points of a set, ``evaluations``, ``validations``; ``most``, proposals for one set at
    most; ``real_seed``, of the reals, alike for all trainings.

    arrays: each of `SCORES`, (rows, evaluations); ``points`` of the first evaluation (rows, count,
    2) and ``reals`` (count, 2). facts: ``rows``; ``chosen``, name -> setting; ``validation``, name ->
    mean W1 of each setting, None where it accepts too little; and those of `open_tools`.
    """
    tools, facts = open_tools(inputs, settings)
    trial = Trial(LAWS[settings["law"]], settings)
    progress = Progress(
        f"methods on {settings['law']}, seed {settings['seed']}",
        len(settings["methods"]),
        "methods",
    )
    chosen, validation, rows = {}, {}, {}
    for done, (name, candidates) in enumerate(settings["methods"].items()):
        progress.update(done)
        validation[name] = [trial.validated(tools, name, one) for one in candidates]
        usable = [(w1, i) for i, w1 in enumerate(validation[name]) if w1 is not None]
        if not usable:
            continue
        chosen[name] = candidates[min(usable)[1]]
        if name == "latent_rs":  # what the ascents climb
            tools = replace(tools, chosen=chosen[name]["weights"])
        try:
            rows[name] = [
                trial.drawn(tools, name, chosen[name], "test", r) for r in range(trial.evaluations)
            ]
        except TooFew:  # a setting at the edge of what may be proposed
            del chosen[name]
    rows["oracle"] = [trial.headroom(tools, r) for r in range(trial.evaluations)]
    rows["real"] = [Drawn(trial.reals("floor", r), calls=0.0) for r in range(trial.evaluations)]
    scored = [[trial.scores(one, r) for r, one in enumerate(made)] for made in rows.values()]
    arrays = {score: np.array([[one[score] for one in row] for row in scored]) for score in SCORES}
    arrays["points"] = np.stack([made[0].points.numpy() for made in rows.values()])
    arrays["reals"] = trial.reals("test", 0).numpy()
    return arrays, {"rows": list(rows), "chosen": chosen, "validation": validation, **facts}


class Trial:
    """The sets of one evaluation: which latents and which reals each of them takes."""

    def __init__(self, law: Law, settings: Mapping[str, Any]):
        self.law, self.settings = law, settings
        self.count, self.evaluations = settings["count"], settings["evaluations"]

    def reals(self, use: str, number: int) -> Tensor:
        """Reals (count, 2) of a use, alike for all trainings."""
        return self.law.draw(
            self.count, stream_of(self.settings["real_seed"], "reals", use, number)
        )

    def drawn(
        self, tools: Tools, name: str, setting: Mapping[str, Any], use: str, number: int
    ) -> Drawn:
        """A set of a method. TooFew: the setting accepts too little."""
        seed, most = self.settings["seed"], self.settings["most"]
        proposals = Proposals(self.count, most, seed, "latents", use, number)
        return METHODS[name](
            tools,
            setting,
            self.count,
            proposals,
            lambda: stream_of(seed, "choice", name, use, number),
        )

    def validated(self, tools: Tools, name: str, setting: Mapping[str, Any]) -> float | None:
        """Mean W1 to validation reals; None where the setting accepts too little."""
        found = []
        for number in range(self.settings["validations"]):
            try:
                points = self.drawn(tools, name, setting, "validation", number).points
            except TooFew:
                return None
            found.append(matched_cost(self.reals("validation", number).numpy(), points.numpy()))
        return float(np.mean(found))

    def headroom(self, tools: Tools, number: int) -> Drawn:
        """The best weights of at most m that other reals can find: each takes the fake of its own in
        the optimal match of m times as many fakes."""
        largest = max(m for _, m in tools.weights)
        size = int(largest * self.count)
        latents = Proposals(self.count, size, self.settings["seed"], "latents", "test", number)
        fakes = tools.generator(latents.first(size))
        best = best_fakes(fakes, self.reals("guide", number))
        return Drawn(best, self.count / size, size / self.count)

    def scores(self, made: Drawn, number: int) -> dict[str, float]:
        """Of a set, against the test reals of that number."""
        real, points = self.reals("test", number).numpy(), made.points.numpy()
        return {
            "w1": matched_cost(real, points),
            "squared": matched_cost(real, points, 2),
            "off": float(self.law.is_off(made.points).mean()),
            "acceptance": made.acceptance,
            "calls": made.calls,
        }
