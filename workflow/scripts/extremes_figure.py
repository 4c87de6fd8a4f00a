"""The extremes of density of each model, as a figure and as a table."""

from pseudodensity.figures_samples import draw_extremes, extremes_table, load_extremes
from pseudodensity.tables import write_csv

panels = load_extremes(snakemake.params.panels)
draw_extremes(panels, snakemake.output.png)
write_csv(extremes_table(panels), snakemake.output.csv)
