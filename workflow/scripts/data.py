"""Decode a data set into images.npy, labels and a manifest."""

from pathlib import Path

from pseudodensity.images.building import build_dataset
from pseudodensity.progress import Progress, logged

with logged(snakemake.log[0]):
    folder = Path(snakemake.output.manifest).parent
    progress = Progress(f"data of {snakemake.wildcards.name}", 0, log=snakemake.log[0])
    build_dataset(snakemake.params.settings["settings"], folder, progress=progress)
