"""Convert a public checkpoint file into ours, without running anything it holds."""

from pseudodensity.checkpoints.convert import import_checkpoint
from pseudodensity.progress import Progress, logged

with logged(snakemake.log[0]):
    progress = Progress(f"public file of {snakemake.wildcards.name}", 1, "files", snakemake.log[0])
    progress.update(0)
    stamp = snakemake.params.stamp
    import_checkpoint(snakemake.input.file, stamp["spec"], snakemake.output[0], stamp)
    progress.update(1)
