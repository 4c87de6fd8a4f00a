"""scikit-learn's handwritten digits: small, but real photographs of ink."""

from __future__ import annotations

import numpy as np
import torch

from pseudodensity.images.labels import Labels
from pseudodensity.images.transform import resize, to_uint8


def load(resolution: int) -> tuple[np.ndarray, Labels]:
    """All 1,797 digits as uint8 (n, 3, R, R) and their classes.

    The log-probability of a class is that of its share among the 1,797.
    """
    # Imported here: it takes seconds, and every job that opens a data set imports this module.
    from sklearn.datasets import load_digits

    digits = load_digits()
    grey = torch.from_numpy(digits.images.astype(np.float32) / 8 - 1)[:, None]
    images = to_uint8(resize(grey, resolution)).expand(-1, 3, -1, -1)
    classes = digits.target.astype(np.int64)
    share = np.bincount(classes) / len(classes)
    labels = Labels(
        categorical=classes[:, None],
        names=["digit"],
        cardinalities=[len(share)],
        log_prob=np.log(share)[classes],
        continuous=np.zeros((len(classes), 0), np.float32),
    )
    return images.contiguous().numpy(), labels
