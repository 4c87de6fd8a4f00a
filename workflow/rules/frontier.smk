rule pool:
    input:
        code=lambda wildcards: code(
            "pool.py",
            *generator_modules(frontiers.pools[wildcards.pool]),
            *feature_modules,
        ),
        checkpoint=lambda wildcards: frontiers.pools[wildcards.pool].checkpoint.path,
        density=lambda wildcards: density_file(frontiers.pools[wildcards.pool].checkpoint.dataset),
        steering=extractor_file(steering),
        judges=[extractor_file(judge) for judge in judges.values()],
        data=lambda wildcards: critic_files(frontiers.pools[wildcards.pool])[0],
        backbone=lambda wildcards: critic_files(frontiers.pools[wildcards.pool])[1],
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
        checkpoint_spec=lambda wildcards: frontiers.pools[wildcards.pool].checkpoint.artifact.spec,
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
        density=lambda wildcards: density_file(
            frontiers.frontiers[wildcards.frontier].checkpoint.dataset
        ),
        real=lambda wildcards: [
            features_file(frontiers.frontiers[wildcards.frontier].checkpoint.dataset, name)
            for name in judges
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


rule fig6:
    input:
        code=code("fig6.py"),
        scores=[panel["scores"] for panel in frontiers.fig6()],
    output:
        svg=report(
            "results/fig6.svg",
            category="Precision-recall frontier",
            caption="../report/fig6.rst",
            labels={"figure": "fig6"},
        ),
        csv="results/fig6.csv",
    log:
        "results/logs/fig6.log",
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        panels=frontiers.fig6(),
        judges=config["judges"],
    message:
        "Draw figure 6: every method on one model"
    script:
        "../scripts/fig6.py"


rule table2:
    input:
        code=code("table2.py"),
        scores=[row["scores"] for row in frontiers.table2_rows()],
    output:
        csv=report(
            "results/table2.csv",
            category="Precision-recall frontier",
            caption="../report/table2.rst",
            labels={"figure": "table 2"},
        ),
        md="results/table2.md",
        tex="results/table2.tex",
    log:
        "results/logs/table2.log",
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        rows=frontiers.table2_rows(),
        keep=config["frontier"]["keep"],
    message:
        "Write Table 2"
    script:
        "../scripts/table2.py"


rule table3:
    input:
        code=code("table3.py"),
        scores=sorted({row["scores"] for row in frontiers.table3_rows()}),
        reported="config/reported/pseudo_density.csv",
    output:
        csv=report(
            "results/table3.csv",
            category="Precision-recall frontier",
            caption="../report/table3.rst",
            labels={"figure": "table 3"},
        ),
        md="results/table3.md",
        tex="results/table3.tex",
    log:
        "results/logs/table3.log",
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        rows=frontiers.table3_rows(),
    message:
        "Write Table 3"
    script:
        "../scripts/table3.py"
