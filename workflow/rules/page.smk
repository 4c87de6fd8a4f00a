# The page of results shows what is there. It has no inputs, because asking for it would make them: so it is
# written again after every run, by the same function.
rule page:
    output:
        html=PAGE,
        paper="results/index.paper.csv",
        targets="results/index.targets.csv",
    log:
        "results/logs/page.log",
    conda:
        "../../envs/conda.yaml"
    threads: 1
    params:
        code=code_digest(HERE / "workflow/scripts/page.py"),
        found=lambda wildcards: page_found(),
        run=lambda wildcards: page_run(),
        glossary=PAGE_GLOSSARY,
        catalogue=PAGE_CATALOGUE,
    message:
        "Write the page of results"
    script:
        "../scripts/page.py"


onsuccess:
    refresh_page()


onerror:
    refresh_page()
