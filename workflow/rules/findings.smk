rule findings:
    input:
        table=shown("table"),
        claims=shown("claims"),
        pictures=shown("pictures"),
    output:
        "docs/{page}.md",
    log:
        "results/logs/{page}.log",
    wildcard_constraints:
        page="|".join(FINDINGS),
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        commit=lambda wildcards: commit(),
        config=config_names(),
        seeds=plan.config["seeds"],
        targets=shown("targets"),
        titles=shown("titles"),
    message:
        "Write the {wildcards.page} of this run"
    script:
        "../scripts/findings.py"


# README's first picture: snakemake docs/findings/faces.png --configfile config/scales/faces.yaml
rule shrunk:
    input:
        "results/faces.png",
    output:
        "docs/findings/faces.png",
    log:
        "results/logs/findings-faces.log",
    localrule: True
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        code=code_digest(HERE / "workflow/scripts/shrunk.py"),
    message:
        "Write README's picture of faces"
    script:
        "../scripts/shrunk.py"
