"""The plan of everything to make, and the few helpers that rules share. The only rules with defs."""

import os
import sys
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError

# This checkout's package, also where the environment has another checkout's installed.
PACKAGE_PARENT = str(Path(workflow.basedir, "workflow"))
sys.path.insert(0, PACKAGE_PARENT)
os.environ.update(PYTHONPATH=PACKAGE_PARENT)
# glibc hands the memory of a freed tensor back to the system, and the next one is faulted in
# again page by page; keeping it, in huge pages, makes CPU jobs up to a fifth faster.
os.environ.setdefault(
    "GLIBC_TUNABLES",
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1073741824"
    ":glibc.malloc.trim_threshold=4294967296",
)
# Nothing here compiles, and loading the compiler takes longer than many a job computes.
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
from pseudodensity.closure import code_files
from pseudodensity.figure_runs import FigureRuns
from pseudodensity.frontier_runs import FrontierRuns
from pseudodensity.plan.declared import declared_by_name
from pseudodensity.runs import ConfigError, Plan, check_config


def _plan():
    """Check the config, once and before anything runs, and expand it into the run table."""
    base = Path(workflow.basedir)
    paper = yaml.safe_load((base / "config/papers/pseudo_density.yaml").read_text())
    try:
        for name, content in (("config", config), ("paper", paper)):
            schema = yaml.safe_load((base / f"workflow/schemas/{name}.yaml").read_text())
            check_config(content, schema, name)
        plan = Plan(config, paper)
        return plan, FrontierRuns(plan)
    except ConfigError as error:
        raise WorkflowError(str(error)) from None


onstart:
    # Snakemake's default limit of 100 job starts per second makes it look at all ready jobs again
    # every second, and once more a second for each job that has ended: a tenth of a core and more.
    limit = workflow.scheduler.job_rate_limiter
    if limit and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


plan, frontiers = _plan()
figures = FigureRuns(plan)
runtime = config["runtime"]
steering = plan.extractor(config["density"]["extractor"])
judges = {name: plan.extractor(name) for name in sorted(set(config["judges"].values()))}
# Extractors are imported by name of their kind.
feature_modules = sorted(
    {
        "features.small" if settings["kind"].startswith("small_") else "features.pretrained"
        for settings in config["extractors"].values()
    }
)
data_sets = {plan.data(name).name: name for name in config["datasets"]}


wildcard_constraints:
    dataset="|".join(config["datasets"]),
    data="|".join(data_sets),
    checkpoint="|".join(plan.checkpoints) or "none",


def code(script, *modules):
    """The script and the package files it imports, as paths relative to the working directory."""
    return code_files(f"workflow/scripts/{script}", modules)


def data_file(dataset):
    """Images of a decoded data set; its labels and manifest lie beside them."""
    return f"results/data/{plan.data(dataset).name}/images.npy"


def extractor_file(artifact):
    """Weights of an extractor."""
    return f"results/extractors/{artifact.name}.safetensors"


def features_file(dataset, extractor):
    """Features of a data set by an extractor."""
    return f"results/features/{plan.features(dataset, extractor).name}.npy"


def density_file(dataset):
    """Pseudo density of a data set."""
    return f"results/density/{plan.density(dataset).name}.safetensors"


def modules_of(checkpoint):
    """Modules of the architecture of a checkpoint, its own first; they are imported by name."""
    architecture = plan.checkpoints[checkpoint].artifact.spec["architecture"]
    own, says = declared_by_name("generators", "DECLARATION", architecture)
    trainer = (says["trainer"] or "").partition(":")[0]
    return [name for name in (own, says["discriminator"], trainer) if name]


def share_of_longest(checkpoint):
    """Iterations of a pre-training as a share of those of the longest one."""
    specs = {
        name: made.artifact.spec
        for name, made in plan.checkpoints.items()
        if made.origin == "trained"
    }
    return specs[checkpoint]["iterations"] / max(spec["iterations"] for spec in specs.values())


def denoises(checkpoint):
    """Whether each image of a checkpoint takes many calls of its network."""
    return plan.checkpoints[checkpoint].artifact.spec["architecture"] == "diffusion"


def importance(checkpoint):
    """How a fine-tuned checkpoint was importance-sampled."""
    return plan.checkpoints[checkpoint].artifact.spec["importance"]


def backbone_file(checkpoint):
    """Frozen feature network of a projected discriminator, or nothing."""
    backbone = config["models"][plan.checkpoints[checkpoint].model].get("backbone")
    return extractor_file(plan.extractor(backbone)) if backbone else []


def panels_of(figure):
    """Panels of a figure of perturbed samples."""
    return _or_error(figures.perturbation_panels, figure)


def extreme_panels():
    """Panels of the extremes of density."""
    return _or_error(figures.extreme_panels)


def overhead():
    """The checkpoint whose costs are measured, and what to measure."""
    return _or_error(figures.overhead)


def autoregressive_task():
    """The model of exact likelihood, as a task with a pool and a frontier."""
    return frontiers.tasks[_or_error(figures.autoregressive_name)]


def likelihood_run():
    """The scores by likelihood of that model."""
    return figures.likelihood(frontiers.frontier(autoregressive_task()))


def likelihood_panel():
    """What Figure 7 says of it, and where its scores by density lie."""
    return frontiers.figure(f"frontier/{_or_error(figures.autoregressive_name)}")[0]


def _or_error(function, *arguments):
    """A result of the plan, or its complaint as one line."""
    try:
        return function(*arguments)
    except ConfigError as error:
        raise WorkflowError(str(error)) from None


def generator_modules(task):
    """Modules that draw a pool; those of the discriminator and of volumes only where asked."""
    architecture = task.checkpoint.artifact.spec["architecture"]
    own, says = declared_by_name("generators", "DECLARATION", architecture)
    volumes = ["generators.volumes", says["tangents"]] if task.needs_volumes else []
    logits = [says["discriminator"]] if task.needs_logits else []
    return [own, *logits, *filter(None, volumes)]


def critic_files(task):
    """Images and frozen feature network of the discriminator, or nothing where it is not asked."""
    if not task.needs_logits:
        return [], []
    backbone = config["models"][task.checkpoint.model].get("backbone")
    return data_file(task.checkpoint.dataset), (
        extractor_file(plan.extractor(backbone)) if backbone else []
    )
