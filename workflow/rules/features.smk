rule extractor:
    input:
        unpack(needs("extractor")),
    output:
        "results/extractors/{name}.safetensors",
    log:
        "results/logs/extractors/{name}.log",
    benchmark:
        "results/logs/benchmarks/extractors/{name}.safetensors.tsv"
    priority: urgency("extractor")
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        gpu=asks("extractor", "gpu"),
        mem_mb=asks("extractor", "mem_mb"),
        disk_mb=asks("extractor", "disk_mb"),
        runtime=asks("extractor", "runtime"),
    params:
        code=code("extractor"),
        stamp=stamp("extractor"),
    message:
        "Prepare the feature extractor {wildcards.name}"
    script:
        "../scripts/extractor.py"


rule features:
    input:
        unpack(needs("features")),
    output:
        "results/features/{name}.npy",
    log:
        "results/logs/features/{name}.log",
    benchmark:
        "results/logs/benchmarks/features/{name}.npy.tsv"
    priority: urgency("features")
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        device=runtime["device"],
        batch_size=runtime["batch_size"],
        gpu=asks("features", "gpu"),
        mem_mb=asks("features", "mem_mb"),
        disk_mb=asks("features", "disk_mb"),
        runtime=asks("features", "runtime"),
    params:
        code=code("features"),
        stamp=stamp("features"),
    message:
        "Extract the features {wildcards.name}"
    script:
        "../scripts/features.py"
