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


# What the papers' scale costs, by a rehearsal of it: config/scales/rehearsal.yaml says how.
rule paper_scale:
    input:
        unpack(rehearsed),
        files="config/scales/paper_files.csv",
    output:
        "docs/paper_scale.md",
    log:
        "results/logs/paper_scale.log",
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        code=code_digest(HERE / "workflow/scripts/paper_scale.py"),
        config=str(HERE / "config/config.yaml"),
        schemas=str(HERE / "workflow/schemas"),
        grids=str(HERE / "config/papers"),
        rehearsed=overlays(),
        paper=overlays(without="rehearsal.yaml"),
        run=lambda wildcards: page_run(),
    message:
        "Write what the papers' scale costs"
    script:
        "../scripts/paper_scale.py"
