"""Write a table of a paper: values to compute with, to read and to paste."""

import sys
from importlib import import_module

from pseudodensity.progress import Progress, logged
from pseudodensity.report.table import write_table

params, output = snakemake.params, snakemake.output
with logged(snakemake.log[0]):
    # A plain mapping: `in` asks for names there, and for paths in Snakemake's own list.
    inputs = dict(snakemake.input.items())
    module, _, name = params.function.partition(":")
    function = getattr(import_module(f"pseudodensity.{module}"), name)
    write_table(function(inputs, params.settings), output.csv, output.md, output.tex)
    Progress(output.csv, 1, "files", snakemake.log[0]).say("written")
    if params.printed:
        module, _, name = params.printed.partition(":")
        text = getattr(import_module(f"pseudodensity.{module}"), name)
        print(text(inputs, params.settings), file=sys.stderr, flush=True)
