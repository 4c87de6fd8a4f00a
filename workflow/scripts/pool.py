"""Draw the pool of a checkpoint, or extend it: all that the points of its frontier need."""

from pathlib import Path

import torch

from pseudodensity.artifacts import file_sha256
from pseudodensity.control.select.critic import open_critic
from pseudodensity.control.select.growing import Demand, PoolWriter
from pseudodensity.control.select.proposals import Proposer
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import load_extractor
from pseudodensity.generators.opening import open_generator
from pseudodensity.images.dataset import open_dataset
from pseudodensity.progress import Progress

torch.set_num_threads(snakemake.threads)
params, source, device = snakemake.params, snakemake.input, snakemake.resources.device
backbone = load_extractor(source.backbone) if source.backbone else None
reals = open_dataset(Path(source.data).parent) if source.data else None
path, count = source.checkpoint, 2 * params.demand["images"]
proposer = Proposer(
    open_generator(path, params.checkpoint_spec, device),
    dict(zip(params.judges, map(load_extractor, source.judges), strict=True)),
    PseudoDensity.load(source.density).to(device),
    load_extractor(source.steering),
    params.spec["seed"],
    open_critic(path, reals, count, backbone, device) if reals else None,
    batch_size=snakemake.resources.batch_size,
    device=device,
)
# What was drawn by other files than these is drawn again.
stamp = {"spec": params.spec, "files": {name: file_sha256(name) for name in source}}
progress = Progress(f"pool {snakemake.wildcards.pool}", 1, "images", snakemake.log[0])
folder = Path(snakemake.output[0]).parent
PoolWriter(folder, proposer, Demand(**params.demand), stamp, progress).write()
