# The table of contents. Artefacts are named results/<kind>/<slug>-<digest>.<ext>: the slug is for people,
# the digest covers everything that defines the file (docs/digests.md). Tables and figures are entries
# of workflow/pseudodensity/papers/<paper>/targets.py.
from snakemake.utils import min_version

min_version("9.20")


include: "workflow/rules/common.smk"
include: "workflow/rules/run.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/density.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/pools.smk"
include: "workflow/rules/scores.smk"
include: "workflow/rules/samples.smk"
include: "workflow/rules/experiments.smk"
include: "workflow/rules/targets.smk"
include: "workflow/rules/findings.smk"
include: "workflow/rules/page.smk"


rule all:
    default_target: True
    input:
        "results/table1.csv",
        "results/table1.png",
        "results/table1.claims.csv",


# Everything of a paper: its tables, figures and claims.
rule pseudo_density:
    input:
        all_of("pseudo_density"),


# Which metric can be trusted where; no model is needed for it.
rule metric_checks:
    input:
        all_of("metric_checks"),


# Latent reweighting: points in the plane; no image is needed for them.
rule latent_reweighting:
    input:
        all_of("latent_reweighting"),


# Polarity sampling: its law on toys, and images by polarity.
rule polarity:
    input:
        all_of("polarity"),


# Low-density diffusion: what guidance does to hardness and to precision.
rule low_density:
    input:
        all_of("low_density"),


# Diverse rare samples: a search around references, and what is compared with it.
rule diverse_rare:
    input:
        all_of("diverse_rare"),


# What can be asked for, what it is and what it costs: snakemake targets
rule targets:
    log:
        "results/logs/targets.log",
    localrule: True
    run:
        Path(log[0]).write_text(listing(plan))
        print(listing(plan))


# What nothing else makes ends here, with the nearest names.
rule unknown:
    input:
        no_target,
    output:
        "{asked}",
