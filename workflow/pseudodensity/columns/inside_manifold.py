"""Whether each image lies in the k-NN manifold of the real images, in the features of one extractor."""

from __future__ import annotations

import numpy as np
import torch

from pseudodensity.columns.context import Context, clock
from pseudodensity.columns.pool import Column
from pseudodensity.control.move.real_manifold import RealManifold
from pseudodensity.features.extractor import extract

NAME = "inside_manifold"
TITLE = "inside the real manifold"
INPUTS = ("checkpoint", "real_features", "extractor")
COVERS = "parts"
# k: neighbours of a real image, itself not counted, to which its ball reaches.
DEFAULTS = {"extractor": None, "k": 3}


def compute(context: Context, rows: range) -> Column:
    """1 for an image (n,) float32 that lies in a ball of some real one, borders included, else 0.

    Features are those of the 8-bit images. ValueError: fewer than k + 1 real images.
    """
    extractor, began = context.extractor, clock(context.device)
    reals = torch.from_numpy(context.real_features).to(context.device)
    manifold, found = RealManifold(reals, context.settings["k"]), []
    for images in context.images(rows):
        features = extract(extractor, images, context.batch_size, context.device)
        found.append(manifold.inside(torch.from_numpy(features).to(context.device)).cpu().numpy())
    values = np.concatenate(found).astype(np.float32)
    return Column(values, seconds=clock(context.device) - began)
