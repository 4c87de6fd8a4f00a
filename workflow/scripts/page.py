"""Write the page of results from what is there."""

from pseudodensity.page.write import write_page
from pseudodensity.progress import logged

params = snakemake.params
with logged(snakemake.log[0]):
    write_page(
        params.found,
        params.run,
        snakemake.output.html,
        glossary=params.glossary,
        catalogue=params.catalogue,
    )
