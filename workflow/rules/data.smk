rule data:
    input:
        code=code("data.py"),
        source=lambda wildcards: config["datasets"][data_sets[wildcards.data]].get("path", []),
    output:
        images="results/data/{data}/images.npy",
        manifest="results/data/{data}/manifest.json",
    log:
        "results/logs/data/{data}.log",
    # Short, and the training of some models waits for it.
    priority: 20
    conda:
        "../../envs/conda.yaml"
    params:
        spec=lambda wildcards: config["datasets"][data_sets[wildcards.data]],
    message:
        "Decode the images of {wildcards.data}"
    script:
        "../scripts/data.py"
