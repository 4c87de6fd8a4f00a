"""Move samples of a model towards more and less of an objective."""

import numpy as np
import torch

from pseudodensity.control.move.panel import checkpoint_objective, perturbation_panel
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import load_extractor
from pseudodensity.generators.checkpoint import load_checkpoint
from pseudodensity.progress import Progress
from pseudodensity.tensors import save_tensors

torch.set_num_threads(snakemake.threads)
spec, device, backbone = (
    snakemake.params.spec,
    snakemake.resources.device,
    snakemake.input.get("backbone"),
)
density = PseudoDensity.load(snakemake.input.density)
steering = load_extractor(snakemake.input.steering)
checkpoint = load_checkpoint(snakemake.input.checkpoint, snakemake.params.checkpoint_spec)
objective = checkpoint_objective(
    spec["objective"],
    checkpoint,
    density,
    steering,
    np.load(snakemake.input.data, mmap_mode="r"),
    backbone=load_extractor(backbone) if backbone else None,
    device=device,
)
panel = perturbation_panel(
    checkpoint.frozen_generator(device),
    *(objective, density, steering, spec),
    Progress(f"perturb {snakemake.wildcards.perturbed}", 3 * spec["images"], log=snakemake.log[0]),
    batch_size=snakemake.resources.batch_size,
    device=device,
)
save_tensors(snakemake.output[0], vars(panel), spec)
