"""Write what the papers' scale needs and costs, from a rehearsal of it."""

from pathlib import Path

from pseudodensity.judging.core_rate import core_rate
from pseudodensity.plan.config import load_config
from pseudodensity.plan.plan import Plan
from pseudodensity.progress import Progress, logged
from pseudodensity.report.paper_scale_page import write_paper_scale

params = snakemake.params
config, schemas, grids = map(Path, (params.config, params.schemas, params.grids))
with logged(snakemake.log[0]):
    rehearsal, paper = (
        Plan(load_config(config, [Path(path) for path in overlays], {}), schemas, grids)
        for overlays in (params.rehearsed, params.paper)
    )
    write_paper_scale(
        rehearsal,
        paper,
        snakemake.input.files,
        snakemake.output[0],
        rate=core_rate(),
        run=params.run,
    )
    Progress(snakemake.output[0], 1, "files", snakemake.log[0]).say("written")
