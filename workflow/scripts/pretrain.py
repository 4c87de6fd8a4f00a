"""Train a model from scratch."""

from pathlib import Path

import torch

from pseudodensity.control.train.checkpoint import pretrain
from pseudodensity.features.build import load_extractor
from pseudodensity.images.dataset import open_dataset
from pseudodensity.progress import Progress

torch.set_num_threads(snakemake.threads)
spec, backbone = snakemake.params.spec, snakemake.input.get("backbone")
total = spec["iterations"] * spec["recipe"]["batch_size"]
pretrain(
    spec,
    open_dataset(Path(snakemake.input.data).parent).images,
    snakemake.output[0],
    snakemake.params.workdir,
    Progress(f"train {snakemake.wildcards.checkpoint}", total, "images", snakemake.log[0]),
    backbone=load_extractor(backbone) if backbone else None,
    device=snakemake.resources.device,
)
