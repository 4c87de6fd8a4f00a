rule likelihood:
    input:
        code=code("likelihood.py"),
        pool=lambda wildcards: f"results/pools/{frontiers.pool(autoregressive_task()).name}/pool.json",
        checkpoint=lambda wildcards: autoregressive_task().checkpoint.path,
        density=lambda wildcards: density_file(autoregressive_task().checkpoint.dataset),
        data=lambda wildcards: data_file(autoregressive_task().checkpoint.dataset),
        real=lambda wildcards: [
            features_file(autoregressive_task().checkpoint.dataset, name) for name in judges
        ],
    output:
        "results/likelihood/{likelihood}.json",
    log:
        "results/logs/likelihood/{likelihood}.log",
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        device=runtime["device"],
        batch_size=runtime["batch_size"],
    params:
        spec=lambda wildcards: likelihood_run().spec,
        checkpoint_spec=lambda wildcards: autoregressive_task().checkpoint.artifact.spec,
        seed=config["frontier"]["seed"],
        judges=list(judges),
        roles=config["judges"],
    message:
        "Sample by likelihood from the pool of {wildcards.likelihood}"
    script:
        "../scripts/likelihood.py"


rule likelihood_figure:
    input:
        code=code("likelihood_figure.py"),
        density=lambda wildcards: likelihood_panel()["scores"],
        likelihood=lambda wildcards: f"results/likelihood/{likelihood_run().name}.json",
    output:
        svg=report(
            "results/fig7.svg",
            category="Precision-recall frontier",
            caption="../report/likelihood.rst",
            labels={"figure": "fig7"},
        ),
        csv="results/fig7.csv",
    log:
        "results/logs/fig7.log",
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        panel=lambda wildcards: likelihood_panel(),
        judges=config["judges"],
    message:
        "Draw importance sampling by likelihood and by pseudo density"
    script:
        "../scripts/likelihood_figure.py"
