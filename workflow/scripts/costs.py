"""What each method costs: seconds per 1,000 images, on one model."""

import torch

from pseudodensity.artifacts import save_json
from pseudodensity.columns.context import Context
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import load_extractor
from pseudodensity.judging.costs import Bench, sampling_costs, training_costs
from pseudodensity.progress import Progress, logged

torch.set_num_threads(snakemake.threads)
source, device, log = snakemake.input, snakemake.resources.device, snakemake.log[0]
spec, name = snakemake.params.stamp["spec"], snakemake.wildcards.name
with logged(log):
    context = Context(
        source,
        snakemake.params.checkpoint,
        spec["sampling_seed"],
        {},
        Progress(f"columns for the costs of {name}", spec["proposals"], "images", log),
        spec["proposals"],
        device,
    )
    bench = Bench(
        context,
        PseudoDensity.load(source.density).to(device),
        load_extractor(source.steering).to(device),
        spec["proposals"],
        spec["repeats"],
    )
    progress = Progress(f"cost of sampling {name}", len(spec["points"]), "methods", log)
    sampling = sampling_costs(bench, spec["points"], spec["few"], progress)
    training = []
    if spec["training"]:
        progress = Progress(f"cost of training {name}", 2, "methods", log)
        training = training_costs(bench, spec["training"], spec["training_steps"], progress)
    save_json(snakemake.output[0], {"sampling": sampling, "training": training, "device": device})
