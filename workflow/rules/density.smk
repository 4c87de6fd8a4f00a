rule density:
    input:
        unpack(needs("density")),
    output:
        "results/density/{name}.safetensors",
    log:
        "results/logs/density/{name}.log",
    benchmark:
        "results/logs/benchmarks/density/{name}.safetensors.tsv"
    priority: urgency("density")
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        mem_mb=asks("density", "mem_mb"),
        disk_mb=asks("density", "disk_mb"),
        runtime=asks("density", "runtime"),
    params:
        code=code("density"),
        stamp=stamp("density"),
    message:
        "Estimate and learn the pseudo density {wildcards.name}"
    script:
        "../scripts/density.py"


rule feature_density:
    input:
        unpack(needs("feature_density")),
    output:
        "results/feature_densities/{name}.safetensors",
    log:
        "results/logs/feature_densities/{name}.log",
    benchmark:
        "results/logs/benchmarks/feature_densities/{name}.safetensors.tsv"
    priority: urgency("feature_density")
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        mem_mb=asks("feature_density", "mem_mb"),
        disk_mb=asks("feature_density", "disk_mb"),
        runtime=asks("feature_density", "runtime"),
    params:
        code=code("feature_density"),
        stamp=stamp("feature_density"),
        workdir="results/work/{name}",
    message:
        "Fit the density of features {wildcards.name}"
    script:
        "../scripts/feature_density.py"


rule density_table:
    input:
        data=lambda wildcards: plan.data.dataset(wildcards.dataset).path,
        features=lambda wildcards: plan.data.features(wildcards.dataset, plan.data.steering).path,
        density=lambda wildcards: plan.data.density(wildcards.dataset).path,
        # Read by the package, and no module: only as inputs their changes are seen.
        page=HERE / "workflow/pseudodensity/report/gallery.html",
        sorting=HERE / "workflow/pseudodensity/report/gallery.js",
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
        html=report(
            "results/density/{dataset}.html",
            category="Pseudo density",
            caption="../report/density.rst",
            labels={"data set": "{dataset}", "what": "gallery"},
        ),
        svg="results/density/{dataset}.svg",
        json="results/density/{dataset}.json",
    log:
        "results/logs/density/{dataset}.log",
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        code=code_digest(HERE / "workflow/scripts/density_table.py"),
        look=lambda wildcards: {
            "title": plan.config["datasets"][wildcards.dataset]["title"],
            "mirror": plan.config["datasets"][wildcards.dataset]["mirror"],
            "extractor": plan.config["extractors"][plan.data.steering].get(
                "name", plan.data.steering
            ),
        },
    message:
        "List the images of {wildcards.dataset} by pseudo density"
    script:
        "../scripts/density_table.py"
