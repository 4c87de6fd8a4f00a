"""Importance sampling by exact likelihood, from the pool that serves pseudo density too."""

import numpy as np
import torch

from pseudodensity.artifacts import save_json
from pseudodensity.control.select.likelihood import image_log_likelihoods, proposal_log_likelihoods
from pseudodensity.density.network import PseudoDensity
from pseudodensity.frontier import Judgement, open_pool
from pseudodensity.generators.checkpoint import load_generator
from pseudodensity.likelihood_frontier import likelihood_facts, measure_likelihood_frontier
from pseudodensity.progress import Progress

torch.set_num_threads(snakemake.threads)
params, source, resources = snakemake.params, snakemake.input, snakemake.resources
spec, log = params.spec, snakemake.log[0]
real = dict(zip(params.judges, map(np.load, source.real), strict=True))
judgement = Judgement.of(real, params.roles, spec)
pool = open_pool(source.pool, PseudoDensity.load(source.density), params.seed)
generator = load_generator(source.checkpoint, resources.device, params.checkpoint_spec)
how = {"batch_size": resources.batch_size, "device": resources.device}
count = len(pool.proposals)
progress = Progress("likelihoods", count, "images", log)
fakes = proposal_log_likelihoods(generator, params.seed, count, progress, **how)
reals = image_log_likelihoods(generator, np.load(source.data, mmap_mode="r"), **how)
facts = likelihood_facts(pool.proposals.density, fakes, reals)
progress = Progress("frontier by likelihood", len(spec["points"]), "points", log)
points = measure_likelihood_frontier(pool, fakes, reals, spec["points"], judgement, progress)
scores = {**judgement.facts(), **pool.facts(), "points": points}
save_json(snakemake.output[0], {**scores, "facts": facts})
