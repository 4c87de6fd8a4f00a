measured = {
    plan.metrics(block, seed).name: list(plan.block(block, seed))
    for block in plan.block_ids
    for seed in config["seeds"]
}


rule metrics:
    input:
        code=code("metrics.py"),
        samples=lambda wildcards: [
            f"results/samples/{plan.samples(row).name}.safetensors"
            for row in measured[wildcards.metrics]
        ],
        checkpoints=lambda wildcards: [row.path for row in measured[wildcards.metrics]],
        real=lambda wildcards: [
            features_file(measured[wildcards.metrics][0].dataset, name) for name in judges
        ],
    output:
        "results/metrics/{metrics}.json",
    log:
        "results/logs/metrics/{metrics}.log",
    wildcard_constraints:
        metrics="|".join(measured) or "none",
    # Left to the end the metrics of all blocks would come at once.
    priority: 4
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        rows=lambda wildcards: [row.setting for row in measured[wildcards.metrics]],
        sampling=config["sampling"],
        k=config["metrics"]["k"],
        judges=list(judges),
        roles=config["judges"],
    message:
        "Measure {wildcards.metrics}"
    script:
        "../scripts/metrics.py"
