"""Train an auxiliary network of a checkpoint."""

from pathlib import Path

import torch

from pseudodensity.artifacts import seal_of
from pseudodensity.control.auxiliary.file import train_auxiliary
from pseudodensity.control.auxiliary.workshop import Workshop
from pseudodensity.features.build import load_extractor
from pseudodensity.generators.checkpoint import load_checkpoint
from pseudodensity.images.dataset import open_dataset
from pseudodensity.progress import Progress, logged

torch.set_num_threads(snakemake.threads)
params, source = snakemake.params, snakemake.input
spec, backbone = params.stamp["spec"], source.get("backbone")
total = spec["settings"]["iterations"] * spec["settings"]["batch_size"]
with logged(snakemake.log[0]):
    workshop = Workshop(
        load_checkpoint(source.checkpoint, params.checkpoint),
        spec["settings"],
        spec["seed"],
        open_dataset(Path(source.data).parent),
        load_extractor(backbone) if backbone else None,
        spec["mirror"],
        snakemake.resources.device,
        snakemake.log[0],
    )
    train_auxiliary(
        spec["network"],
        workshop,
        snakemake.output[0],
        params.workdir,
        Progress(f"train {snakemake.wildcards.name}", total, "images", snakemake.log[0]),
        stamp=params.stamp,
        code=" ".join([params.code, *map(seal_of, source)]),
    )
