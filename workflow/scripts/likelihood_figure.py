"""Precision and recall of importance sampling by likelihood and by pseudo density."""

from pseudodensity.artifacts import load_json
from pseudodensity.figures_likelihood import draw_likelihood, likelihood_table
from pseudodensity.tables import write_csv

likelihood = load_json(snakemake.input.likelihood)
table = likelihood_table(snakemake.params.panel, load_json(snakemake.input.density), likelihood)
write_csv(table, snakemake.output.csv)
draw_likelihood(table, likelihood["facts"], snakemake.output.svg, snakemake.params.judges)
