"""Fit the density of features that the search for rare samples needs (papers/004, section B.2)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pseudodensity.control.train.finishing import complete
from pseudodensity.control.train.loop import optimizer_state, restore_optimizer
from pseudodensity.density.feature_density import FeatureDensity, compare, split
from pseudodensity.density.flow import Flow, Training
from pseudodensity.density.gaussian import Gaussian
from pseudodensity.progress import Progress

__all__ = ["CHOICES", "DEFAULTS", "LIMITS", "FlowTrainer", "fit"]

# held_out: share of the real features that says when to stop, and as much again that is only reported on.
DEFAULTS = {
    "kind": "flow",
    "held_out": 0.1,
    "transforms": 8,
    "width": 128,
    "epochs": 200,
    "patience": 10,
    "batch_size": 128,
    "learning_rate": 0.001,
}
CHOICES = {"kind": ("flow", "gaussian")}
LIMITS = {
    "held_out": (0.001, 0.45),
    "transforms": (1, 64),
    "width": (1, 4096),
    "epochs": (1, 100_000),
    "patience": (1, 100_000),
    "batch_size": (1, 100_000),
    "learning_rate": (1e-9, 1),
}


def fit(
    features: np.ndarray | Tensor,
    settings: Mapping[str, Any],
    stamp: Mapping[str, Any],
    *,
    seed: int,
    code: str,
    path: str | Path,
    workdir: str | Path,
    progress: Progress,
) -> None:
    """Write the density of real features (n, d) to a file of `FeatureDensity` whose spec is the stamp.

    The result depends on features, settings and seed alone. Both kinds learn from the same rows, so that
    their likelihoods can be compared.

    Args:
        settings: all of DEFAULTS. A Gaussian needs ``kind`` and ``held_out``.
        code, path, workdir: as of `complete`, by which a flow that was killed goes on.
        progress: counts epochs.

    ValueError: as of `split`; features that do not vary at all, or a flow of fewer than 2.
    FloatingPointError: the flow diverged.
    """
    if settings["kind"] == "gaussian":
        shares = split(features, settings["held_out"], seed)
        density = FeatureDensity.start(Gaussian(shares.learned.shape[1]), shares.learned)
        density.report = compare(density, shares)
        density.save(path, stamp)
        return
    trainer = FlowTrainer(features, settings, seed=seed)

    def save(weights: Mapping[str, Any]) -> None:
        trainer.density.report = trainer.facts()
        trainer.density.save(path, stamp)

    complete(trainer, settings["epochs"], stamp, code, path, workdir, progress, save)


class FlowTrainer:
    """A flow in training; see `pseudodensity.control.train.loop.Trainer`. A step is an epoch."""

    batch_size = 1  # the loop counts epochs

    def __init__(
        self, features: np.ndarray | Tensor, settings: Mapping[str, Any], *, seed: int
    ) -> None:
        """features: (n, d), of real images. settings: those of a flow in DEFAULTS. Errors as of `fit`."""
        self.shares = split(features, settings["held_out"], seed)
        dimensions = self.shares.learned.shape[1]
        # Layers draw their weights from torch's own generator.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            flow = Flow(dimensions, settings["transforms"], settings["width"])
        self.density = FeatureDensity.start(flow, self.shares.learned)
        vectors = self.density.standardised(self.shares.learned)

        def draw(rows: Tensor, stream: torch.Generator) -> Tensor:
            return vectors[rows]

        self.training = Training(
            flow,
            draw,
            len(vectors),
            self.density.standardised(self.shares.stopping),
            seed=seed,
            patience=settings["patience"],
            batch_size=settings["batch_size"],
            learning_rate=settings["learning_rate"],
        )

    def step(self, iteration: int) -> dict[str, float]:
        """One epoch. After early stopping nothing happens in it."""
        if not self.training.finished:
            self.training.epoch()
        return {"log_density": self.training.found[-1]}

    def state(self) -> dict[str, Any]:
        """The flow, as it is and as it was best, its optimiser, and what decides when to stop."""
        training = self.training
        return {
            "flow": training.flow.state_dict(),
            "kept": training.kept,
            "optimizer": optimizer_state(training.optimizer),
            "found": torch.tensor(training.found, dtype=torch.float64),
            "stream": training.stream.get_state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Put :meth:`state` back."""
        training = self.training
        training.flow.load_state_dict(state["flow"])
        training.kept = dict(state["kept"])
        restore_optimizer(training.optimizer, state["optimizer"])
        training.found = state["found"].tolist()
        training.stream.set_state(state["stream"])

    def weights_to_keep(self) -> dict[str, dict[str, Tensor]]:
        """Scaler and flow of the best epoch, which the density has from then on."""
        self.training.flow.load_state_dict(self.training.kept)
        return {"density": self.density.state_dict()}

    def facts(self) -> dict[str, Any]:
        """``epochs`` and ``best`` of `Training.report`, and what `compare` finds of the weights that are kept."""
        self.training.flow.load_state_dict(self.training.kept)
        told = self.training.report
        return {
            "epochs": told["epochs"],
            "best": told["best"],
            **compare(self.density, self.shares),
        }
