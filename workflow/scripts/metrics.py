"""Metrics of each sampling repeat of a checkpoint."""

import numpy as np
import torch

from pseudodensity.artifacts import load_tensors, save_json
from pseudodensity.generators.checkpoint import load_checkpoint
from pseudodensity.metrics.evaluate import evaluate, real_sides

torch.set_num_threads(snakemake.threads)
roles, sampling = snakemake.params.roles, snakemake.params.sampling
real = dict(zip(snakemake.params.judges, map(np.load, snakemake.input.real), strict=True))
k, repeats = snakemake.params.spec["k"], []
real = real_sides(real, roles, k)
tensors, _ = load_tensors(snakemake.input.samples)
for repeat in range(sampling["repeats"]):
    rows = slice(repeat * sampling["images"], (repeat + 1) * sampling["images"])
    fake = {role: tensors[f"features.{name}"][rows].numpy() for role, name in roles.items()}
    density = float(tensors["density"][rows].double().mean())
    repeats.append({**evaluate(real, fake, k), "mean_density": density})
facts = {"checkpoint": snakemake.wildcards.metrics, "k": k, "repeats": repeats}
facts |= {"n_real": len(real["manifold"]), "n_fake": sampling["images"]}
facts["acceptance"] = load_checkpoint(snakemake.input.checkpoint).facts.get("acceptance")
save_json(snakemake.output[0], facts)
