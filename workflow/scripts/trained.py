"""Train a model from scratch."""

from pathlib import Path

import torch

from pseudodensity.artifacts import seal_of
from pseudodensity.control.train.pretraining import pretrain
from pseudodensity.features.build import load_extractor
from pseudodensity.images.dataset import open_dataset
from pseudodensity.progress import Progress, logged

torch.set_num_threads(snakemake.threads)
params, backbone = snakemake.params, snakemake.input.get("backbone")
spec = params.stamp["spec"]
total = spec["iterations"] * spec["recipe"]["batch_size"]
with logged(snakemake.log[0]):
    data = open_dataset(Path(snakemake.input.data).parent)
    pretrain(
        spec,
        data.images,
        snakemake.output[0],
        params.workdir,
        Progress(f"train {snakemake.wildcards.name}", total, "images", snakemake.log[0]),
        stamp=params.stamp,
        # What the inputs hold counts too: images may be replaced while a training is half-finished.
        code=" ".join([params.code, *map(seal_of, snakemake.input)]),
        backbone=load_extractor(backbone) if backbone else None,
        labels=data.labels,
        device=snakemake.resources.device,
    )
