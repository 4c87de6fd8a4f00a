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


# Of config/scales/real.yaml: what Table 1 and figure 4 say on real images, by a judge that is not ours.
rule findings_real:
    input:
        table1="results/table1.csv",
        claims="results/table1.claims.csv",
        pictures=["results/table1.png", "results/fig4.png"],
    output:
        "docs/findings_real.md",
    log:
        "results/logs/findings_real.log",
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        commit=commit(),
        config=config_names(),
        seeds=plan.config["seeds"],
        targets=benchmarks("table1", "table1.claims", "fig4"),
        titles=[
            "Table 1: samples on the same latents, and the trade-off of every block",
            "Figure 4: precision and recall of every model",
        ],
    message:
        "Write the findings of this run on real images"
    script:
        "../scripts/findings.py"
