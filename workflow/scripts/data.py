"""Decode a data set into images.npy, labels and a manifest."""

from pathlib import Path

from pseudodensity.images.building import build_dataset
from pseudodensity.progress import logged

with logged(snakemake.log[0]):
    folder = Path(snakemake.output.manifest).parent
    build_dataset(snakemake.params.settings["settings"], folder)
