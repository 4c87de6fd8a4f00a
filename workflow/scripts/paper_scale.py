"""Write what the papers' scale needs and costs, from a rehearsal of it."""

from pathlib import Path

from pseudodensity.judging.core_rate import core_rate
from pseudodensity.plan.config import load_config
from pseudodensity.plan.plan import Plan
from pseudodensity.progress import Progress, logged
from pseudodensity.report.paper_scale_page import write_paper_scale

params = snakemake.params


def plan_of(overlays):
    config = load_config(Path(params.config), list(map(Path, overlays)), {})
    return Plan(config, Path(params.schemas), Path(params.grids))


with logged(snakemake.log[0]):
    write_paper_scale(
        plan_of(params.rehearsed),
        plan_of(params.paper),
        snakemake.input.files,
        snakemake.output[0],
        rate=core_rate(),
        run=params.run,
    )
    Progress(snakemake.output[0], 1, "files", snakemake.log[0]).say("written")
