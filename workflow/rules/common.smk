"""The plan of everything to make, and the few helpers that rules share. The only rules with defs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from pseudodensity.page.inventory import inventory, is_behind
from pseudodensity.plan import resources as machine
from pseudodensity.plan.artifact import benchmark_of, digest_of, state_of
from pseudodensity.plan.code import ROOT, code_digest
from pseudodensity.plan.config import load_config
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.shown import FINDINGS, REHEARSED
from pseudodensity.plan.targets import UNKNOWN, listing, made_paths, unknown

HERE = Path(workflow.basedir)
machine.round_as_on_a_cpu()
PAGE = "results/index.html"
PAGE_GLOSSARY = str(HERE / "docs/glossary.md")
PAGE_CATALOGUE = str(HERE / "config/reported/claims.csv")

# Paths of the config, of results and of the papers' numbers all count from here.
if Path.cwd() != HERE.resolve():
    raise WorkflowError(
        f"this workflow runs in its own folder: cd {HERE}, and leave -d and -s out (results may be a link "
        "to a folder elsewhere)"
    )

if ROOT != (HERE / "workflow/pseudodensity").resolve():
    raise WorkflowError(
        f"the installed package pseudodensity is that of {ROOT}, not of this checkout: run "
        "`pip install --no-deps --no-build-isolation -e .` here"
    )


def _plan():
    """Read and check the config, once and before anything runs, and say what can be made of it."""
    try:
        # Not `config`: there the overlays are joined key by key, and what one replaces would come back.
        given = workflow.config_settings.config
        overlays = workflow.overwrite_configfiles
        resolved = load_config(HERE / "config/config.yaml", overlays, given)
        return Plan(resolved, HERE / "workflow/schemas", HERE / "config/papers")
    except ConfigError as error:
        raise WorkflowError(str(error)) from None


plan = _plan()
runtime = plan.config["runtime"]
longest_training = max(
    (made.spec["iterations"] for made in plan.artifacts.values() if made.kind == "trained"),
    default=1,
)


wildcard_constraints:
    name="[^/]+",
    folder="[^/]+",
    rows="[0-9]+-[0-9]+|all",
    table="|".join(plan.tables),
    figure="|".join(plan.figures),
    dataset="|".join(plan.config["datasets"]),
    asked=UNKNOWN.format(known="|".join(map(re.escape, made_paths(plan)))),


def _or_error(function, *arguments):
    """A result of the plan, or its complaint as one line."""
    try:
        return function(*arguments)
    except ConfigError as error:
        raise WorkflowError(str(error)) from None


def made(kind, wildcards):
    """The artefact that a rule makes."""
    return _or_error(plan.made, kind, dict(wildcards.items()))


def needs(kind):
    """Inputs of the rule that makes a kind of artefact."""
    return lambda wildcards: made(kind, wildcards).inputs


def listed(wildcards):
    """Digest of the files that a data set is decoded from: one replaced in place is decoded again."""
    return _or_error(plan.data.listing, made("data", wildcards).facts["dataset"])


def stamp(kind):
    """All that defines an artefact."""
    return lambda wildcards: made(kind, wildcards).stamp


def stamp_of(kind, need):
    """All that defines something that an artefact is made from, to compare when it is read."""
    return lambda wildcards: made(kind, wildcards).needs[need].stamp


def facts(kind):
    """What defines nothing, but the job wants to know."""
    return lambda wildcards: dict(made(kind, wildcards).facts)


def code(kind):
    """Digest of the code that makes an artefact: the script of its kind, and modules imported by name."""
    path = HERE / f"workflow/scripts/{kind}.py"
    return lambda wildcards: code_digest(path, made(kind, wildcards).modules)


def asks(kind, resource):
    """How much of a resource the job of an artefact asks for; more of it where it was tried before."""

    def asked(wildcards, attempt):
        artifact = made(kind, wildcards)
        first = machine.resources(artifact, plan.config)
        # Not looked up for each of thousands of jobs whenever a run is planned.
        goes_on = attempt > 1 and Path(state_of(artifact.path)).is_file()
        return machine.of_attempt(first, attempt, had_enough=goes_on)[resource]

    return asked


def images_at_once(kind):
    """How many images a job puts through its networks together."""
    return lambda wildcards: machine.images_at_once(made(kind, wildcards), plan.config)


def urgency(kind):
    """Priority of the job of an artefact."""
    return lambda wildcards: machine.priority(made(kind, wildcards), longest_training, plan.config)


def kept_images(kind):
    """How many images of a part of a pool are stored."""
    return lambda wildcards: machine.stored_images_of(made(kind, wildcards), plan.config)


def target(kind, wildcards):
    """A table or a figure of a paper."""
    return _or_error(plan.target, kind, wildcards[kind])


def paths_of(kind):
    """Inputs of a table or a figure."""
    return lambda wildcards: target(kind, wildcards).paths


def of_target(kind, name):
    """An attribute of a table or a figure."""
    return lambda wildcards: getattr(target(kind, wildcards), name)


def code_of(kind):
    """Digest of the code that makes a table or a figure."""
    path = HERE / f"workflow/scripts/{kind}.py"
    return lambda wildcards: code_digest(path, target(kind, wildcards).modules)


def all_of(paper):
    """First outputs of all tables and figures of a paper that this config and the files at hand can make."""

    def outputs(wildcards):
        known = plan.of_paper[paper]
        left_out = [target for target in known if target.missing]
        if len(left_out) == len(known):
            raise WorkflowError(f"nothing of {paper} can be made: {left_out[0].missing}")
        if left_out:
            logger.warning(
                f"{paper}: {len(left_out)} of {len(known)} tables and figures cannot be made and are left out; "
                f"`snakemake targets` says why; the first: {left_out[0].name}: {left_out[0].missing}"
            )
        return [target.outputs[0] for target in known if not target.missing]

    return outputs


def commit():
    """The commit of this checkout, marked where files were changed since."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True
    )
    return done.stdout.strip() or "unknown"


def config_names():
    """The config files of this run, the default one first."""
    overlays = (Path(path).name for path in workflow.overwrite_configfiles)
    return " + ".join(["config/config.yaml", *overlays])


def overlays(without=None):
    """Paths of the config files that this run was given, in order; `without`: the name of one to leave out."""
    given = map(os.path.relpath, workflow.overwrite_configfiles)
    return [path for path in given if Path(path).name != without]


def rehearsed(wildcards):
    """What the page of the papers' scale is made from: tables, each at its true shapes."""
    if len(overlays(without="rehearsal.yaml")) == len(overlays()):
        raise WorkflowError(
            "docs/paper_scale.md is of a rehearsal: write its files by `python benchmarks/rehearsal.py`, and add "
            "`--configfile config/scales/paper.yaml config/scales/rehearsal.yaml downloads/rehearsal/files.yaml`"
        )
    return {"made": [f"results/{name}" for name in REHEARSED]}


def page_run():
    """What was run, for the page of results."""
    return {"commit": commit(), "config": config_names()}


def page_found():
    """What the page of results shows: the targets of this config, and which of them are there."""
    return inventory(plan, overlays())


def refresh_page():
    """Write the page of results after a run, if that made anything to show."""
    found = page_found()
    if not is_behind(PAGE, found):
        return
    # Imported here: they take seconds, and the rules are parsed for every job.
    from pseudodensity.artifacts import one_line
    from pseudodensity.page.write import write_page

    try:
        written = write_page(
            found, page_run(), PAGE, glossary=PAGE_GLOSSARY, catalogue=PAGE_CATALOGUE
        )
    except Exception as error:  # whatever is wrong with the page, the run is not
        print(f"{PAGE} was not written: {one_line(error)}", file=sys.stderr)
    else:
        print(f"{written[0]} shows what is there", file=sys.stderr)


def benchmarks(*names):
    """Table or figure -> where the cost of each of its jobs stands; of all, or of those named."""
    kinds = {"tables": plan.tables, "figures": plan.figures}
    return {
        made.outputs[0]: [benchmark_of(job.path) for job in plan.jobs(made)]
        for known in kinds.values()
        for made in known.values()
        if not made.missing and (made.name in names if names else "/" not in made.name)
    }


def shown(what):
    """What a page of findings shows of a kind: table, claims, pictures, titles or targets."""

    def of_page(wildcards):
        page = FINDINGS[wildcards.page]
        return {
            "table": f"results/{page['table']}.csv",
            "claims": f"results/{page['claims']}.csv",
            "pictures": [f"results/{name}.png" for name in page["pictures"]],
            "titles": list(page["pictures"].values()),
            "targets": benchmarks(*page["targets"]),
        }[what]

    return of_page


def no_target(wildcards):
    """For what nothing makes: the nearest names."""
    raise WorkflowError(str(unknown(plan, wildcards.asked)))


def _trained_models():
    """Entries of the models, with only those data sets that what was asked for has them trained on.

    A model of the default config that an overlay has no use for need not fit the overlay's images. Trainings that
    have ended count, so that a run that goes on does not check anew.
    """
    outputs = {str(path) for job in workflow.dag.jobs for path in job.output}
    pairs = {
        (made.facts["model"], made.facts["dataset"])
        for made in plan.artifacts.values()
        if made.kind == "trained" and made.path in outputs
    }
    return {
        name: {
            **model,
            "pretraining": {
                dataset: source
                for dataset, source in model["pretraining"].items()
                if (name, dataset) in pairs
            },
        }
        for name, model in plan.config["models"].items()
    }


def check_networks():
    """Before the first job: the device is there, and the networks of the config can be built.

    It imports torch, so it runs apart and, if nothing changed, once.
    """
    kinds = (*machine.ON_DEVICE, "extractor")
    if not any(job.rule.name in kinds for job in workflow.dag.needrun_jobs()):
        return
    networks = {name: plan.config[name] for name in ("datasets", "extractors")}
    networks["models"] = _trained_models()
    modules = {name for made in plan.artifacts.values() for name in made.modules}
    code = code_digest(
        HERE / "workflow/pseudodensity/generators/checking.py", tuple(sorted(modules))
    )
    checked = Path(f"results/work/networks-{digest_of([networks, code])}")
    # On a cluster the jobs compute elsewhere.
    device = runtime["device"] if workflow.local_exec else "cpu"
    if checked.exists() and device == "cpu":
        return
    done = subprocess.run(
        [sys.executable, "-m", "pseudodensity.generators.checking"],
        input=json.dumps({"networks": networks, "device": device}),
        capture_output=True,
        text=True,
    )
    if done.stdout:
        raise WorkflowError(done.stdout.strip())
    if done.returncode:
        raise WorkflowError(f"the networks cannot be checked: {done.stderr.strip()[-300:]}")
    checked.parent.mkdir(parents=True, exist_ok=True)
    checked.touch()
