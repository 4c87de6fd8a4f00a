samples = {plan.samples(c).name: c for c in plan.checkpoints.values()}
oracles = {plan.oracle(dataset).name: dataset for dataset in config["datasets"]}


rule sample:
    input:
        code=lambda wildcards: code(
            "sample.py",
            modules_of(samples[wildcards.samples].name)[0],
            *feature_modules,
        ),
        checkpoint=lambda wildcards: samples[wildcards.samples].path,
        density=lambda wildcards: density_file(samples[wildcards.samples].dataset),
        steering=extractor_file(steering),
        judges=[extractor_file(judge) for judge in judges.values()],
    output:
        "results/samples/{samples}.safetensors",
    log:
        "results/logs/sample/{samples}.log",
    benchmark:
        "results/logs/sample/{samples}.benchmark.tsv"
    # The slow ones first, or one of them ends alone; still after all fine-tuning.
    priority: lambda wildcards: 3.5 if denoises(samples[wildcards.samples].name) else 3
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        device=runtime["device"],
        batch_size=runtime["batch_size"],
    params:
        spec=lambda wildcards: plan.samples(samples[wildcards.samples]).spec,
        checkpoint_spec=lambda wildcards: samples[wildcards.samples].artifact.spec,
        judges=list(judges),
    message:
        "Sample {wildcards.samples}"
    script:
        "../scripts/sample.py"


rule oracle:
    input:
        code=code("oracle.py", *feature_modules),
        data=lambda wildcards: data_file(oracles[wildcards.oracle]),
        density=lambda wildcards: density_file(oracles[wildcards.oracle]),
        steering=extractor_file(steering),
        judges=[extractor_file(judge) for judge in judges.values()],
        real=lambda wildcards: [features_file(oracles[wildcards.oracle], name) for name in judges],
    output:
        "results/metrics/oracle-{oracle}.json",
    log:
        "results/logs/oracle/{oracle}.log",
    # Needs no model: left to the end it would run alone.
    priority: 4
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        spec=lambda wildcards: plan.oracle(oracles[wildcards.oracle]).spec,
        judges=list(judges),
        roles=config["judges"],
        title=lambda wildcards: oracles[wildcards.oracle],
    message:
        "Reweight the real images of {wildcards.oracle}"
    script:
        "../scripts/oracle.py"
