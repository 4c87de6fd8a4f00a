measured = {plan.metrics(c).name: c for c in plan.checkpoints.values()}


rule metrics:
    input:
        code=code("metrics.py"),
        samples=lambda wildcards: "results/samples/"
        f"{plan.samples(measured[wildcards.metrics]).name}.safetensors",
        checkpoint=lambda wildcards: measured[wildcards.metrics].path,
        real=lambda wildcards: [
            features_file(measured[wildcards.metrics].dataset, name) for name in judges
        ],
    output:
        "results/metrics/{metrics}.json",
    log:
        "results/logs/metrics/{metrics}.log",
    wildcard_constraints:
        metrics="|".join(measured) or "none",
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        spec=lambda wildcards: plan.metrics(measured[wildcards.metrics]).spec,
        sampling=config["sampling"],
        judges=list(judges),
        roles=config["judges"],
    message:
        "Measure {wildcards.metrics}"
    script:
        "../scripts/metrics.py"
