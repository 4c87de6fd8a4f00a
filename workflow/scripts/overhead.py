"""What each method costs: seconds per 1,000 images, beside the closed form and the paper."""

from pathlib import Path

import pandas as pd
import torch

from pseudodensity.control.select.critic import open_critic
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import load_extractor
from pseudodensity.generators.checkpoint import load_checkpoint
from pseudodensity.images.dataset import open_dataset
from pseudodensity.overhead import Bench, sampling_costs, training_costs
from pseudodensity.progress import Progress
from pseudodensity.tables_overhead import overhead_table, write_overhead

torch.set_num_threads(snakemake.threads)
settings, source, output = snakemake.params.settings, snakemake.input, snakemake.output
spec, device = snakemake.params.checkpoint_spec, snakemake.resources.device
backbone = load_extractor(source.backbone) if source.get("backbone") else None
data, proposals = open_dataset(Path(source.data).parent), settings["proposals"]
checkpoint, steps = load_checkpoint(source.checkpoint, spec), settings["training_steps"]
bench = Bench(
    checkpoint.frozen_generator(device),
    open_critic(source.checkpoint, data, proposals, backbone, device),
    PseudoDensity.load(source.density).to(device),
    load_extractor(source.steering).to(device),
    data.images,
    *(settings["seed"], proposals, settings["repeats"], device),
)
log = snakemake.log[0]
sampling = sampling_costs(bench, settings, Progress("cost of sampling", 1, "methods", log))
progress = Progress("cost of training", 2, "methods", log)
given = (bench, checkpoint, settings["training"], steps, progress)
training = training_costs(*given, backbone=backbone)
table = overhead_table(sampling, training, pd.read_csv(source.reported))
write_overhead(table, output.csv, output.md, {**settings, "device": device})
