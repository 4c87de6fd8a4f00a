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
from pseudodensity.tables import density_table, write_csv

torch.set_num_threads(snakemake.threads)
data, output = open_dataset(Path(snakemake.input.data).parent), snakemake.output
features = np.load(snakemake.input.features)
density = PseudoDensity.load(snakemake.input.density)
values, labels = density(features), density.labels
distances, indices = knn(features, features, 3, exclude_self=True)
duplicates = data.manifest["duplicate_of"]
write_csv(density_table(data.names, values, labels, indices, distances, duplicates), output.csv)
draw_density_extremes(data.images, labels, data.names, output.png)
truth = agreement_with_truth(values, labels, data.labels)
facts = {"rejected": data.manifest["rejected"], "counts": data.manifest["counts"]}
save_json(output.quality, {"fit": density.report, "truth": truth, **facts})
