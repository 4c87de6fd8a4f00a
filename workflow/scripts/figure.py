"""Draw a figure of a paper."""

from importlib import import_module

from pseudodensity.progress import Progress, logged
from pseudodensity.report.drawing import save

params, output = snakemake.params, snakemake.output
with logged(snakemake.log[0]):
    # A plain mapping: `in` asks for names there, and for paths in Snakemake's own list.
    inputs = dict(snakemake.input.items())
    module, _, name = params.function.partition(":")
    function = getattr(import_module(f"pseudodensity.{module}"), name)
    save(function(inputs, params.settings), output.svg, output.png)
    Progress(output.svg, 1, "files", snakemake.log[0]).say("written")
