"""What is known for certain about a data set's images: attributes and their probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

__all__ = ["Labels", "class_numbers", "labels_of_classes", "labels_of_folders"]


@dataclass
class Labels:
    """Attributes of n images; all arrays have n rows.

    categorical: (n, a) int64, column j holding values below cardinalities[j]; names: its columns.
    continuous: (n, c) float32 of about zero mean and unit variance; continuous_names: its columns.
    log_prob: (n,) float64, the logarithm of the probability that the data's own law gives to the
    row's combination of categorical attributes. classes: names of the attributes whose combinations are
    the classes; None for all.
    """

    categorical: np.ndarray
    names: list[str]
    cardinalities: list[int]
    log_prob: np.ndarray
    continuous: np.ndarray
    continuous_names: list[str] = field(default_factory=list)
    classes: list[str] | None = None

    def __len__(self) -> int:
        return len(self.categorical)

    def head(self, n: int) -> Labels:
        """The labels of the first n images."""
        return Labels(
            categorical=self.categorical[:n],
            names=self.names,
            cardinalities=self.cardinalities,
            log_prob=self.log_prob[:n],
            continuous=self.continuous[:n],
            continuous_names=self.continuous_names,
            classes=self.classes,
        )


def class_numbers(labels: Labels) -> tuple[np.ndarray, int]:
    """The class of each image (n,) int64, and how many classes there are.

    A class is a combination of values of those categorical attributes that `labels.classes` names; with
    one attribute its value. ValueError: a name that no attribute has.
    """
    named = labels.names if labels.classes is None else labels.classes
    for name in named:
        if name not in labels.names:
            raise ValueError(
                f"classes of the data set name {name!r}: its attributes are {', '.join(labels.names)}"
            )
    places = [labels.names.index(name) for name in named]
    counts = [labels.cardinalities[place] for place in places]
    numbers = np.ravel_multi_index(tuple(labels.categorical[:, places].T), tuple(counts))
    return numbers.astype(np.int64), int(np.prod(counts))


def labels_of_classes(classes: np.ndarray) -> Labels:
    """Labels of images whose classes (n,) are known, with the log-probability of a class by its share among them."""
    share = np.bincount(classes) / len(classes)
    return Labels(
        categorical=classes.astype(np.int64)[:, None],
        names=["class"],
        cardinalities=[len(share)],
        log_prob=np.log(share[classes]),
        continuous=np.zeros((len(classes), 0), np.float32),
    )


def labels_of_folders(names: Sequence[str]) -> Labels:
    """Labels of images by the folders that they lie in, in the order of their names, as of ImageNet.

    names: paths of the images. ValueError: an image that lies in no folder.
    """
    folders = [name.rpartition("/")[0] for name in names]
    if "" in folders:
        raise ValueError(
            f"{names[folders.index('')]!r} lies in no folder, whose name would be its class: move it into one, or "
            "take class_folders out of the config"
        )
    return labels_of_classes(np.unique(folders, return_inverse=True)[1])
