"""The least and the most dense samples of a model, and real images at the same percentiles."""

import torch

from pseudodensity.artifacts import load_npy
from pseudodensity.columns.context import Context
from pseudodensity.columns.pool import open_pool
from pseudodensity.control.select.extremes import density_extremes
from pseudodensity.density.network import PseudoDensity
from pseudodensity.progress import Progress, logged
from pseudodensity.tensors import save_tensors

torch.set_num_threads(snakemake.threads)
source, params = snakemake.input, snakemake.params
spec = params.stamp["spec"]
progress = Progress(
    f"extremes of {snakemake.wildcards.name}", 2 * spec["images"], log=snakemake.log[0]
)
with logged(snakemake.log[0]):
    progress.update(0)
    density = PseudoDensity.load(source.density)
    context = Context(
        source,
        params.checkpoint,
        spec["seed"],
        {},
        progress,
        snakemake.resources.batch_size,
        snakemake.resources.device,
    )
    found = density_extremes(
        open_pool(params.pool["parts"], {}, density.labels, spec["seed"]),
        context.draw,
        density,
        load_npy(source.data, mapped=True),
        load_npy(source.features),
        spec["generations"],
        spec["images"],
    )
    progress.update(2 * spec["images"])
    save_tensors(snakemake.output[0], vars(found), params.stamp)
