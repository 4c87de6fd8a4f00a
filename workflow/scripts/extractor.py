"""Train a small extractor, or check the local file of a public one."""

from pathlib import Path

import torch

from pseudodensity.features.build import build_extractor, save_extractor
from pseudodensity.features.training import TrainingSet, train_extractor
from pseudodensity.images.dataset import open_dataset
from pseudodensity.progress import Progress, logged

torch.set_num_threads(snakemake.threads)
spec = snakemake.params.stamp["spec"]
settings = dict(spec["settings"])
training = settings.pop("training", {})
label = f"extractor {snakemake.wildcards.name}"
with logged(snakemake.log[0]):
    progress = Progress(label, training.get("epochs", 0), "epochs", snakemake.log[0])
    if spec["trained_on"]:
        opened = [open_dataset(Path(path).parent) for path in snakemake.input.data]
        sets = [
            TrainingSet(name, data.images, data.labels, mirror)
            for name, data, mirror in zip(spec["trained_on"], opened, spec["mirror"], strict=True)
        ]
        extractor, report = train_extractor(settings, sets, **training, progress=progress)
    else:
        progress.say("reading its weights")
        # A packaged one finds its file itself.
        files = {"weights": snakemake.input.weights} if "sha256" in settings else {}
        if "head_sha256" in settings:
            files["head_weights"] = snakemake.input.head_weights
        extractor, report = build_extractor({**settings, **files}), {}
    save_extractor(snakemake.output[0], extractor, report)
