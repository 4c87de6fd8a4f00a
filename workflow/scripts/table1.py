"""Table 1 and its claims, to read, to paste and to compute with."""

import pandas as pd

from pseudodensity.artifacts import load_json
from pseudodensity.claims import claims_table1, write_claims
from pseudodensity.tables import table1, write_table1

rows, output = snakemake.params.rows, snakemake.output
blocks = {path: load_json(path) for path in {row["metrics"] for row in rows}}
metrics = [blocks[row["metrics"]] | blocks[row["metrics"]]["rows"][row["setting"]] for row in rows]
oracles = {row["block"]: load_json(row["oracle"]) for row in rows}
reported = pd.read_csv(snakemake.input.reported)
table = table1(rows, metrics, oracles, reported)
write_table1(table, output.csv, output.md, output.tex, snakemake.params.judges)
claims = claims_table1(rows, metrics, oracles, reported, pd.read_csv(snakemake.input.catalogue))
write_claims(claims, output.claims, output.claims_md)
