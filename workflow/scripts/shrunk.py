"""A small copy of a figure, to be versioned."""

from pseudodensity.progress import Progress, logged
from pseudodensity.report.findings import shrink

with logged(snakemake.log[0]):
    shrink(snakemake.input[0], snakemake.output[0])
    Progress(snakemake.output[0], 1, "files", snakemake.log[0]).say("written")
