perturbed = figures.perturbed_samples


rule perturb:
    input:
        code=lambda wildcards: code(
            "perturb.py",
            *modules_of(perturbed[wildcards.perturbed][1].name),
            *feature_modules,
        ),
        checkpoint=lambda wildcards: perturbed[wildcards.perturbed][1].path,
        density=lambda wildcards: density_file(perturbed[wildcards.perturbed][1].dataset),
        steering=extractor_file(steering),
        data=lambda wildcards: data_file(perturbed[wildcards.perturbed][1].dataset),
        backbone=lambda wildcards: backbone_file(perturbed[wildcards.perturbed][1].name),
    output:
        "results/perturbed/{perturbed}.safetensors",
    log:
        "results/logs/perturb/{perturbed}.log",
    wildcard_constraints:
        perturbed="|".join(perturbed) or "none",
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        device=runtime["device"],
        batch_size=runtime["batch_size"],
    params:
        spec=lambda wildcards: perturbed[wildcards.perturbed][0].spec,
        checkpoint_spec=lambda wildcards: perturbed[wildcards.perturbed][1].artifact.spec,
    message:
        "Move the latents of {wildcards.perturbed}"
    script:
        "../scripts/perturb.py"


rule perturbation_figure:
    input:
        code=code("perturbation_figure.py"),
        samples=lambda wildcards: [panel["samples"] for panel in panels_of(wildcards.figure)],
    output:
        png=report(
            "results/{figure}.png",
            category="Perturbation",
            caption="../report/perturbation.rst",
            labels={"figure": "{figure}"},
        ),
        csv="results/{figure}.csv",
    log:
        "results/logs/{figure}.log",
    wildcard_constraints:
        figure="|".join(figures.perturbation_figures),
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        panels=lambda wildcards: panels_of(wildcards.figure),
    message:
        "Draw the perturbed samples of {wildcards.figure}"
    script:
        "../scripts/perturbation_figure.py"
