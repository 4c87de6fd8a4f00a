"""Add a column to a part of a pool."""

from importlib import import_module

import torch

from pseudodensity.columns.context import Context
from pseudodensity.columns.pool import save_column
from pseudodensity.plan.methods import column_module
from pseudodensity.progress import Progress, logged

torch.set_num_threads(snakemake.threads)
params, resources, wildcards = snakemake.params, snakemake.resources, snakemake.wildcards
spec, point = params.stamp["spec"], params.pool["spec"]["point"]
rows = range(*map(int, wildcards.rows.split("-")))
with logged(snakemake.log[0]):
    context = Context(
        snakemake.input,
        params.checkpoint,
        params.pool["spec"]["seed"],
        spec["settings"],
        Progress(
            f"{wildcards.name} of {wildcards.folder}, {wildcards.rows}",
            len(rows),
            log=snakemake.log[0],
        ),
        resources.batch_size,
        resources.device,
        stored=snakemake.input.images,
        point=point,
    )
    module = import_module(f"pseudodensity.{column_module(spec['column'])}")
    column = module.compute(context, rows)
    save_column(snakemake.output[0], column, {**params.stamp, "rows": [rows.start, rows.stop]})
