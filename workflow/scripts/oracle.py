"""Metrics of real images that are reweighted as the rows of Table 1 ask."""

from pathlib import Path

import numpy as np
import torch

from pseudodensity.artifacts import save_json
from pseudodensity.control.select.oracle import reweighted_sets
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import load_extractor
from pseudodensity.images.dataset import open_dataset
from pseudodensity.metrics.evaluate import evaluate, real_sides
from pseudodensity.progress import Progress

torch.set_num_threads(snakemake.threads)
spec, roles, names = snakemake.params.spec, snakemake.params.roles, snakemake.params.judges
count = spec["sampling"]["images"] * spec["sampling"]["repeats"]
sets, how = reweighted_sets(
    open_dataset(Path(snakemake.input.data).parent),
    spec["settings"],
    spec["sampling"],
    dict(zip(names, map(load_extractor, snakemake.input.judges), strict=True)),
    dict(zip(names, map(np.load, snakemake.input.real), strict=True)),
    PseudoDensity.load(snakemake.input.density),
    load_extractor(snakemake.input.steering),
    Progress(f"oracle of {snakemake.params.title}", count, "images", snakemake.log[0]),
)
# Settings share their real images.
real_features = {id(real): real for setting in sets for real, _, _ in setting["repeats"]}
sides = {key: real_sides(real, roles, spec["k"]) for key, real in real_features.items()}
for setting in sets:
    setting["repeats"] = [
        {**evaluate(sides[id(real)], {r: fake[n] for r, n in roles.items()}, spec["k"]), **facts}
        for real, fake, facts in setting["repeats"]
    ]
counts = {key: sets[0]["repeats"][0][key] for key in ("n_fake", "n_real")}
facts = {"how": how, "k": spec["k"], **counts}
save_json(snakemake.output[0], {**facts, "settings": sets})
