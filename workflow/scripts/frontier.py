"""Choose and judge every point of a frontier from the pool of a checkpoint."""

import numpy as np
import torch

from pseudodensity.artifacts import save_json
from pseudodensity.density.network import PseudoDensity
from pseudodensity.frontier import Judgement, measure_frontier, open_pool
from pseudodensity.progress import Progress

torch.set_num_threads(snakemake.threads)
spec, points = snakemake.params.spec, snakemake.params.spec["points"]
real = dict(zip(snakemake.params.judges, map(np.load, snakemake.input.real), strict=True))
judgement = Judgement.of(real, snakemake.params.roles, spec)
density = PseudoDensity.load(snakemake.input.density)
pool = open_pool(snakemake.input.pool, density, snakemake.params.seed)
title = f"frontier {snakemake.wildcards.frontier}"
progress = Progress(title, len(points), "points", snakemake.log[0])
measured = measure_frontier(pool, points, judgement, progress)
save_json(snakemake.output[0], {**judgement.facts(), **pool.facts(), "points": measured})
