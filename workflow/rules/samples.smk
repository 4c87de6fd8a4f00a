rule moved:
    input:
        unpack(needs("moved")),
    output:
        "results/moved/{name}.safetensors",
    log:
        "results/logs/moved/{name}.log",
    benchmark:
        "results/logs/benchmarks/moved/{name}.safetensors.tsv"
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        device=runtime["device"],
        batch_size=images_at_once("moved"),
        gpu=asks("moved", "gpu"),
        mem_mb=asks("moved", "mem_mb"),
        disk_mb=asks("moved", "disk_mb"),
        runtime=asks("moved", "runtime"),
    params:
        code=code("moved"),
        stamp=stamp("moved"),
        checkpoint=stamp_of("moved", "checkpoint"),
    message:
        "Move samples: {wildcards.name}"
    script:
        "../scripts/moved.py"


rule extremes:
    input:
        unpack(needs("extremes")),
    output:
        "results/extremes/{name}.safetensors",
    log:
        "results/logs/extremes/{name}.log",
    benchmark:
        "results/logs/benchmarks/extremes/{name}.safetensors.tsv"
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        device=runtime["device"],
        batch_size=runtime["batch_size"],
        gpu=asks("extremes", "gpu"),
        mem_mb=asks("extremes", "mem_mb"),
        disk_mb=asks("extremes", "disk_mb"),
        runtime=asks("extremes", "runtime"),
    params:
        code=code("extremes"),
        stamp=stamp("extremes"),
        checkpoint=stamp_of("extremes", "checkpoint"),
        pool=facts("extremes"),
    message:
        "Find the extremes of density of {wildcards.name}"
    script:
        "../scripts/extremes.py"


rule costs:
    input:
        unpack(needs("costs")),
    output:
        "results/costs/{name}.json",
    log:
        "results/logs/costs/{name}.log",
    benchmark:
        "results/logs/benchmarks/costs/{name}.json.tsv"
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        device=runtime["device"],
        gpu=asks("costs", "gpu"),
        mem_mb=asks("costs", "mem_mb"),
        disk_mb=asks("costs", "disk_mb"),
        runtime=asks("costs", "runtime"),
    params:
        code=code("costs"),
        stamp=stamp("costs"),
        checkpoint=stamp_of("costs", "checkpoint"),
    message:
        "Measure what the methods cost: {wildcards.name}"
    script:
        "../scripts/costs.py"
