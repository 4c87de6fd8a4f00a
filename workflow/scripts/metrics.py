"""Metrics of each sampling repeat of every row of a block."""

import numpy as np
import torch

from pseudodensity.artifacts import save_json
from pseudodensity.generators.checkpoint import load_checkpoint
from pseudodensity.metrics.evaluate import evaluate, real_sides
from pseudodensity.tensors import load_tensors

torch.set_num_threads(snakemake.threads)
inputs, given = snakemake.input, snakemake.params
roles, images = given.roles, given.sampling["images"]
features = dict(zip(given.judges, map(np.load, inputs.real), strict=True))
real, rows = real_sides(features, roles, given.k), {}
for row, samples, checkpoint in zip(given.rows, inputs.samples, inputs.checkpoints, strict=True):
    tensors, _ = load_tensors(samples)
    repeats = []
    for start in range(0, given.sampling["repeats"] * images, images):
        part = slice(start, start + images)
        fake = {role: tensors[f"features.{name}"][part].numpy() for role, name in roles.items()}
        density = float(tensors["density"][part].double().mean())
        repeats.append({**evaluate(real, fake, given.k), "mean_density": density})
    acceptance = load_checkpoint(checkpoint).facts.get("acceptance")
    rows[row] = {"repeats": repeats, "acceptance": acceptance}
facts = {"k": given.k, "n_real": len(features[roles["manifold"]]), "n_fake": images}
save_json(snakemake.output[0], {**facts, "rows": rows})
