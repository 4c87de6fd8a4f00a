"""Features of all images of a data set."""

from pathlib import Path

import torch

from pseudodensity.artifacts import save_npy
from pseudodensity.features.build import load_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.images.dataset import open_dataset

torch.set_num_threads(snakemake.threads)
data = open_dataset(Path(snakemake.input.data).parent)
extractor = load_extractor(snakemake.input.extractor)
save_npy(snakemake.output[0], extract(extractor, data.images, device=snakemake.resources.device))
