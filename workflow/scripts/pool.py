"""Draw a part of a pool, and describe each image: judged features, pseudo density."""

import torch

from pseudodensity.columns.context import Context
from pseudodensity.columns.described import draw_part
from pseudodensity.progress import Progress, logged

torch.set_num_threads(snakemake.threads)
params, resources = snakemake.params, snakemake.resources
folder, (start, stop) = snakemake.wildcards.folder, map(int, snakemake.wildcards.rows.split("-"))
spec = params.stamp["spec"]
with logged(snakemake.log[0]):
    context = Context(
        snakemake.input,
        params.checkpoint,
        spec["seed"],
        {},
        Progress(f"pool {folder}, {start}-{stop}", stop - start, "images", snakemake.log[0]),
        resources.batch_size,
        resources.device,
        point=spec["point"],
    )
    stamp = {**params.stamp, "rows": [start, stop]}
    draw_part(
        context,
        params.judges,
        range(start, stop),
        snakemake.output.described,
        stamp,
        resources.kept,
    )
