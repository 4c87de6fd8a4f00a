"""Samples of Table 1 on the same latents, and the trade-off of every block."""

import pandas as pd

from pseudodensity.figures import draw_table1, load_images

rows, real = snakemake.params.rows, snakemake.params.real
draw_table1(pd.read_csv(snakemake.input.table), load_images(rows, real), snakemake.output[0])
