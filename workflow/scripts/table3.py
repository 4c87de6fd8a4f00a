"""Fine-tuned models combined with truncation and importance sampling."""

import pandas as pd

from pseudodensity.artifacts import load_json
from pseudodensity.tables_inference import table3, write_table3

rows, output = snakemake.params.rows, snakemake.output
reported = pd.read_csv(snakemake.input.reported)
table = table3(rows, [load_json(row["scores"]) for row in rows], reported)
write_table3(table, output.csv, output.md, output.tex)
