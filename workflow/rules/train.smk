rule trained:
    input:
        unpack(needs("trained")),
    output:
        "results/checkpoints/trained/{name}.safetensors",
    log:
        "results/logs/train/{name}.log",
    benchmark:
        "results/logs/benchmarks/checkpoints/trained/{name}.safetensors.tsv"
    priority: urgency("trained")
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        device=runtime["device"],
        gpu=asks("trained", "gpu"),
        mem_mb=asks("trained", "mem_mb"),
        disk_mb=asks("trained", "disk_mb"),
        runtime=asks("trained", "runtime"),
    params:
        code=code("trained"),
        stamp=stamp("trained"),
        workdir="results/work/{name}",
    message:
        "Pre-train {wildcards.name}"
    script:
        "../scripts/trained.py"


rule imported:
    input:
        unpack(needs("imported")),
    output:
        "results/checkpoints/imported/{name}.safetensors",
    log:
        "results/logs/train/{name}.log",
    benchmark:
        "results/logs/benchmarks/checkpoints/imported/{name}.safetensors.tsv"
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        mem_mb=asks("imported", "mem_mb"),
        disk_mb=asks("imported", "disk_mb"),
        runtime=asks("imported", "runtime"),
    params:
        code=code("imported"),
        stamp=stamp("imported"),
    message:
        "Convert the public file of {wildcards.name}"
    script:
        "../scripts/imported.py"


rule finetuned:
    input:
        unpack(needs("finetuned")),
    output:
        "results/checkpoints/finetuned/{name}.safetensors",
    log:
        "results/logs/train/{name}.log",
    benchmark:
        "results/logs/benchmarks/checkpoints/finetuned/{name}.safetensors.tsv"
    priority: urgency("finetuned")
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        device=runtime["device"],
        gpu=asks("finetuned", "gpu"),
        mem_mb=asks("finetuned", "mem_mb"),
        disk_mb=asks("finetuned", "disk_mb"),
        runtime=asks("finetuned", "runtime"),
    params:
        code=code("finetuned"),
        stamp=stamp("finetuned"),
        parent=stamp_of("finetuned", "parent"),
        workdir="results/work/{name}",
    message:
        "Fine-tune {wildcards.name}"
    script:
        "../scripts/finetuned.py"


rule auxiliary:
    input:
        unpack(needs("auxiliary")),
    output:
        "results/checkpoints/auxiliary/{name}.safetensors",
    log:
        "results/logs/train/{name}.log",
    benchmark:
        "results/logs/benchmarks/checkpoints/auxiliary/{name}.safetensors.tsv"
    priority: urgency("auxiliary")
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        device=runtime["device"],
        gpu=asks("auxiliary", "gpu"),
        mem_mb=asks("auxiliary", "mem_mb"),
        disk_mb=asks("auxiliary", "disk_mb"),
        runtime=asks("auxiliary", "runtime"),
    params:
        code=code("auxiliary"),
        stamp=stamp("auxiliary"),
        checkpoint=stamp_of("auxiliary", "checkpoint"),
        workdir="results/work/{name}",
    message:
        "Train {wildcards.name}"
    script:
        "../scripts/auxiliary.py"
