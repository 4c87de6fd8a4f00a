"""Fine-tune a model with importance sampling."""

from pathlib import Path

import torch

from pseudodensity.control.train.checkpoint import finetune
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import load_extractor
from pseudodensity.images.dataset import open_dataset
from pseudodensity.progress import Progress

torch.set_num_threads(snakemake.threads)
spec = snakemake.params.spec
density, extractor, backbone = map(snakemake.input.get, ("density", "extractor", "backbone"))
total = spec["iterations"] * spec["recipe"]["batch_size"]
finetune(
    spec,
    snakemake.input.parent,
    snakemake.params.parent_spec,
    open_dataset(Path(snakemake.input.data).parent).images,
    snakemake.output[0],
    snakemake.params.workdir,
    Progress(f"fine-tune {snakemake.wildcards.checkpoint}", total, "images", snakemake.log[0]),
    density=PseudoDensity.load(density) if density else None,
    extractor=load_extractor(extractor) if extractor else None,
    backbone=load_extractor(backbone) if backbone else None,
    device=snakemake.resources.device,
)
