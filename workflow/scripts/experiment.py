"""Run a paper's own computation and keep what comes out."""

from importlib import import_module

import torch

from pseudodensity.progress import Progress, logged
from pseudodensity.tensors import save_tensors

torch.set_num_threads(snakemake.threads)
stamp, name = snakemake.params.stamp, snakemake.wildcards.name
progress = Progress(name, 1, "experiments", snakemake.log[0])
with logged(snakemake.log[0]):
    # A plain mapping: `in` asks for names there, and for paths in Snakemake's own list.
    inputs = dict(snakemake.input.items())
    module, _, called = stamp["spec"]["function"].partition(":")
    function = getattr(import_module(f"pseudodensity.{module}"), called)
    # Where it runs is no part of what it is.
    settings = stamp["spec"]["settings"] | {"device": snakemake.resources.device}
    arrays, facts = function(inputs, settings)
    save_tensors(snakemake.output[0], arrays, stamp, facts)
    progress.say("done")
