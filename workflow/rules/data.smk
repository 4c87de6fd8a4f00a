rule data:
    input:
        unpack(needs("data")),
    output:
        images="results/data/{name}/images.npy",
        manifest="results/data/{name}/manifest.json",
    log:
        "results/logs/data/{name}.log",
    benchmark:
        "results/logs/benchmarks/data/{name}/images.npy.tsv"
    priority: urgency("data")
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        mem_mb=asks("data", "mem_mb"),
        disk_mb=asks("data", "disk_mb"),
        runtime=asks("data", "runtime"),
    params:
        code=code("data"),
        settings=facts("data"),
        stamp=stamp("data"),
        files=listed,
    message:
        "Decode the images of {wildcards.name}"
    script:
        "../scripts/data.py"
