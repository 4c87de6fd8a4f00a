"""Move samples of a model towards more and less of an objective."""

import torch

from pseudodensity.artifacts import load_npy
from pseudodensity.control.move.moved_samples import checkpoint_objective, move_samples
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import load_extractor
from pseudodensity.generators.checkpoint import load_checkpoint
from pseudodensity.generators.loading import open_generator
from pseudodensity.progress import Progress, logged
from pseudodensity.tensors import save_tensors

torch.set_num_threads(snakemake.threads)
source, device, stamp = snakemake.input, snakemake.resources.device, snakemake.params.stamp
spec, backbone = stamp["spec"], source.get("backbone")
progress = Progress(f"move {snakemake.wildcards.name}", 3 * spec["images"], log=snakemake.log[0])
with logged(snakemake.log[0]):
    density, steering = PseudoDensity.load(source.density), load_extractor(source.steering)
    origin = snakemake.params.checkpoint
    # A generator of one's own is no checkpoint, and has no discriminator.
    is_climbed = spec["objective"] == "discriminator"
    checkpoint = load_checkpoint(source.checkpoint, origin) if is_climbed else None
    objective = checkpoint_objective(
        spec["objective"],
        checkpoint,
        density,
        steering,
        load_npy(source.data, mapped=True),
        backbone=load_extractor(backbone) if backbone else None,
        device=device,
    )
    panel = move_samples(
        open_generator(source.checkpoint, origin, device),
        objective,
        density,
        steering,
        spec,
        progress,
        batch_size=snakemake.resources.batch_size,
        device=device,
    )
    save_tensors(snakemake.output[0], vars(panel), stamp)
