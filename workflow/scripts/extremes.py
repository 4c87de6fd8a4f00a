"""The least and the most dense samples of a model, and real images at the same percentiles."""

import numpy as np
import torch

from pseudodensity.control.select.extremes import density_extremes
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import load_extractor
from pseudodensity.generators.checkpoint import load_generator
from pseudodensity.progress import Progress
from pseudodensity.tensors import save_tensors

torch.set_num_threads(snakemake.threads)
spec, source, device = snakemake.params.spec, snakemake.input, snakemake.resources.device
title = f"extremes of {snakemake.wildcards.extremes}"
found = density_extremes(
    load_generator(source.checkpoint, device, snakemake.params.checkpoint_spec),
    PseudoDensity.load(source.density),
    load_extractor(source.steering),
    np.load(source.data, mmap_mode="r"),
    np.load(source.features),
    spec,
    Progress(title, spec["generations"], "images", snakemake.log[0]),
    batch_size=snakemake.resources.batch_size,
    device=device,
)
save_tensors(snakemake.output[0], vars(found), spec)
