"""Convert a public checkpoint file into ours, without running anything it holds."""

from pseudodensity.checkpoints.convert import import_checkpoint
from pseudodensity.progress import logged

with logged(snakemake.log[0]):
    stamp = snakemake.params.stamp
    import_checkpoint(snakemake.input.file, stamp["spec"], snakemake.output[0], stamp)
