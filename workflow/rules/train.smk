rule pretrain:
    input:
        code=lambda wildcards: code(
            "pretrain.py", *modules_of(wildcards.checkpoint), *feature_modules
        ),
        data=lambda wildcards: data_file(plan.checkpoints[wildcards.checkpoint].dataset),
        backbone=lambda wildcards: backbone_file(wildcards.checkpoint),
    output:
        "results/checkpoints/trained/{checkpoint}.safetensors",
    log:
        "results/logs/train/{checkpoint}.log",
    benchmark:
        "results/logs/train/{checkpoint}.benchmark.tsv"
    # The longest first, or it ends alone; still after the short jobs that others wait for.
    priority: lambda wildcards: 10 + 9 * share_of_longest(wildcards.checkpoint)
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        device=runtime["device"],
    params:
        spec=lambda wildcards: plan.checkpoints[wildcards.checkpoint].artifact.spec,
        workdir="results/work/{checkpoint}",
    message:
        "Pre-train {wildcards.checkpoint}"
    script:
        "../scripts/pretrain.py"


rule import_checkpoint:
    input:
        code=code("import_checkpoint.py"),
        file=lambda wildcards: plan.source(plan.checkpoints[wildcards.checkpoint])["file"],
    output:
        "results/checkpoints/imported/{checkpoint}.safetensors",
    log:
        "results/logs/train/{checkpoint}.log",
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        spec=lambda wildcards: plan.checkpoints[wildcards.checkpoint].artifact.spec,
    message:
        "Convert the public file of {wildcards.checkpoint}"
    script:
        "../scripts/import_checkpoint.py"


rule finetune:
    input:
        code=lambda wildcards: code(
            "finetune.py", *modules_of(wildcards.checkpoint), *feature_modules
        ),
        parent=lambda wildcards: plan.checkpoints[wildcards.checkpoint].parent.path,
        data=lambda wildcards: data_file(plan.checkpoints[wildcards.checkpoint].dataset),
        density=lambda wildcards: branch(
            importance(wildcards.checkpoint)["tau"] is not None,
            then=density_file(plan.checkpoints[wildcards.checkpoint].dataset),
            otherwise=[],
        ),
        extractor=lambda wildcards: branch(
            importance(wildcards.checkpoint)["fake_weight"] != "none",
            then=extractor_file(steering),
            otherwise=[],
        ),
        backbone=lambda wildcards: backbone_file(wildcards.checkpoint),
    output:
        "results/checkpoints/finetuned/{checkpoint}.safetensors",
    log:
        "results/logs/train/{checkpoint}.log",
    benchmark:
        "results/logs/train/{checkpoint}.benchmark.tsv"
    priority: 5
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        device=runtime["device"],
    params:
        spec=lambda wildcards: plan.checkpoints[wildcards.checkpoint].artifact.spec,
        parent_spec=lambda wildcards: plan.checkpoints[wildcards.checkpoint].parent.artifact.spec,
        workdir="results/work/{checkpoint}",
    message:
        "Fine-tune {wildcards.checkpoint}"
    script:
        "../scripts/finetune.py"
