"""Features of all images of a data set."""

from pathlib import Path

import torch

from pseudodensity.artifacts import save_npy
from pseudodensity.features.build import load_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.images.dataset import open_dataset
from pseudodensity.progress import Progress, logged

torch.set_num_threads(snakemake.threads)
with logged(snakemake.log[0]):
    data = open_dataset(Path(snakemake.input.data).parent)
    features = extract(
        load_extractor(snakemake.input.extractor),
        data.images,
        min(500, snakemake.resources.batch_size),
        snakemake.resources.device,
        Progress(f"features {snakemake.wildcards.name}", len(data), log=snakemake.log[0]),
    )
    save_npy(snakemake.output[0], features)
