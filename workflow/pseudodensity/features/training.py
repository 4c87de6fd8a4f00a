"""Train a small extractor on all that is known about its images, so that its features see all of it.

A network trained on the class alone finds noise and blurred images as good as real ones. So every
categorical attribute is classified and every continuous one regressed, for each data set by a
head of its own, beside the classification of the data set; an extractor is kept without its heads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pseudodensity.features.build import build_extractor
from pseudodensity.features.extractor import Extractor
from pseudodensity.images.labels import Labels
from pseudodensity.images.transform import to_float
from pseudodensity.progress import Progress
from pseudodensity.rng import generator
from pseudodensity.tensors import refuse_non_finite

HELD_OUT = 0.1


@dataclass(frozen=True)
class TrainingSet:
    """images: uint8 (n, 3, R, R). labels: their attributes, or None. mirror: whether a flipped
    image is as good as the original, with the same categorical attributes."""

    name: str
    images: np.ndarray
    labels: Labels | None
    mirror: bool = False


class Heads(nn.Module):
    """Linear heads: the data set of an image, and the attributes of each data set."""

    def __init__(self, dim: int, datasets: Sequence[TrainingSet]):
        super().__init__()
        self.dataset = nn.Linear(dim, len(datasets))
        self.cardinalities = [d.labels.cardinalities if d.labels else [] for d in datasets]
        self.attributes = nn.ModuleDict(
            {
                str(index): nn.Linear(dim, sum(labels.cardinalities) + len(labels.continuous_names))
                for index, labels in enumerate(d.labels for d in datasets)
                if labels is not None
            }
        )

    def split(self, index: int, features: Tensor) -> tuple[list[Tensor], Tensor]:
        """Logits of each categorical attribute of labelled set `index`, and its continuous estimates."""
        cardinalities = self.cardinalities[index]
        outputs = self.attributes[str(index)](features)
        total = sum(cardinalities)
        return list(outputs[:, :total].split(cardinalities, dim=1)), outputs[:, total:]


def train_extractor(
    spec: Mapping[str, Any],
    datasets: Sequence[TrainingSet],
    seed: int,
    *,
    epochs: int,
    learning_rate: float,
    batch_size: int = 128,
    progress: Progress | None = None,
) -> tuple[Extractor, dict[str, Any]]:
    """Extractor of `spec` (small_vit or small_cnn) trained on all tasks of all data sets.

    Returns it with its report; see `train_with_heads`.
    """
    extractor, _, report = train_with_heads(
        spec,
        datasets,
        seed,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        progress=progress,
    )
    return extractor, report


def train_with_heads(
    spec: Mapping[str, Any],
    datasets: Sequence[TrainingSet],
    seed: int,
    *,
    epochs: int,
    learning_rate: float,
    batch_size: int = 128,
    progress: Progress | None = None,
) -> tuple[Extractor, Heads, dict[str, Any]]:
    """An extractor with the heads that it was trained with, and how that went.

    AdamW with one warm-up and a cosine decay; a tenth of each data set is held out. Returns the
    frozen extractor and heads and, per task ("church/tower"), held-out accuracy with the share of the
    most common value, or R2 of a continuous attribute. The result depends on the arguments alone.
    progress counts epochs.
    ValueError: nothing to learn (a single data set without labels), a data set without 10 images.
    FloatingPointError: the loss is not finite.
    """
    if len(datasets) < 2 and not any(d.labels for d in datasets):
        raise ValueError("an extractor needs labels or a second data set to learn from")
    if min(len(d.images) for d in datasets) < 10:
        raise ValueError("a data set to train an extractor on needs 10 images or more")
    extractor = build_extractor(spec, seed).requires_grad_(True).train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        heads = Heads(extractor.dim, datasets)
    data = Data(extractor, datasets)
    draw = generator(seed, "train extractor")
    train, held_out = data.split(draw)
    parameters = [*extractor.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, learning_rate, weight_decay=0.05, fused=True)
    steps = epochs * -(-len(train) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, total_steps=steps, pct_start=0.15
    )
    for epoch in range(epochs):
        if progress is not None:
            progress.update(epoch)
        for rows in train[torch.randperm(len(train), generator=draw)].split(batch_size):
            flip = data.may_flip[rows] & (torch.rand(len(rows), generator=draw) < 0.5)
            optimizer.zero_grad()
            loss = multi_task_loss(extractor, heads, data, rows, flip)
            if not torch.isfinite(loss):
                raise FloatingPointError(
                    f"the extractor diverged in epoch {epoch + 1} (its loss is {loss.item()}): lower "
                    "its learning_rate in the config"
                )
            loss.backward()
            optimizer.step()
            schedule.step()
    refuse_non_finite(extractor.state_dict(), "the trained extractor")
    heads.requires_grad_(False)
    if progress is not None:
        progress.update(epochs)
    extractor.eval().requires_grad_(False)
    extractor.trained = True
    return extractor, heads, measure(extractor, heads, data, held_out)


class Data:
    """All data sets in one: prepared images (n, 3, S, S), and for each the index of its data set,
    its row there and whether it may be flipped. labelled: indices of the sets with attributes."""

    def __init__(self, extractor: Extractor, datasets: Sequence[TrainingSet]):
        self.names = [d.name for d in datasets]
        self.labels = [d.labels for d in datasets]
        self.labelled = [i for i, labels in enumerate(self.labels) if labels is not None]
        counts = torch.tensor([len(d.images) for d in datasets])
        self.images = torch.cat([extractor.prepare(to_float(np.array(d.images))) for d in datasets])
        self.which = torch.arange(len(datasets)).repeat_interleave(counts)
        self.row = torch.cat([torch.arange(n) for n in counts.tolist()])
        self.may_flip = torch.tensor([d.mirror for d in datasets])[self.which]

    def __len__(self) -> int:
        return len(self.images)

    def split(self, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """Rows to train on and rows held out: a random tenth of each data set, one at least."""
        kept, held = [], []
        for index in range(len(self.names)):
            rows = (self.which == index).nonzero().squeeze(1)
            rows = rows[torch.randperm(len(rows), generator=draw)]
            count = int(HELD_OUT * len(rows))
            held.append(rows[:count])
            kept.append(rows[count:])
        return torch.cat(kept), torch.cat(held)

    def attributes(self, index: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Categorical (m, a) and continuous (m, c) attributes of rows of labelled set `index`."""
        labels, rows = self.labels[index], self.row[rows].numpy()
        return torch.from_numpy(labels.categorical[rows]), torch.from_numpy(labels.continuous[rows])


def multi_task_loss(
    extractor: Extractor, heads: Heads, data: Data, rows: Tensor, flip: Tensor
) -> Tensor:
    """Cross-entropies plus squared errors of a batch, summed over attributes, averaged over rows.

    A flipped image keeps its categories, but not its positions, so it is not regressed.
    """
    x = torch.where(flip[:, None, None, None], data.images[rows].flip(3), data.images[rows])
    features = extractor.embed(x)
    loss = F.cross_entropy(heads.dataset(features), data.which[rows], reduction="sum")
    for index in data.labelled:
        here = data.which[rows] == index
        categorical, continuous = data.attributes(index, rows[here])
        logits, estimates = heads.split(index, features[here])
        for column, scores in enumerate(logits):
            loss = loss + F.cross_entropy(scores, categorical[:, column], reduction="sum")
        upright = ~flip[here, None]
        loss = loss + (upright * (estimates - continuous).square()).sum()
    return loss / len(rows)


@torch.no_grad()
def measure(extractor: Extractor, heads: Heads, data: Data, rows: Tensor) -> dict[str, Any]:
    """Held-out accuracy (beside the share of the most common value) or R2 of each task."""
    features = torch.cat([extractor.embed(data.images[part]) for part in rows.split(500)])
    which = data.which[rows]
    report = {"dataset": accuracy(heads.dataset(features), which)}
    for index in data.labelled:
        name, labels, here = data.names[index], data.labels[index], which == index
        categorical, continuous = data.attributes(index, rows[here])
        logits, estimates = heads.split(index, features[here])
        for task, scores, wanted in zip(labels.names, logits, categorical.T, strict=True):
            report[f"{name}/{task}"] = accuracy(scores, wanted)
        for task, values, guesses in zip(
            labels.continuous_names, continuous.T, estimates.T, strict=True
        ):
            report[f"{name}/{task}"] = {"r2": determination(guesses, values)}
    return report


def accuracy(scores: Tensor, wanted: Tensor) -> dict[str, float]:
    """Share of right answers, and the share that the most common answer would get."""
    right = (scores.argmax(dim=1) == wanted).double().mean().item()
    return {"accuracy": right, "most_common": wanted.bincount().max().item() / len(wanted)}


def determination(estimates: Tensor, wanted: Tensor) -> float | None:
    """R2, the share of the variance explained; None where nothing varies."""
    spread = (wanted - wanted.mean()).square().sum().item()
    return 1 - (estimates - wanted).square().sum().item() / spread if spread > 0 else None
