"""The precision-recall frontiers of one or several models, as a figure and as a table."""

from pseudodensity.artifacts import load_json
from pseudodensity.frontier_figures import draw_frontiers
from pseudodensity.frontier_tables import frontier_table
from pseudodensity.tables import write_csv

panels = snakemake.params.panels
table = frontier_table(panels, [load_json(panel["scores"]) for panel in panels])
write_csv(table, snakemake.output.csv)
draw_frontiers(table, snakemake.output.svg, snakemake.params.judges)
