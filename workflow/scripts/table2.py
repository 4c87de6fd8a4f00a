"""The best settings of importance sampling for each model and goal."""

from pseudodensity.artifacts import load_json
from pseudodensity.tables_inference import table2, write_table2

rows, keep, output = snakemake.params.rows, snakemake.params.keep, snakemake.output
table = table2(rows, [load_json(row["scores"]) for row in rows], keep)
write_table2(table, output.csv, output.md, output.tex, keep)
