rule pool:
    input:
        code=lambda wildcards: code(
            "pool.py",
            architecture(frontiers.pools[wildcards.pool].artifact.spec["architecture"]).generator,
            *feature_modules,
        ),
        checkpoint=lambda wildcards: frontiers.pools[wildcards.pool].path,
        density=lambda wildcards: density_file(frontiers.pools[wildcards.pool].dataset),
        steering=extractor_file(steering),
        judges=[extractor_file(judge) for judge in judges.values()],
    output:
        "results/pools/{pool}/pool.json",
    log:
        "results/logs/pool/{pool}.log",
    benchmark:
        "results/logs/pool/{pool}.benchmark.tsv"
    wildcard_constraints:
        pool="|".join(frontiers.pools),
    priority: 3
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        device=runtime["device"],
        batch_size=runtime["batch_size"],
    params:
        spec=lambda wildcards: frontiers.pool(frontiers.pools[wildcards.pool]).spec,
        demand=lambda wildcards: frontiers.demand(frontiers.pools[wildcards.pool]),
        checkpoint_spec=lambda wildcards: frontiers.pools[wildcards.pool].artifact.spec,
        judges=list(judges),
    message:
        "Draw the pool {wildcards.pool}"
    script:
        "../scripts/pool.py"


rule frontier:
    input:
        code=code("frontier.py"),
        pool=lambda wildcards: "results/pools/"
        f"{frontiers.pool(frontiers.frontiers[wildcards.frontier]).name}/pool.json",
        density=lambda wildcards: density_file(frontiers.frontiers[wildcards.frontier].dataset),
        real=lambda wildcards: [
            features_file(frontiers.frontiers[wildcards.frontier].dataset, name) for name in judges
        ],
    output:
        "results/frontier/{frontier}.json",
    log:
        "results/logs/frontier/{frontier}.log",
    wildcard_constraints:
        frontier="|".join(frontiers.frontiers),
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        spec=lambda wildcards: frontiers.frontier(frontiers.frontiers[wildcards.frontier]).spec,
        seed=config["frontier"]["seed"],
        judges=list(judges),
        roles=config["judges"],
    message:
        "Measure the frontier {wildcards.frontier}"
    script:
        "../scripts/frontier.py"


rule frontier_figure:
    input:
        code=code("frontier_figure.py"),
        scores=lambda wildcards: [p["scores"] for p in frontiers.figure(wildcards.figure)],
    output:
        svg=report(
            "results/{figure}.svg",
            category="Precision-recall frontier",
            caption="../report/frontier.rst",
            labels={"figure": "{figure}"},
        ),
        csv="results/{figure}.csv",
    log:
        "results/logs/{figure}.log",
    wildcard_constraints:
        figure="|".join(frontiers.figures),
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        panels=lambda wildcards: frontiers.figure(wildcards.figure),
        judges=config["judges"],
    message:
        "Draw the frontier {wildcards.figure}"
    script:
        "../scripts/frontier_figure.py"
