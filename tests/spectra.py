"""Columns of singular values with given volumes."""

import numpy as np

from pseudodensity.columns.pool import Column


def column_of_volumes(volumes, space="pixel"):
    """One singular value for each latent, whose log (n,) is the volume of any `top`."""
    values = np.asarray(volumes)[:, None, None]
    return Column(values, facts={"spaces": [space], "tolerance": [1e-6]})
