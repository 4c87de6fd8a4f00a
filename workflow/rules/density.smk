densities = {plan.density(dataset).name: dataset for dataset in config["datasets"]}


rule density:
    input:
        code=code("density.py"),
        features=lambda wildcards: features_file(
            densities[wildcards.density], config["density"]["extractor"]
        ),
    output:
        "results/density/{density}.safetensors",
    log:
        "results/logs/density/{density}.log",
    priority: 20
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        settings=lambda wildcards: plan.density(densities[wildcards.density]).spec,
    message:
        "Estimate and learn the pseudo density {wildcards.density}"
    script:
        "../scripts/density.py"


rule density_table:
    input:
        code=code("density_table.py"),
        data=lambda wildcards: data_file(wildcards.dataset),
        features=lambda wildcards: features_file(wildcards.dataset, config["density"]["extractor"]),
        density=lambda wildcards: density_file(wildcards.dataset),
    output:
        csv=report(
            "results/density/{dataset}.csv",
            category="Pseudo density",
            caption="../report/density.rst",
            labels={"data set": "{dataset}", "what": "table"},
        ),
        png=report(
            "results/density/{dataset}.png",
            category="Pseudo density",
            caption="../report/density.rst",
            labels={"data set": "{dataset}", "what": "extremes"},
        ),
        quality="results/density/{dataset}.json",
    log:
        "results/logs/density/{dataset}.log",
    conda:
        "../../envs/conda.yaml"
    threads: 1
    message:
        "List the images of {wildcards.dataset} by pseudo density"
    script:
        "../scripts/density_table.py"
