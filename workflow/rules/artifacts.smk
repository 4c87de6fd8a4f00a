rows = plan.table1_rows()
block_data = {
    block: data_file(plan.paper["table1"]["blocks"][block]["dataset"]) for block in plan.block_ids
}


rule table1:
    input:
        code=code("table1.py"),
        metrics=sorted({row["metrics"] for row in rows}),
        oracles=sorted({row["oracle"] for row in rows}),
        reported="config/reported/pseudo_density.csv",
        catalogue="config/reported/claims.csv",
    output:
        csv=report(
            "results/table1.csv",
            category="Table 1",
            caption="../report/table1.rst",
            labels={"what": "values"},
        ),
        md="results/table1.md",
        tex="results/table1.tex",
        claims=report(
            "results/table1.claims.csv",
            category="Table 1",
            caption="../report/claims.rst",
            labels={"what": "claims"},
        ),
        claims_md="results/table1.claims.md",
    log:
        "results/logs/table1.log",
    conda:
        "../../envs/conda.yaml"
    params:
        rows=rows,
        judges=config["judges"],
    message:
        "Write Table 1 and its claims"
    script:
        "../scripts/table1.py"


rule table1_figure:
    input:
        code=code("table1_figure.py"),
        table="results/table1.csv",
        samples=[row["samples"] for row in rows],
        images=list(block_data.values()),
    output:
        report(
            "results/table1.png",
            category="Table 1",
            caption="../report/table1_figure.rst",
            labels={"what": "samples and trade-off"},
        ),
    log:
        "results/logs/table1_figure.log",
    conda:
        "../../envs/conda.yaml"
    params:
        rows=rows,
        real=block_data,
    message:
        "Draw the samples and the trade-off of Table 1"
    script:
        "../scripts/table1_figure.py"
