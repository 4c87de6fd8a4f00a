"""List a data set by pseudo density and show its extremes."""

from pathlib import Path

import torch

from pseudodensity.artifacts import load_npy, save_json
from pseudodensity.density.network import PseudoDensity
from pseudodensity.density.quality import agreement_with_truth
from pseudodensity.images.dataset import open_dataset
from pseudodensity.neighbors import knn
from pseudodensity.papers.pseudo_density.density_figure import density_extremes
from pseudodensity.progress import Progress, logged
from pseudodensity.report.density_table import density_table
from pseudodensity.report.drawing import save
from pseudodensity.report.table import write_csv

torch.set_num_threads(snakemake.threads)
source, output = snakemake.input, snakemake.output
with logged(snakemake.log[0]):
    data = open_dataset(Path(source.data).parent)
    features, network = load_npy(source.features), PseudoDensity.load(source.density)
    density, estimated = network.labels, network(features)
    distances, indices = knn(features, features, 3, exclude_self=True)
    copies = data.manifest["duplicate_of"]
    write_csv(density_table(data.names, density, estimated, indices, distances, copies), output.csv)
    look = {**snakemake.params.look, "k": network.report["k"], "seed": network.report["seed"]}
    save(
        density_extremes({"table": output.csv, "images": source.data}, look),
        output.svg,
        output.png,
    )
    truth = agreement_with_truth(density, estimated, data.labels)
    facts = {"rejected": data.manifest["rejected"], "counts": data.manifest["counts"]}
    save_json(output.quality, {"fit": network.report, "truth": truth, **facts})
    Progress(output.csv, 1, "files", snakemake.log[0]).say("written")
