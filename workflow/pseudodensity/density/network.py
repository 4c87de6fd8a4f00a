"""The network that carries the pseudo density from real features to any feature."""

import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pseudodensity.density.knn import measure_knn_density
from pseudodensity.density.percentile import threshold
from pseudodensity.progress import Progress
from pseudodensity.tensors import load_tensors, refuse_non_finite, save_tensors

SPEC = {"kind": "pseudo_density", "format": 1}
PAPER_PARAMETERS = 1_000_000  # the paper's networks have less (section 3.1)


class PseudoDensity(nn.Module):
    """d -> 512 -> 256 -> 128 -> 1 regressor of the nearest-neighbour density (main paper, 3.1).

    labels: (N,) float64, the nearest-neighbour densities it was trained on. report: quality and
    settings of the fit. The output is not bounded below, as in the paper: it may be negative.

    The paper feeds raw features. Here they are centred and divided by ONE number, their overall
    standard deviation, so that the fit does not depend on the unit of an extractor, while the
    proportions between the distances, which define the labels, stay what they are.
    """

    def __init__(self, dim: int, labels: np.ndarray, report: dict):
        """dim: feature dimension. labels: (N,) densities. report: JSON-able dict."""
        super().__init__()
        self.labels = np.asarray(labels, dtype=np.float64)
        self.report = dict(report)
        self.register_buffer("centre", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(()))
        widths = (dim, 512, 256, 128)
        hidden = [
            layer
            for inputs, outputs in pairwise(widths)
            for layer in (nn.Linear(inputs, outputs), nn.ReLU())
        ]
        self.network = nn.Sequential(*hidden, nn.Linear(widths[-1], 1))

    @classmethod
    def fit(
        cls,
        features: np.ndarray,
        k: int = 10,
        n: float = 1,
        seed: int = 0,
        *,
        epochs: int = 100,
        batch_size: int = 64,
        dedup: bool = False,
        progress: Progress | None = None,
    ) -> "PseudoDensity":
        """Label the real features (N, d) with `knn_density` and learn the labels.

        Adam 1e-3, mean squared error, 80 % of the rows, the last epoch kept. The result depends
        on the arguments alone, not on the global random state.

        Args:
            dedup: a row that is an exact copy of an earlier one counts once, in the labels and in
                the fit. Otherwise a dozen copies have a density that outweighs all other rows in
                the loss. The labels still have an entry for each row, so that a threshold is a
                percentile of all rows. `report["copies"]` is their number.
            progress: counts epochs.

        Warns if the network is larger than the paper allows; the same stands in `report["note"]`.
        ValueError: as `measure_knn_density`; fewer than 10 features that count; epochs or
        batch_size < 1. FloatingPointError: the loss is not finite.
        """
        if epochs < 1 or batch_size < 1:
            raise ValueError(f"epochs {epochs} and batch_size {batch_size}: use 1 or more")
        _check_count(len(features))
        if progress is not None:
            progress.say(f"distances of {len(features)} features to their nearest neighbours")
        measured = measure_knn_density(features, k, n, dedup=dedup)
        counted = measured.counted
        _check_count(len(counted))
        report = {"k": k, "n": n, "N": len(features), "seed": seed, "epochs": epochs}
        report |= {"batch_size": batch_size, "floored": measured.floored}
        report |= {"dedup": dedup, "copies": len(features) - len(counted)}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            density = cls(np.shape(features)[1], measured.values, report)
            density.report |= density._size()
            order = torch.from_numpy(counted)[torch.randperm(len(counted))]
            inputs = torch.as_tensor(np.asarray(features), dtype=torch.float32)
            targets = torch.as_tensor(measured.values, dtype=torch.float32)
            train, held_out = order[: int(0.8 * len(order))], order[int(0.8 * len(order)) :]
            density._standardise(inputs[train])
            density._train(inputs[train], targets[train], epochs, batch_size, progress)
        refuse_non_finite(density.state_dict(), "the density network")
        density.report |= density._quality(inputs[held_out], targets[held_out])
        return density.requires_grad_(False)

    def _size(self) -> dict[str, int | str]:
        """Number of parameters, and a note, also given as a warning, if the paper has fewer."""
        size, note = sum(parameter.numel() for parameter in self.network.parameters()), ""
        if size >= PAPER_PARAMETERS:
            note = (
                f"the density network of {len(self.centre)}-d features has {size:,} parameters, "
                f"the paper's have less than {PAPER_PARAMETERS:,}"
            )
            warnings.warn(note, stacklevel=3)
        return {"parameters": size, "note": note}

    def _standardise(self, inputs: Tensor) -> None:
        self.centre.copy_(inputs.mean(dim=0))
        spread = (inputs - self.centre).square().mean().sqrt()
        self.scale.copy_(spread if spread > 0 else torch.ones(()))

    def _train(
        self,
        inputs: Tensor,
        targets: Tensor,
        epochs: int,
        batch_size: int,
        progress: Progress | None,
    ) -> None:
        optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3, fused=True)
        for epoch in range(epochs):
            if progress is not None:
                progress.update(epoch)
            for batch in torch.randperm(len(inputs)).split(batch_size):
                optimizer.zero_grad()
                loss = nn.functional.mse_loss(self(inputs[batch]), targets[batch])
                if not torch.isfinite(loss):
                    raise FloatingPointError(
                        f"the density network diverged in epoch {epoch + 1} (its squared error is "
                        f"{loss.item()}): scale the features down, or count copies once by dedup"
                    )
                loss.backward()
                optimizer.step()
        if progress is not None:
            progress.update(epochs)

    @torch.no_grad()
    def _quality(self, inputs: Tensor, targets: Tensor) -> dict[str, float | None]:
        """R2 and Spearman rank correlation on held-out rows; None where the labels are constant."""
        from scipy.stats import spearmanr  # two seconds that a job which only loads need not spend

        predicted, wanted = self(inputs).double().numpy(), targets.double().numpy()
        spread = np.square(wanted - wanted.mean()).sum()
        if spread == 0:
            return {"r2": None, "spearman": None}
        r2 = 1 - np.square(wanted - predicted).sum() / spread
        return {"r2": float(r2), "spearman": float(spearmanr(predicted, wanted).statistic)}

    def forward(self, features: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """Density of features (m, d): (m,) float32. Tensor in, differentiable tensor out; array in,
        array out. ValueError if d is not the dimension of the fit."""
        if not isinstance(features, Tensor):
            with torch.no_grad():
                inputs = torch.as_tensor(np.asarray(features), device=self.centre.device)
                return self(inputs.float()).cpu().numpy()
        if features.ndim != 2 or features.shape[1] != len(self.centre):
            raise ValueError(
                f"density was fitted on {len(self.centre)}-d features, got shape {tuple(features.shape)}"
            )
        return self.network((features - self.centre) / self.scale).squeeze(1)

    def threshold(self, percent: float) -> float:
        """tau at a percentile of the labels, not of the predictions (`percentile.threshold`)."""
        return threshold(self.labels, percent)

    def save(self, path: Path | str) -> None:
        """Write weights, labels and report to one safetensors file."""
        tensors = {name: value.cpu() for name, value in self.state_dict().items()}
        save_tensors(path, tensors | {"labels": self.labels}, SPEC, {"report": self.report})

    @classmethod
    def load(cls, path: Path | str) -> "PseudoDensity":
        """Read what `save` wrote; the predictions are bit-identical. ArtifactError for other files."""
        tensors, meta = load_tensors(path, SPEC)
        labels = tensors.pop("labels").numpy()
        density = cls(len(tensors["centre"]), labels, meta["report"])
        density.load_state_dict(tensors)
        return density.requires_grad_(False)


def _check_count(features: int) -> None:
    if features < 10:
        raise ValueError(f"a density fit needs 10 different features or more, got {features}")
