"""Nearest-neighbour density of the real images and the network that carries it further."""

import numpy as np
import torch

from pseudodensity.density.network import PseudoDensity

torch.set_num_threads(snakemake.threads)
settings = snakemake.params.settings
features = np.load(snakemake.input.features)
names = ("k", "n", "seed", "epochs", "batch_size")
PseudoDensity.fit(features, **{name: settings[name] for name in names}).save(snakemake.output[0])
