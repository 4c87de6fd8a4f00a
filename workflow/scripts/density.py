"""Nearest-neighbour density of the real images and the network that carries it further."""

import torch

from pseudodensity.artifacts import load_npy
from pseudodensity.density.network import PseudoDensity
from pseudodensity.progress import Progress, logged

torch.set_num_threads(snakemake.threads)
settings = snakemake.params.stamp["spec"]
with logged(snakemake.log[0]):
    density = PseudoDensity.fit(
        load_npy(snakemake.input.features),
        k=settings["k"],
        n=settings["n"],
        seed=settings["seed"],
        epochs=settings["epochs"],
        batch_size=settings["batch_size"],
        dedup=settings["dedup"],
        progress=Progress(
            f"density of {snakemake.wildcards.name}", settings["epochs"], "epochs", snakemake.log[0]
        ),
    )
    density.save(snakemake.output[0])
