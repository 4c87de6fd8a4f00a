"""Draw the pool of a checkpoint: features of the judges, densities, a few images."""

import torch

from pseudodensity.control.select.pool import draw_pool
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import load_extractor
from pseudodensity.generators.checkpoint import load_generator
from pseudodensity.progress import Progress
from pseudodensity.tensors import save_tensors

torch.set_num_threads(snakemake.threads)
sampling, device = snakemake.params.spec["sampling"], snakemake.resources.device
count = sampling["images"] * sampling["repeats"]
pool = draw_pool(
    load_generator(snakemake.input.checkpoint, device, snakemake.params.checkpoint_spec),
    count,
    sampling["seed"],
    dict(zip(snakemake.params.judges, map(load_extractor, snakemake.input.judges), strict=True)),
    PseudoDensity.load(snakemake.input.density).to(device),
    load_extractor(snakemake.input.steering),
    Progress(f"sample {snakemake.wildcards.samples}", count, "images", snakemake.log[0]),
    kept_images=sampling["kept_images"],
    batch_size=snakemake.resources.batch_size,
    device=device,
)
tensors = {f"features.{name}": value for name, value in pool.features.items()}
tensors |= {"density": pool.density, "images": pool.images}
save_tensors(snakemake.output[0], tensors, snakemake.params.spec, {"seconds": pool.seconds})
