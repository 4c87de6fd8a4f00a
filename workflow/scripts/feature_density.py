"""Fit how likely features of real images are; a flow that was killed goes on."""

import torch

from pseudodensity.artifacts import load_npy, seal_of
from pseudodensity.control.train.feature_density import fit
from pseudodensity.progress import Progress, logged

torch.set_num_threads(snakemake.threads)
params, source = snakemake.params, snakemake.input
spec, name = params.stamp["spec"], snakemake.wildcards.name
with logged(snakemake.log[0]):
    epochs = spec.get("epochs", 1)  # a Gaussian has none
    fit(
        load_npy(source.features),
        spec,
        params.stamp,
        seed=spec["seed"],
        code=" ".join([params.code, seal_of(source.features)]),
        path=snakemake.output[0],
        workdir=params.workdir,
        progress=Progress(f"density of features, {name}", epochs, "epochs", snakemake.log[0]),
    )
