"""Decode a data set into images.npy, labels and a manifest."""

from pathlib import Path

from pseudodensity.images.dataset import build_dataset

build_dataset(snakemake.params.spec, Path(snakemake.output.manifest).parent)
