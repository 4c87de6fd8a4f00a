rule table:
    input:
        unpack(paths_of("table")),
    output:
        csv=report(
            "results/{table}.csv",
            category=of_target("table", "category"),
            caption="../report/target.rst",
            labels=lambda wildcards: {"target": wildcards.table, "what": "table"},
        ),
        md="results/{table}.md",
        tex="results/{table}.tex",
    log:
        "results/logs/{table}.table.log",
    # As soon as it can be written, it is.
    priority: 35
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        code=code_of("table"),
        function=of_target("table", "function"),
        settings=of_target("table", "settings"),
        caption=of_target("table", "caption"),
        printed=of_target("table", "printed"),
    message:
        "Write results/{wildcards.table}.csv"
    script:
        "../scripts/table.py"


rule figure:
    input:
        unpack(paths_of("figure")),
    output:
        svg=report(
            "results/{figure}.svg",
            category=of_target("figure", "category"),
            caption="../report/target.rst",
            labels=lambda wildcards: {"target": wildcards.figure, "what": "figure"},
        ),
        png="results/{figure}.png",
    log:
        "results/logs/{figure}.figure.log",
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        code=code_of("figure"),
        function=of_target("figure", "function"),
        settings=of_target("figure", "settings"),
        caption=of_target("figure", "caption"),
    message:
        "Draw results/{wildcards.figure}.svg"
    script:
        "../scripts/figure.py"
