extractors = {plan.extractor(name).name: name for name in config["extractors"]}
feature_sets = {
    plan.features(dataset, name).name: (dataset, name)
    for dataset in config["datasets"]
    for name in config["extractors"]
}


rule extractor:
    input:
        code=code("extractor.py", *feature_modules),
        data=lambda wildcards: [
            data_file(dataset)
            for dataset in config["extractors"][extractors[wildcards.extractor]].get(
                "trained_on", []
            )
        ],
    output:
        "results/extractors/{extractor}.safetensors",
    log:
        "results/logs/extractors/{extractor}.log",
    # Short, and the training of some models waits for it.
    priority: 20
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        settings=lambda wildcards: config["extractors"][extractors[wildcards.extractor]],
        mirror=lambda wildcards: [
            config["datasets"][dataset]["mirror"]
            for dataset in config["extractors"][extractors[wildcards.extractor]].get(
                "trained_on", []
            )
        ],
    message:
        "Prepare the feature extractor {wildcards.extractor}"
    script:
        "../scripts/extractor.py"


rule features:
    input:
        code=code("features.py", *feature_modules),
        data=lambda wildcards: data_file(feature_sets[wildcards.features][0]),
        extractor=lambda wildcards: extractor_file(
            plan.extractor(feature_sets[wildcards.features][1])
        ),
    output:
        "results/features/{features}.npy",
    log:
        "results/logs/features/{features}.log",
    priority: 20
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        device=runtime["device"],
    message:
        "Extract the features {wildcards.features}"
    script:
        "../scripts/features.py"
