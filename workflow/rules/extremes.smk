extremes = figures.extreme_samples


rule extremes:
    input:
        code=lambda wildcards: code(
            "extremes.py",
            modules_of(extremes[wildcards.extremes][1].name)[0],
            *feature_modules,
        ),
        checkpoint=lambda wildcards: extremes[wildcards.extremes][1].path,
        density=lambda wildcards: density_file(extremes[wildcards.extremes][1].dataset),
        steering=extractor_file(steering),
        data=lambda wildcards: data_file(extremes[wildcards.extremes][1].dataset),
        features=lambda wildcards: features_file(
            extremes[wildcards.extremes][1].dataset, config["density"]["extractor"]
        ),
    output:
        "results/extremes/{extremes}.safetensors",
    log:
        "results/logs/extremes/{extremes}.log",
    wildcard_constraints:
        extremes="|".join(extremes) or "none",
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        device=runtime["device"],
        batch_size=runtime["batch_size"],
    params:
        spec=lambda wildcards: extremes[wildcards.extremes][0].spec,
        checkpoint_spec=lambda wildcards: extremes[wildcards.extremes][1].artifact.spec,
    message:
        "Find the extremes of density of {wildcards.extremes}"
    script:
        "../scripts/extremes.py"


rule extremes_figure:
    input:
        code=code("extremes_figure.py"),
        samples=lambda wildcards: [panel["samples"] for panel in extreme_panels()],
    output:
        png=report(
            "results/fig2.png",
            category="Pseudo density",
            caption="../report/extremes.rst",
            labels={"figure": "fig2"},
        ),
        csv="results/fig2.csv",
    log:
        "results/logs/fig2.log",
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        panels=lambda wildcards: extreme_panels(),
    message:
        "Draw the extremes of density of each model"
    script:
        "../scripts/extremes_figure.py"
