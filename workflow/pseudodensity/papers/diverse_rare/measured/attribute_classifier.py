"""Experiment: a classifier of the attributes of a data set, which neither steers nor judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import softmax

from pseudodensity.features.build import build_extractor
from pseudodensity.features.extractor import Extractor, extract
from pseudodensity.features.training import TrainingSet, train_with_heads
from pseudodensity.images.dataset import ImageSet, open_dataset
from pseudodensity.images.labels import Labels
from pseudodensity.images.procedural import render
from pseudodensity.rng import numpy_generator
from pseudodensity.tensors import join_parts, load_tensors, split_parts

__all__ = ["AttributeClassifier", "attribute_classifier", "load_classifier"]

# Fresh images are taken from here on: neither a data set nor a pool of reals counts as far.
FIRST = 2**40
NETWORK, HEAD, CONFUSION = "network", "head", "confusion"


@dataclass(frozen=True)
class AttributeClassifier:
    """A network with one linear head per categorical attribute.

    weight: (k, d) float32, bias: (k,), of the k values of all attributes in order. names,
    cardinalities: of the attributes. confusion: of each attribute (values, values) int64 on held-out
    reals: true value by row, predicted one by column. learned: from how many images. fresh: whether they
    were none of the data set.
    """

    extractor: Extractor
    weight: np.ndarray
    bias: np.ndarray
    names: list[str]
    cardinalities: list[int]
    confusion: list[np.ndarray]
    learned: int = 0
    fresh: bool = False

    def probabilities(self, images: np.ndarray, device: str = "cpu") -> list[np.ndarray]:
        """Of each attribute the probabilities (n, values) float32, for images (n, 3, R, R) uint8."""
        logits = extract(self.extractor, images, device=device) @ self.weight.T + self.bias
        places = np.cumsum(self.cardinalities)[:-1]
        return [softmax(part, axis=1) for part in np.split(logits, places, axis=1)]

    def predicted(self, images: np.ndarray, device: str = "cpu") -> np.ndarray:
        """The likeliest value (n, attributes) int64 of each attribute."""
        found = self.probabilities(images, device)
        return np.stack([each.argmax(1) for each in found], axis=1)


def attribute_classifier(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train a classifier and measure it on reals that it has not seen.

    inputs: ``data``, images of a data set with labels. settings: ``seed``; ``widths``, ``blocks``,
    ``epochs``, ``learning_rate``, ``batch_size``, see `SmallCnn` and `train_extractor`; ``mirror``, whether
    a flipped image keeps its attributes; of a procedural data set ``images``, fresh ones of its law to
    learn from, and ``held_out``, further ones to measure on; of another one ``held_out_share`` of its
    images to measure on, drawn alike from each combination of attributes, the rest to learn from. What
    generated images were learned from may be among these.

    arrays: weights, and ``confusion|name`` of each attribute, see `load_classifier`. facts: ``spec``
    of the network; ``names``, ``cardinalities``; ``accuracy`` and ``most_common``, the share of the
    commonest value, by name; ``learned``, ``held_out``, how many images; ``fresh``. ValueError: a data set
    without labels, fewer than 10 images to learn from or none to measure on.
    """
    data = open_dataset(Path(inputs["data"]).parent)
    fresh = data.manifest["spec"]["kind"] == "procedural"
    images, labels, others, truth = _sides(data, settings, fresh)
    spec = {"kind": "small_cnn", "size": images.shape[-1]}
    spec |= {"widths": list(settings["widths"]), "blocks": settings["blocks"]}
    extractor, heads, _ = train_with_heads(
        spec,
        [TrainingSet("attributes", images, labels, settings["mirror"])],
        settings["seed"],
        epochs=settings["epochs"],
        learning_rate=settings["learning_rate"],
        batch_size=settings["batch_size"],
    )
    head = heads.attributes["0"]
    weight, bias = head.weight.numpy(), head.bias.numpy()
    made = AttributeClassifier(extractor, weight, bias, labels.names, labels.cardinalities, [])
    predicted = made.predicted(others)
    confusion = _confusion(predicted, truth, labels.cardinalities)
    counted = dict(zip(labels.names, confusion, strict=True))
    parts = {
        NETWORK: extractor.cpu().state_dict(),
        HEAD: {"weight": head.weight, "bias": head.bias},
    }
    tables = {name: torch.from_numpy(table) for name, table in counted.items()}
    arrays = join_parts(parts | {CONFUSION: tables})
    return arrays, {
        "spec": spec,
        "names": labels.names,
        "cardinalities": labels.cardinalities,
        "accuracy": {n: int(np.trace(c)) / len(others) for n, c in counted.items()},
        "most_common": {n: int(c.sum(1).max()) / len(others) for n, c in counted.items()},
        "learned": len(images),
        "held_out": len(others),
        "fresh": fresh,
    }


def load_classifier(path: str | Path) -> AttributeClassifier:
    """Read what `attribute_classifier` made. ArtifactError: missing or damaged."""
    tensors, facts = load_tensors(path)
    parts = split_parts(tensors)
    extractor = build_extractor(facts["spec"])
    extractor.load_state_dict(parts[NETWORK])
    extractor.trained = True
    return AttributeClassifier(
        extractor,
        parts[HEAD]["weight"].numpy(),
        parts[HEAD]["bias"].numpy(),
        facts["names"],
        facts["cardinalities"],
        [parts[CONFUSION][name].numpy() for name in facts["names"]],
        facts["learned"],
        facts["fresh"],
    )


def _sides(
    data: ImageSet, settings: Mapping[str, Any], fresh: bool
) -> tuple[np.ndarray, Labels, np.ndarray, np.ndarray]:
    """Images and labels to learn from; images to measure on and their categorical attributes."""
    if data.labels is None:
        raise ValueError(
            "the data set has no labels to learn attributes from: name one with labels, or a file of "
            "predicted attributes"
        )
    if fresh:
        spec, count = data.manifest["spec"], settings["images"]
        rows = FIRST + np.arange(count + settings["held_out"])
        images, labels = render(spec["scene"], rows, spec["resolution"], spec["seed"])
        learned, held = np.arange(count), np.arange(count, len(rows))
    else:
        images, labels = np.array(data.images), data.labels
        held = _held_out(labels.categorical, settings["held_out_share"], settings["seed"])
        learned = np.setdiff1d(np.arange(len(images)), held)
    if not len(held):
        raise ValueError(
            "no image is held out to measure the classifier of attributes: raise the share"
        )
    return images[learned], _categorical(labels, learned), images[held], labels.categorical[held]


def _categorical(labels: Labels, rows: np.ndarray) -> Labels:
    """Some rows, without what no share is taken of."""
    none = np.zeros((len(rows), 0), np.float32)
    categorical, log_prob = labels.categorical[rows], labels.log_prob[rows]
    return replace(
        labels, categorical=categorical, log_prob=log_prob, continuous=none, continuous_names=[]
    )


def _held_out(categorical: np.ndarray, share: float, seed: int) -> np.ndarray:
    """A share of the rows (n, a), rising, spread evenly over the combinations of values."""
    mixed = numpy_generator(seed, "held-out attributes").permutation(len(categorical))
    _, kind = np.unique(categorical, axis=0, return_inverse=True)
    ordered = mixed[np.argsort(kind.reshape(-1)[mixed], kind="stable")]
    # One in 1 / share of what stands side by side.
    steps = np.floor(np.arange(len(ordered) + 1) * share).astype(int)
    return np.sort(ordered[np.diff(steps) > 0])


def _confusion(
    predicted: np.ndarray, truth: np.ndarray, cardinalities: list[int]
) -> list[np.ndarray]:
    """Counts (values, values) int64 of each attribute: true value by row, predicted one by column."""
    tables = [np.zeros((count, count), np.int64) for count in cardinalities]
    for table, wanted, found in zip(tables, truth.T, predicted.T, strict=True):
        np.add.at(table, (wanted, found), 1)
    return tables
