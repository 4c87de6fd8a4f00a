"""Write the findings of a run, with its small pictures."""

from pseudodensity.progress import Progress, logged
from pseudodensity.report.findings import write_findings

with logged(snakemake.log[0]):
    write_findings(snakemake.input, snakemake.params, snakemake.output[0])
    Progress(snakemake.output[0], 1, "files", snakemake.log[0]).say("written")
