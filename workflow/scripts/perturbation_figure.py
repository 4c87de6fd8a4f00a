"""Perturbed samples with their densities, as a figure and as a table."""

from pseudodensity.figures_samples import draw_perturbation, load_panels, perturbation_table
from pseudodensity.tables import write_csv

panels = load_panels(snakemake.params.panels)
draw_perturbation(panels, snakemake.output.png)
write_csv(perturbation_table(panels), snakemake.output.csv)
