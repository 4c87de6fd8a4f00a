rule findings:
    input:
        table1="results/table1.csv",
        claims="results/claims.csv",
        pictures=[
            "results/table1.png",
            "results/fig4.png",
            "results/fig6.png",
            "results/fig7.png",
            "results/fig2.png",
            "results/fig3.png",
        ],
    output:
        "docs/findings.md",
    log:
        "results/logs/findings.log",
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        commit=commit(),
        config=config_names(),
        seeds=plan.config["seeds"],
        targets=benchmarks(),
        titles=[
            "Table 1: samples on the same latents, and the trade-off of every block",
            "Figure 4: precision and recall of every model",
            "Figure 6: every method on one model",
            "Figure 7: importance sampling by exact likelihood and by pseudo density",
            "Figure 2: extremes of pseudo density",
            "Figure 3: samples moved towards more and less density",
        ],
    message:
        "Write the findings of this run"
    script:
        "../scripts/findings.py"


# README's first picture: snakemake docs/findings/faces.png --configfile config/scales/faces.yaml
rule shrunk:
    input:
        "results/faces.png",
    output:
        "docs/findings/faces.png",
    log:
        "results/logs/findings-faces.log",
    localrule: True
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        code=code_digest(HERE / "workflow/scripts/shrunk.py"),
    message:
        "Write README's picture of faces"
    script:
        "../scripts/shrunk.py"
