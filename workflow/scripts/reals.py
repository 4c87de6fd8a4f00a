"""Describe real images as a pool: fresh ones where their law is known, else the data set."""

from pathlib import Path

import torch

from pseudodensity.columns.reals import describe_reals
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import load_extractor
from pseudodensity.images.dataset import open_dataset
from pseudodensity.progress import Progress, logged

torch.set_num_threads(snakemake.threads)
params, source, rows = snakemake.params, snakemake.input, snakemake.wildcards.rows
stamp, folder = {**params.stamp, "rows": rows}, snakemake.wildcards.folder
with logged(snakemake.log[0]):
    data = open_dataset(Path(source.data).parent)
    span = range(len(data)) if rows == "all" else range(*map(int, rows.split("-")))
    describe_reals(
        data,
        span,
        params.stamp["spec"]["fresh"],
        dict(zip(params.judges, map(load_extractor, source.judges), strict=True)),
        PseudoDensity.load(source.density),
        load_extractor(source.steering),
        Progress(f"real images {folder}, {rows}", len(span), log=snakemake.log[0]),
        snakemake.output.described,
        stamp,
        snakemake.resources.kept,
        batch_size=snakemake.resources.batch_size,
        device=snakemake.resources.device,
    )
