"""What one metric says of some sets of images."""

from importlib import import_module
from pathlib import Path

import torch

from pseudodensity.artifacts import load_npy, save_json
from pseudodensity.density.network import PseudoDensity
from pseudodensity.images.dataset import open_labels
from pseudodensity.images.labels import class_numbers
from pseudodensity.judging.scoring import Judge, measure
from pseudodensity.plan.methods import metric_module
from pseudodensity.progress import Progress, logged

torch.set_num_threads(snakemake.threads)
spec, items, source = (
    snakemake.params.stamp["spec"],
    snakemake.params.sets["items"],
    snakemake.input,
)
real = source.get("real")
with logged(snakemake.log[0]):
    metric = import_module(f"pseudodensity.{metric_module(spec['metric'])}")
    labels = open_labels(Path(source.data).parent) if "labels" in metric.NEEDS else None
    judge = Judge(
        metric,
        spec["settings"],
        spec["extractor"],
        load_npy(real) if real else None,
        # Other metrics ask how many there are, and need not wait for a look at every byte.
        load_npy(source.data, mapped=True, checked="images" in metric.NEEDS),
        None if labels is None else class_numbers(labels)[0],
    )
    found = measure(
        items,
        judge,
        PseudoDensity.load(source.density).labels,
        snakemake.params.seed,
        spec["images"],
        spec["repeats"],
        Progress(f"score {snakemake.wildcards.name}", len(items), "sets", snakemake.log[0]),
    )
    names = ("metric", "settings", "extractor")
    save_json(snakemake.output[0], {**{name: spec[name] for name in names}, **found})
