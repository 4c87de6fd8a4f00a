rule overhead:
    input:
        code=lambda wildcards: code(
            "overhead.py", *modules_of(overhead()[0].name), *feature_modules
        ),
        checkpoint=lambda wildcards: overhead()[0].path,
        density=lambda wildcards: density_file(overhead()[0].dataset),
        steering=extractor_file(steering),
        data=lambda wildcards: data_file(overhead()[0].dataset),
        backbone=lambda wildcards: backbone_file(overhead()[0].name),
        reported="config/reported/pseudo_density.csv",
    output:
        csv=report(
            "results/overhead.csv",
            category="Cost",
            caption="../report/overhead.rst",
            labels={"what": "seconds of each method"},
        ),
        md="results/overhead.md",
    log:
        "results/logs/overhead.log",
    conda:
        "../../envs/conda.yaml"
    threads: 1
    resources:
        device=runtime["device"],
    params:
        checkpoint_spec=lambda wildcards: overhead()[0].artifact.spec,
        settings=lambda wildcards: overhead()[1],
    message:
        "Measure the cost of each method"
    script:
        "../scripts/overhead.py"
