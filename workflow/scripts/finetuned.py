"""Fine-tune a model with importance sampling."""

from pathlib import Path

import torch

from pseudodensity.artifacts import seal_of
from pseudodensity.control.train.finetuning import finetune
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import load_extractor
from pseudodensity.images.dataset import open_dataset
from pseudodensity.progress import Progress, logged

torch.set_num_threads(snakemake.threads)
params, source = snakemake.params, snakemake.input
spec = params.stamp["spec"]
density, steering, backbone = map(source.get, ("density", "steering", "backbone"))
total = spec["iterations"] * spec["recipe"]["batch_size"]
with logged(snakemake.log[0]):
    data = open_dataset(Path(source.data).parent)
    finetune(
        spec,
        source.parent,
        params.parent,
        data.images,
        snakemake.output[0],
        params.workdir,
        Progress(f"fine-tune {snakemake.wildcards.name}", total, "images", snakemake.log[0]),
        stamp=params.stamp,
        # What the inputs hold counts too: images may be replaced while a training is half-finished.
        code=" ".join([params.code, *map(seal_of, snakemake.input)]),
        density=PseudoDensity.load(density) if density else None,
        extractor=load_extractor(steering) if steering else None,
        backbone=load_extractor(backbone) if backbone else None,
        labels=data.labels,
        device=snakemake.resources.device,
    )
