"""List a data set by pseudo density and show its extremes."""

from pathlib import Path

import numpy as np
import torch

from pseudodensity.artifacts import save_json
from pseudodensity.density.network import PseudoDensity
from pseudodensity.density.quality import agreement_with_truth
from pseudodensity.figures import draw_density_extremes
from pseudodensity.images.dataset import open_dataset
from pseudodensity.neighbors import knn
from pseudodensity.report.density_table import density_table
from pseudodensity.tables import write_csv

torch.set_num_threads(snakemake.threads)
data, output = open_dataset(Path(snakemake.input.data).parent), snakemake.output
features = np.load(snakemake.input.features)
network = PseudoDensity.load(snakemake.input.density)
pseudo_density, network_density = network.labels, network(features)
distances, indices = knn(features, features, 3, exclude_self=True)
duplicates = data.manifest["duplicate_of"]
table = density_table(data.names, pseudo_density, network_density, indices, distances, duplicates)
write_csv(table, output.csv)
draw_density_extremes(data.images, pseudo_density, data.names, output.png)
truth = agreement_with_truth(pseudo_density, network_density, data.labels)
facts = {"rejected": data.manifest["rejected"], "counts": data.manifest["counts"]}
save_json(output.quality, {"fit": network.report, "truth": truth, **facts})
