"""Convert a public checkpoint file into ours, without running anything it holds."""

from pseudodensity.checkpoints.convert import import_checkpoint

import_checkpoint(snakemake.input.file, snakemake.params.spec, snakemake.output[0])
