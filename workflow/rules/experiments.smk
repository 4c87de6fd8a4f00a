rule experiment:
    input:
        unpack(needs("experiment")),
    output:
        "results/experiments/{name}.safetensors",
    log:
        "results/logs/experiments/{name}.log",
    benchmark:
        "results/logs/benchmarks/experiments/{name}.safetensors.tsv"
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        device=runtime["device"],
        gpu=asks("experiment", "gpu"),
        mem_mb=asks("experiment", "mem_mb"),
        disk_mb=asks("experiment", "disk_mb"),
        runtime=asks("experiment", "runtime"),
    params:
        code=code("experiment"),
        stamp=stamp("experiment"),
    message:
        "Run the experiment {wildcards.name}"
    script:
        "../scripts/experiment.py"
