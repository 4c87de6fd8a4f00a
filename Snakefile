# The table of contents. Files are named results/<stage>/<slug>-<digest>.<ext>: the slug is for
# people, the digest covers everything that defines the file (workflow/pseudodensity/runs.py).
from snakemake.utils import min_version

min_version("9.20")


# A --configfile replaces the embedded default; merging the two would mix their scales.
if "datasets" not in config:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/density.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/sample.smk"
include: "workflow/rules/metrics.smk"
include: "workflow/rules/extremes.smk"
include: "workflow/rules/perturbation.smk"
include: "workflow/rules/overhead.smk"
include: "workflow/rules/frontier.smk"
include: "workflow/rules/likelihood.smk"
include: "workflow/rules/artifacts.smk"


rule all:
    default_target: True
    input:
        rules.table1.output,
        rules.table1_figure.output,


# Everything that steers a fixed model: the paper's other figures and tables.
rule inference:
    input:
        "results/fig4.svg",
        rules.extremes_figure.output,
        rules.fig6.output,
        rules.likelihood_figure.output,
        rules.overhead.output,
        rules.table2.output,
        rules.table3.output,
        expand("results/{figure}.png", figure=figures.perturbation_figures),
