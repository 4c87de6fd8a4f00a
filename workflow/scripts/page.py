"""Write the page of results from what is there."""

from pseudodensity.page.write import write_page
from pseudodensity.progress import Progress, logged

params = snakemake.params
with logged(snakemake.log[0]):
    Progress(snakemake.output.html, 1, "files", snakemake.log[0]).say("being written")
    write_page(
        params.found,
        params.run,
        snakemake.output.html,
        glossary=params.glossary,
        catalogue=params.catalogue,
    )
