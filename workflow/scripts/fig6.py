"""Every method on one model, and what each does to FID."""

from pseudodensity.artifacts import load_json
from pseudodensity.frontier_figures import draw_methods
from pseudodensity.frontier_tables import frontier_table
from pseudodensity.tables import write_csv

panels = snakemake.params.panels
table = frontier_table(panels, [load_json(panel["scores"]) for panel in panels])
write_csv(table, snakemake.output.csv)
draw_methods(table, snakemake.output.svg, snakemake.params.judges)
