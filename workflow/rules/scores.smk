rule scores:
    input:
        unpack(needs("scores")),
    output:
        "results/scores/{name}.json",
    log:
        "results/logs/scores/{name}.log",
    benchmark:
        "results/logs/benchmarks/scores/{name}.json.tsv"
    priority: urgency("scores")
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        gpu=asks("scores", "gpu"),
        mem_mb=asks("scores", "mem_mb"),
        disk_mb=asks("scores", "disk_mb"),
        runtime=asks("scores", "runtime"),
    params:
        code=code("scores"),
        stamp=stamp("scores"),
        sets=facts("scores"),
        seed=plan.config["sampling"]["seed"],
    message:
        "Measure {wildcards.name}"
    script:
        "../scripts/scores.py"
