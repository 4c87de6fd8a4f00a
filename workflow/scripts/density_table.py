"""List a data set by pseudo density, with near-duplicates, and show its extremes."""

from pathlib import Path

import torch

from pseudodensity.artifacts import load_npy
from pseudodensity.density.network import PseudoDensity
from pseudodensity.images.dataset import open_dataset
from pseudodensity.progress import Progress, logged
from pseudodensity.rank.outputs import Outputs, rank_images

torch.set_num_threads(snakemake.threads)
source, output = snakemake.input, snakemake.output
with logged(snakemake.log[0]):
    data = open_dataset(Path(source.data).parent)
    network = PseudoDensity.load(source.density)
    asked = {"k": network.report["k"], "n": network.report["n"], "notes": []}
    rank_images(
        Outputs(*map(Path, (output.csv, output.json, output.png, output.svg, output.html))),
        data,
        load_npy(source.features),
        network,
        {**snakemake.params.look, **asked},
    )
    Progress(output.csv, 1, "files", snakemake.log[0]).say("written")
