rule pool:
    input:
        unpack(needs("pool")),
    output:
        described="results/pools/{folder}/{rows}/described.safetensors",
        images="results/pools/{folder}/{rows}/images.npy",
    log:
        "results/logs/pools/{folder}-{rows}.log",
    benchmark:
        "results/logs/benchmarks/pools/{folder}/{rows}/described.safetensors.tsv"
    priority: urgency("pool")
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        device=runtime["device"],
        batch_size=images_at_once("pool"),
        kept=kept_images("pool"),
        gpu=asks("pool", "gpu"),
        mem_mb=asks("pool", "mem_mb"),
        disk_mb=asks("pool", "disk_mb"),
        runtime=asks("pool", "runtime"),
    params:
        code=code("pool"),
        stamp=stamp("pool"),
        checkpoint=stamp_of("pool", "checkpoint"),
        judges=plan.config["judges"],
    message:
        "Draw {wildcards.rows} of the pool {wildcards.folder}"
    script:
        "../scripts/pool.py"


rule reals:
    input:
        unpack(needs("reals")),
    output:
        described="results/reals/{folder}/{rows}/described.safetensors",
        images="results/reals/{folder}/{rows}/images.npy",
    log:
        "results/logs/reals/{folder}-{rows}.log",
    benchmark:
        "results/logs/benchmarks/reals/{folder}/{rows}/described.safetensors.tsv"
    priority: urgency("reals")
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        device=runtime["device"],
        batch_size=images_at_once("reals"),
        kept=kept_images("reals"),
        gpu=asks("reals", "gpu"),
        mem_mb=asks("reals", "mem_mb"),
        disk_mb=asks("reals", "disk_mb"),
        runtime=asks("reals", "runtime"),
    params:
        code=code("reals"),
        stamp=stamp("reals"),
        judges=plan.config["judges"],
    message:
        "Describe real images: {wildcards.folder}, {wildcards.rows}"
    script:
        "../scripts/reals.py"


rule column:
    input:
        unpack(needs("column")),
    output:
        "results/pools/{folder}/{rows}/{name}.safetensors",
    log:
        "results/logs/columns/{folder}-{rows}-{name}.log",
    benchmark:
        "results/logs/benchmarks/pools/{folder}/{rows}/{name}.safetensors.tsv"
    wildcard_constraints:
        name="[a-z_]+-[0-9a-f]{10}",
    priority: urgency("column")
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        device=runtime["device"],
        batch_size=images_at_once("column"),
        gpu=asks("column", "gpu"),
        mem_mb=asks("column", "mem_mb"),
        disk_mb=asks("column", "disk_mb"),
        runtime=asks("column", "runtime"),
    params:
        code=code("column"),
        stamp=stamp("column"),
        pool=stamp_of("column", "pool"),
        checkpoint=stamp_of("column", "checkpoint"),
    message:
        "Add the column {wildcards.name} to {wildcards.folder}, {wildcards.rows}"
    script:
        "../scripts/column.py"
