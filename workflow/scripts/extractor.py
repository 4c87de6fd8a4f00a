"""Train a small extractor, or check the local file of a public one."""

from pathlib import Path

import torch

from pseudodensity.features.build import build_extractor, save_extractor
from pseudodensity.features.training import TrainingSet, train_extractor
from pseudodensity.images.dataset import open_dataset

torch.set_num_threads(snakemake.threads)
settings = dict(snakemake.params.settings)
names, training = settings.pop("trained_on", []), settings.pop("training", {})
if names:
    opened = [open_dataset(Path(path).parent) for path in snakemake.input.data]
    sets = [
        TrainingSet(name, data.images, data.labels, mirror)
        for name, data, mirror in zip(names, opened, snakemake.params.mirror, strict=True)
    ]
    extractor, report = train_extractor(settings, sets, **training)
else:
    extractor, report = build_extractor(settings), {}
save_extractor(snakemake.output[0], extractor, report)
